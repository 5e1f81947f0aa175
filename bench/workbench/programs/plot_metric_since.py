def run(input: dict) -> dict:
    end = last_day(visits())
    return plot([VALUES[input["metric"]]], input["plot_type"], day(input["since"]).isoformat(), end)
