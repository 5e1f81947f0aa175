OPENS, CLOSES = 9 * 60, 18 * 60


def run(input: dict) -> dict:
    rows = events()
    now = datetime.now()
    since = (now - timedelta(days=input["days"])).isoformat(" ", "seconds")
    met = [e for e in with_person(rows, input["person"]) if since < e["event_start"] < now.isoformat(" ", "seconds")]
    if met:
        return {"met": True, "event": None}
    start = first_free(rows, now.date() + timedelta(days=1), input["minutes"])
    event = {
        "event_id": next_id(rows, "event_id"),
        "event_name": input.get("event_name", "catch-up"),
        "participant_email": address_of(input["person"], (e["participant_email"] for e in rows)),
        "event_start": start,
        "duration": str(input["minutes"]),
    }
    keep([*rows, event])
    return {"met": False, "event": shown(event)}


def first_free(rows, day_, minutes):
    """Where so many minutes are free first, on a day or later, between the hours of work."""
    while True:
        free = OPENS
        for event in on(rows, day_):
            if free + minutes <= minute_of(event):
                break
            free = max(free, minute_of(event) + int(event["duration"]))
        if free + minutes <= CLOSES:
            return f"{day_.isoformat()} {hhmm(free)}:00"
        day_ += timedelta(days=1)
