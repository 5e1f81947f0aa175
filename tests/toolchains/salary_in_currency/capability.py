import json

import host


def run(input: dict) -> dict:
    person = next((e for e in read("employees") if e["name"] == input["name"]), None)
    if person is None:
        raise host.Error(f"no employee named {input['name']}", kind="not_found")
    rates = read("exchange_rates")["rates"]
    if input["currency"] not in rates:
        raise host.Error(f"no rate for {input['currency']}", kind="unknown_currency")
    pay = next(s for s in read("salaries") if s["employee_id"] == person["id"])
    salary = pay["salary"] / rates[pay["currency"]] * rates[input["currency"]]
    return {"name": person["name"], "salary": round(salary, 2), "currency": input["currency"]}


def read(name: str):
    with open(f"/hr/{name}.json", encoding="utf-8") as file:
        return json.load(file)
