def run(input: dict) -> dict:
    rows = events()
    found = on(rows, day(input["date"]))
    if not found:
        raise host.Error(f"there is no event on {input['date']}", kind="not_found")
    before, found[-1]["event_name"] = found[-1]["event_name"], input["new_name"]
    keep(rows)
    return {"before": before, "event": shown(found[-1])}
