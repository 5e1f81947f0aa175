"""The worked example `examples/hr`: its files agree with each other, and its contracts with their own examples."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "hr"
DATA = EXAMPLE / "data" / "hr"
METAS = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(EXAMPLE.glob("*/meta.json"))}
NATIVE = {"get_benefits_info": "rust", "get_car_details": "c", "get_leave_balance": "go"}
GENERAL = {"search_files", "call_api", "query_db"}
"""Those that do not look for a person."""
IDS = sorted(METAS)
KEYS = {
    "id", "summary", "binary", "version", "language", "input_schema", "output_schema",
    "effects", "permissions", "examples", "status",
}  # fmt: skip


def table(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def ids() -> set[str]:
    return {person["id"] for person in table("employees")}


def property_schemas(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every (name, schema) of every `properties` in a schema, however deep."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from property_schemas(inner)


def test_there_are_the_fifteen_capabilities_in_four_languages() -> None:
    assert len(METAS) == 15
    assert {name: meta["language"] for name, meta in METAS.items()} == dict.fromkeys(METAS, "python") | NATIVE


@pytest.mark.parametrize("path", sorted(DATA.glob("*.json")), ids=lambda path: path.stem)
def test_a_data_file_is_formatted_as_an_update_would_write_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n" == text


def test_there_are_twelve_people_with_one_john_and_one_shared_first_name() -> None:
    people = table("employees")
    assert len(people) == len(ids()) == 12
    words = Counter(word.casefold() for person in people for word in set(re.findall(r"\w+", person["name"])))
    assert people[0]["id"] == "EMP001" and people[0]["name"] == "John Smith"
    assert words["john"] == 1
    assert {word for word, count in words.items() if count > 1} == {"maria"}


def test_managers_are_employees_and_lead_to_one_person_at_the_top() -> None:
    managers = {person["id"]: person["manager_id"] for person in table("employees")}
    assert [person for person, manager in managers.items() if manager is None] == ["EMP002"]
    for person in managers:
        seen: set[str] = set()
        current: str | None = person
        while current is not None:
            assert current not in seen, "a circle of managers"
            seen.add(current)
            current = managers[current]


@pytest.mark.parametrize("name", ["salaries", "hr_records", "benefits", "leave", "emergency_contacts", "family"])
def test_a_file_with_a_row_for_everyone_has_exactly_one(name: str) -> None:
    assert sorted(row["employee_id"] for row in table(name)) == sorted(ids())


@pytest.mark.parametrize("name", ["cars", "performance_reviews", "calendar"])
def test_a_file_with_rows_for_some_knows_only_employees(name: str) -> None:
    assert {row["employee_id"] for row in table(name)} < ids()


def test_cars_are_one_a_person_and_plates_are_unique() -> None:
    cars = table("cars")
    assert len({car["employee_id"] for car in cars}) == len({car["plate"] for car in cars}) == len(cars)


def test_reviewers_are_employees_other_than_the_reviewed() -> None:
    for review in table("performance_reviews"):
        assert review["reviewer_id"] in ids() - {review["employee_id"]}
        assert 1 <= review["rating"] <= 5


def test_johns_salary_and_the_rates_to_convert_every_salary_are_there() -> None:
    salaries = {row["employee_id"]: row for row in table("salaries")}
    rates = table("exchange_rates")
    assert (salaries["EMP001"]["salary"], salaries["EMP001"]["currency"]) == (85000, "USD")
    assert rates["base"] == "USD" and rates["rates"]["USD"] == 1 and rates["rates"]["GBP"] == 0.79
    assert {row["currency"] for row in salaries.values()} <= set(rates["rates"])


def test_every_address_is_at_example_com() -> None:
    for path in DATA.glob("*.json"):
        addresses = re.findall(r"[^\s\"]+@[^\s\"]+", path.read_text(encoding="utf-8"))
        assert all(address.endswith("@example.com") for address in addresses)
    people = {person["email"] for person in table("employees")}
    assert len(people) == 12
    assert {event["organizer"] for event in table("calendar")} <= people


def test_drafts_read_all_of_the_root_unasked_and_only_the_updates_files_may_be_written() -> None:
    settings = tomllib.loads((EXAMPLE / "metier.toml").read_text(encoding="utf-8"))
    reading = {"root": "hr", "path": "**", "access": "read"}
    written = {
        file["path"]
        for meta in METAS.values()
        for file in meta["permissions"].get("files", [])
        if file["access"] == "write"
    }
    assert settings.keys() == {"roots", "stores", "http", "policy"} and settings["roots"] == {"hr": "data/hr"}
    assert settings["policy"]["unasked"] == {"files": [reading]}
    first, *others = settings["policy"]["files"]
    assert first == reading
    assert {file["path"] for file in others} == written == {"salaries.json", "cars.json"}
    assert all((file["root"], file["access"]) == ("hr", "write") for file in others)


@pytest.mark.parametrize("name", IDS)
def test_meta_json_has_its_keys_and_names_what_is_there(name: str) -> None:
    meta = METAS[name]
    assert meta.keys() >= KEYS
    assert (meta["id"], meta["binary"], meta["status"]) == (name, f"{name}.wasm", "active")
    assert "\n" not in meta["summary"] and len(meta["summary"]) < 200
    suffix = {"python": "py", "rust": "rs"}.get(meta["language"], meta["language"])
    assert (EXAMPLE / name / "src" / f"capability.{suffix}").is_file()
    assert name not in NATIVE or (EXAMPLE / name / meta["binary"]).read_bytes()[:4] == b"\0asm"


@pytest.mark.parametrize("name", sorted(set(IDS) - GENERAL))
def test_a_capability_asks_for_exactly_the_files_that_its_source_reads(name: str) -> None:
    meta = METAS[name]
    source = next((EXAMPLE / name / "src").iterdir()).read_text(encoding="utf-8")
    read = set(re.findall(r"\bread\(\"(\w+)\"\)", source)) | set(re.findall(r"\"/hr/(\w+)\.json\"", source))
    written = set(re.findall(r"\bwrite\(\"(\w+)\",", source))
    granted = {file["path"].removesuffix(".json"): file["access"] for file in meta["permissions"]["files"]}
    assert meta["permissions"].keys() == {"files"}
    assert {file["root"] for file in meta["permissions"]["files"]} == {"hr"}
    assert granted == {path: "write" if path in written else "read" for path in read}
    assert meta["effects"] == ("write" if written else "read")
    assert bool(written) == name.startswith("update_")


@pytest.mark.parametrize("name", IDS)
def test_schemas_are_valid_closed_and_described(name: str) -> None:
    meta = METAS[name]
    for schema in (meta["input_schema"], meta["output_schema"]):
        Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False
        for key, inner in property_schemas(schema):
            assert "type" in inner, key
            if inner["type"] != "object":
                assert inner["description"], key
    assert set(meta["output_schema"]["required"]) == set(meta["output_schema"]["properties"])
    validator = Draft202012Validator(meta["input_schema"])
    assert not validator.is_valid({}), "there must be no default person"
    assert name in GENERAL or not validator.is_valid({"name": ""})
    assert not validator.is_valid({"name": "John", "surprise": 1})


@pytest.mark.parametrize("name", IDS)
def test_examples_fit_the_schemas_and_their_answers_the_outputs(name: str) -> None:
    meta = METAS[name]
    assert len(meta["examples"]) >= 4
    assert any("error" in example for example in meta["examples"])
    for example in meta["examples"]:
        Draft202012Validator(meta["input_schema"]).validate(example["input"])
        if "error" in example:
            assert example.keys() == {"task", "input", "error"}
            assert name in GENERAL or example["error"]["kind"] in {"not_found", "ambiguous", "conflict"}
            continue
        Draft202012Validator(meta["output_schema"]).validate(example["output"])
        for field in re.findall(r"{([^}]*)}", example.get("answer", "")):
            value = example["output"]
            for step in field.split("."):
                value = value[int(step)] if isinstance(value, list) else value[step]
            assert isinstance(value, str | int | float), field


def test_tasks_are_unique_across_capabilities() -> None:
    tasks = Counter(example["task"].lower() for meta in METAS.values() for example in meta["examples"])
    assert [task for task, count in tasks.items() if count > 1] == []
    assert METAS["get_salary_details"]["examples"][0]["task"] == "What's John's salary?"
    assert METAS["get_leave_balance"]["examples"][0]["task"] == "What is John's leave balance?"


def test_people_are_looked_up_by_the_same_code_in_every_python_capability() -> None:
    sources = [
        (EXAMPLE / name / "src" / "capability.py").read_text(encoding="utf-8")
        for name in set(IDS) - set(NATIVE) - GENERAL
    ]
    lookups = {source[source.index("def read(table: str)") :] for source in sources}
    assert len(lookups) == 1
