"""Who an employee is: title, department, manager and where to find them."""

import json
import re
import unicodedata

import host


def run(input: dict) -> dict:
    people = read("employees")
    person = find_person(people, input)
    manager = next((p["name"] for p in people if p["id"] == person["manager_id"]), None)
    return {
        "employee_id": person["id"],
        "name": person["name"],
        "title": person["title"],
        "department": person["department"],
        "manager": manager,
        "email": person["email"],
        "location": person["location"],
        "start_date": person["start_date"],
    }


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
