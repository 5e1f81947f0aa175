def run(input: dict) -> dict:
    rows = events()
    found = on(with_person(rows, input["person"]), day(input["date"]))
    if not found:
        raise host.Error(f"there is no meeting with {input['person']} on {input['date']}", kind="not_found")
    event = found[0]
    before = shown(event)["time"]
    moved = datetime.fromisoformat(event["event_start"]) + timedelta(minutes=input["minutes"])
    event["event_start"] = moved.isoformat(" ", "seconds")
    keep(rows)
    return {"before": before, "event": shown(event)}
