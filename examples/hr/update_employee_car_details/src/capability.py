"""Change an employee's car: make, model, year or plate."""

import json
import re
import unicodedata

import host

FIELDS = ("make", "model", "year", "plate")


def run(input: dict) -> dict:
    changes = {field: input[field] for field in FIELDS if field in input}
    if not changes:
        raise host.Error("say what to change: make, model, year or plate", kind="invalid_input")
    person = find_person(read("employees"), input)
    rows = read("cars")
    row = next((r for r in rows if r["employee_id"] == person["id"]), None)
    if row is None:
        raise host.Error(f"{person['name']} ({person['id']}) has no car on record", kind="not_found")
    if any(r is not row and r["plate"] == changes.get("plate") for r in rows):
        raise host.Error(f"plate {changes['plate']} belongs to another car", kind="conflict")
    before = {field: row[field] for field in FIELDS}
    row.update(changes)
    write("cars", rows)
    return {
        "employee_id": person["id"],
        "name": person["name"],
        "before": before,
        "after": {field: row[field] for field in FIELDS},
    }


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
