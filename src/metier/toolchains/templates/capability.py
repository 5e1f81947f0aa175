import json

import host


def run(input: dict) -> dict:
    with open("/hr/employees.json", encoding="utf-8") as file:
        employees = json.load(file)
    for employee in employees:
        if employee["name"] == input["name"]:
            pay = host.call("get_salary_details", {"employee_id": employee["id"]})
            return {"name": employee["name"], "title": employee["title"], "salary": pay["salary"]}
    names = ", ".join(employee["name"] for employee in employees)
    raise host.Error(f"no employee named {input['name']}; there are: {names}", kind="not_found")
