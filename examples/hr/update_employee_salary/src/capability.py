"""Set an employee's salary."""

import json
import re
import unicodedata

import host


def run(input: dict) -> dict:
    person = find_person(read("employees"), input)
    rows = read("salaries")
    row = next((r for r in rows if r["employee_id"] == person["id"]), None)
    if row is None:
        raise host.Error(f"{person['name']} ({person['id']}) has no salary on record", kind="not_found")
    before = {"salary": row["salary"], "currency": row["currency"]}
    row["salary"] = whole(input["new_salary"])
    row["currency"] = input.get("currency", row["currency"])
    write("salaries", rows)
    return {
        "employee_id": person["id"],
        "name": person["name"],
        "pay_period": row["pay_period"],
        "before": before,
        "after": {"salary": row["salary"], "currency": row["currency"]},
    }


def whole(amount: float) -> float:
    """90000.0 as 90000, so that the file keeps its look; 90000.5 stays."""
    if amount <= 0:
        raise host.Error("new_salary must be more than 0", kind="invalid_input")
    return int(amount) if amount == int(amount) else amount


def write(table: str, rows: list[dict]) -> None:
    """Writes the whole table as it was formatted before, then reads it back to be sure."""
    with open(f"/hr/{table}.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    if read(table) != rows:
        raise host.Error(f"{table}.json does not hold what was written to it", kind="write_failed")


def read(table: str) -> list[dict]:
    with open(f"/hr/{table}.json", encoding="utf-8") as file:
        return json.load(file)


def find_person(people: list[dict], input: dict) -> dict:
    """The one employee meant by `employee_id`, by `name`, or by both; accents and case do not matter."""
    wanted_id, name = input.get("employee_id"), input.get("name")
    if wanted_id is None and name is None:
        raise host.Error("say who: employee_id or name", kind="invalid_input")
    with_id = [p for p in people if wanted_id is None or p["id"].casefold() == wanted_id.casefold()]
    found = [p for p in with_id if name is None or (words(name) and words(name) <= words(p["name"]))]
    if len(found) == 1:
        return found[0]
    choices = ", ".join(f"{p['name']} ({p['id']})" for p in found or with_id or people)
    if found:
        raise host.Error(f'"{name or wanted_id}" is ambiguous: {choices}', kind="ambiguous")
    if wanted_id is not None and with_id:
        raise host.Error(f'{wanted_id} is not "{name}": {choices}', kind="conflict")
    raise host.Error(f'no employee "{wanted_id or name}"; the choices: {choices}', kind="not_found")


def words(text: str) -> set[str]:
    plain = unicodedata.normalize("NFD", text.casefold())
    return set(re.findall(r"\w+", "".join(c for c in plain if not unicodedata.combining(c))))
