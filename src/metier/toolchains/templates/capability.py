import json

import host


def run(input: dict) -> dict:
    employees = read("employees")
    employee = next((e for e in employees if e["name"] == input["name"]), None)
    if employee is None:
        names = ", ".join(e["name"] for e in employees)
        raise host.Error(f"no employee named {input['name']}; there are: {names}", kind="not_found")
    pay = next((row for row in read("salaries") if row["employee_id"] == employee["id"]), None)
    if pay is None:
        raise host.Error(f"{employee['name']} has no salary on record", kind="not_found")
    return {"name": employee["name"], "title": employee["title"], "salary": pay["salary"]}


def read(table: str) -> list[dict]:
    with open(f"/hr/{table}.json", encoding="utf-8") as file:
        return json.load(file)
