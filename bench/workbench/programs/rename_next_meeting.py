def run(input: dict) -> dict:
    rows = events()
    found = coming(called(rows, input["event_name"]))
    if not found:
        raise host.Error(f"no meeting called {input['event_name']} is to come", kind="not_found")
    before, found[0]["event_name"] = found[0]["event_name"], input["new_name"]
    keep(rows)
    return {"before": before, "event": shown(found[0])}
