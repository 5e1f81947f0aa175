"""Read a database with one SQL statement."""

import host

DEFAULT_ROWS = 100


def run(input: dict) -> dict:
    result = host.sql(input["store"], input["statement"], input.get("parameters", []))
    if not result["columns"]:
        raise host.Error("the statement returns no rows; use SELECT", kind="invalid_input")
    most = int(input.get("max_rows", DEFAULT_ROWS))
    return {"columns": result["columns"], "rows": result["rows"][:most], "row_count": len(result["rows"])}
