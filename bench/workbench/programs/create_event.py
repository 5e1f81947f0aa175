def run(input: dict) -> dict:
    rows = events()
    event = {
        "event_id": next_id(rows, "event_id"),
        "event_name": input["event_name"],
        "participant_email": address_of(input["person"], (e["participant_email"] for e in rows)),
        "event_start": f"{day(input['date']).isoformat()} {hhmm(clock_time(input['time']))}:00",
        "duration": str(input["minutes"]),
    }
    keep([*rows, event])
    return {"event": shown(event)}
