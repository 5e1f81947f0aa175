"""The calendar."""

EVENTS = "/office/calendar_events.csv"
EVENT_COLUMNS = ["event_id", "event_name", "participant_email", "event_start", "duration"]


def events():
    return sorted(read(EVENTS, EVENT_COLUMNS), key=lambda event: (event["event_start"], event["event_id"]))


def keep(rows):
    write(EVENTS, rows, EVENT_COLUMNS)


def shown(event):
    start = event["event_start"]
    return {
        "name": event["event_name"],
        "with": event["participant_email"],
        "date": start[:10],
        "time": start[11:16],
        "minutes": int(event["duration"]),
    }


def cancel(rows, gone):
    """Keeps all but some events, and says which are gone."""
    if gone:
        ids = {event["event_id"] for event in gone}
        keep([event for event in rows if event["event_id"] not in ids])
    return {"cancelled": [shown(event) for event in gone]}


def on(rows, day_):
    return [event for event in rows if event["event_start"][:10] == day_.isoformat()]


def coming(rows):
    now = datetime.now().isoformat(" ", "seconds")
    return [event for event in rows if event["event_start"] > now]


def called(rows, name):
    """The events of a name, which has to be that of some event."""
    wanted = name.strip().casefold()
    found = [event for event in rows if event["event_name"].casefold() == wanted]
    if not found:
        known = sorted({event["event_name"] for event in rows})
        raise host.Error(f'no event is called "{name}"; there are {", ".join(known[:60])}', kind="not_found")
    return found


def with_person(rows, who):
    address = address_of(who, (event["participant_email"] for event in rows))
    return [event for event in rows if event["participant_email"] == address]


def clock_time(text):
    """A time of day as minutes: 3, 3:30, 15:30, 3 pm; without am or pm, 1 to 7 are in the afternoon."""
    said = text.strip().casefold().replace(" ", "").replace(".", "")
    half = said[-2:] if said[-2:] in ("am", "pm") else ""
    hour, _, minute = said.removesuffix(half).partition(":")
    hours, minutes = int(hour), int(minute or 0)
    if half:
        hours = hours % 12 + (12 if half == "pm" else 0)
    elif 1 <= hours <= 7 and len(hour) == 1:
        hours += 12
    if hours > 23 or minutes > 59:
        raise host.Error(f'"{text}" is no time of day', kind="invalid_input")
    return hours * 60 + minutes


def hhmm(minutes):
    return f"{minutes // 60:02}:{minutes % 60:02}"


def minute_of(event):
    return int(event["event_start"][11:13]) * 60 + int(event["event_start"][14:16])
