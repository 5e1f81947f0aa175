"""What small changes around a draft bring to light, in the words that its author is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.library import Library
from metier.mutation.sameness import same_program
from metier.mutation.variations import perturbed
from metier.outcomes import NotMutated
from tests.mutation.test_draft import DRAFT
from tests.mutation.test_mutator import source

SETTINGS = """
[roots]
hr = "data"
[policy]
files = [{ root = "hr", path = "**", access = "write" }]
clock = "recorded"
[policy.unasked]
files = [{ root = "hr", path = "**", access = "write" }]
clock = "recorded"
"""
PEOPLE = {"hr/people.json": [{"name": "Kim", "salary": 10}, {"name": "Lee", "salary": 20}]}
READ = """
import json

import host

def run(input: dict) -> dict:
    for person in json.load(open("/hr/people.json")):
        if person["name"] == input["name"]:
            return {"salary": person["salary"]}
    raise host.Error("no such person", kind="not_found")
"""


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    (library.path / "data").mkdir()
    (library.path / "metier.toml").write_text(SETTINGS, encoding="utf-8")
    return library


def reading(program: str = READ, **changes: Any) -> dict[str, Any]:
    return {
        "id": "get_salary",
        "summary": "Returns the salary of a person.",
        "input_schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        "output_schema": {"type": "object", "properties": {"salary": {"type": "integer"}}, "required": ["salary"]},
        "effects": "read",
        "permissions": asking({"path": "people.json", "access": "read"}),
        "examples": [
            {"input": {"name": "Kim"}, "output": {"salary": 10}, "fixtures": PEOPLE},
            {"input": {"name": "Lee"}, "output": {"salary": 20}, "fixtures": PEOPLE},
            {"input": {"name": "Nobody"}, "error": {"kind": "not_found"}, "fixtures": PEOPLE},
        ],
        "source": program,
        **changes,
    }


def asking(*files: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"files": [{"root": "hr", **file} for file in files], **more}


def pure(body: str, *, examples: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {**DRAFT, "source": source(body), **({"examples": examples} if examples else {}), **changes}


def found(library: Library, draft: dict[str, Any]) -> str:
    """What is found, in lines; nothing where it is published."""
    with Runtime.open(library.path) as runtime:
        outcome = runtime.mutator().submit(draft, None, "test:author")
    return "\n".join(outcome.findings) if isinstance(outcome, NotMutated) else ""


def test_a_sound_draft_is_left_alone(library: Library) -> None:
    assert found(library, reading()) == ""
    assert found(library, DRAFT) == ""


KIM = 'return {"salary": {"Kim": 10, "Lee": 20}[input["name"]]}'
SWALLOWING = READ.replace('json.load(open("/hr/people.json"))', "read()") + (
    'def read():\n    try:\n        return json.load(open("/hr/people.json"))\n    except ERROR:\n'
    '        return [{"name": "Kim", "salary": 0}]\n'
)
MORE = asking({"path": "people.json", "access": "read"}, {"path": "pay.json", "access": "read"})
DAY = 'import datetime\nreturn {"twice": 2 * input["n"] + (datetime.date.today().year > 2026)}'
NAMED: dict[str, Any] = {"n": {"type": "integer"}, "user_id": {"type": "string"}}
WHO = 'return {"twice": 2 * input["n"] + len(input.get("user_id", "ab"))}'
TWO = [
    {"input": {"n": 1, "user_id": "ab"}, "output": {"twice": 4}},
    {"input": {"n": 1, "user_id": "abc"}, "output": {"twice": 5}},
    {"input": {"n": 2, "user_id": "abc"}, "output": {"twice": 7}},
]
UNSOUND: dict[str, tuple[dict[str, Any], str]] = {
    "a file that no example reads": (reading(permissions=MORE), "asks to read hr/pay.json, but no example needs that"),
    "a pattern for one file": (
        reading(permissions=asking({"path": "*.json", "access": "read"})),
        "each example needs hr/people.json and no other file: ask for that by name",
    ),
    "a clock that plays no part": (
        reading(permissions=asking({"path": "people.json", "access": "read"}, clock="recorded")),
        "asks to read the real clock, but no example needs that",
    ),
    "a right to write that is not used": (
        reading(
            id="fetch_salary",
            effects="write",
            permissions=asking({"path": "people.json", "access": "write"}),
            examples=[{**reading()["examples"][0], "after": PEOPLE}, *reading()["examples"][1:]],
        ),
        'asks to write hr/people.json, but no example needs that: ask to read it and make effects "read"',
    ),
    "effects that are more than it may do": (reading(effects="write"), "effects is 'write', but its permissions let"),
    "a file that is missed by nobody": (
        reading(SWALLOWING.replace("ERROR", "OSError")),
        "when hr/people.json cannot be read",
    ),
    "damage that is missed by nobody": (
        reading(SWALLOWING.replace("ERROR", "ValueError")),
        "when hr/people.json holds no valid",
    ),
    "a file that is opened for show": (
        reading(
            READ.replace('json.load(open("/hr/people.json"))', 'open("/hr/people.json") and KNOWN')
            + "KNOWN = "
            + repr(PEOPLE["hr/people.json"])
            + "\n"
        ),
        "whatever hr/people.json holds, the examples come out the same",
    ),
    "a failure as an output": (
        reading(
            READ.replace('raise host.Error("no such person", kind="not_found")', 'return {"error": "no such person"}'),
            output_schema={"type": "object", "properties": {"salary": {}, "error": {}}},
            examples=[
                *reading()["examples"][:2],
                {"input": {"name": "Nobody"}, "output": {"error": "no such person"}, "fixtures": PEOPLE},
            ],
        ),
        "a failure is no output",
    ),
    "the time of day": (pure(DAY), "the result depends on the time or on random numbers: on another day it is"),
    "an input that no example gives": (
        pure(
            'return {"twice": 2 * input["n"]}', input_schema={"type": "object", "properties": NAMED, "required": ["n"]}
        ),
        "no example gives the input 'user_id': add one in which it matters",
    ),
    "an input that does not matter": (
        pure('return {"twice": 4}', examples=[{"input": {"n": n}, "output": {"twice": 4}} for n in (1, 2, 3)]),
        "the input 'n' makes no difference to any example",
    ),
    "somebody by default": (
        pure(WHO, examples=TWO, input_schema={"type": "object", "properties": NAMED, "required": ["n"]}),
        "without 'user_id' it returns what it does for \"ab\": require 'user_id', or fail without it",
    ),
    "a slip on an input that is allowed": (
        pure('return {"twice": 2 * input["n"] * input["n"] // input["n"]}'),
        'input {"n":0}, which input_schema allows, ends with ZeroDivisionError',
    ),
    "an output that never comes": (
        pure(
            'return {"twice": 2 * input["n"]}',
            output_schema={"type": "object", "properties": {"twice": {"type": "integer"}, "half": {}}},
        ),
        "no example's output has 'half', which output_schema names",
    ),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_what_is_wrong_is_said_with_what_to_do(library: Library, name: str) -> None:
    draft, said = UNSOUND[name]
    assert said in found(library, draft)


def test_chance_is_left_alone_where_it_is_asked_for(library: Library) -> None:
    draw = pure(
        'import random, host\nif input["n"] < 0:\n    raise host.Error("less than nothing", kind="negative")\n'
        'return {"twice": input["n"] + random.randint(1, 10**9)}',
        examples=[{"input": {"n": 5}}, *({"input": {"n": n}, "error": {"kind": "negative"}} for n in (-1, -2))],
    )
    assert "the result depends on the time or on random numbers" in found(library, draw)
    assert found(library, {**draw, "permissions": {"random": "seeded"}}) == ""


ADDING = """
def run(input):
    total = 0
    for n in input["n"]:
        total += n
    return {"t": total}
"""


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (ADDING.replace("    total = 0", "    # more\n    total   =   0"), True),
        (ADDING.replace("total", "s").replace("input", "given"), True),
        (ADDING.replace("    total = 0", '    """Adds."""\n    total = 0'), True),
        (ADDING.replace("0", "1"), False),
        (ADDING.replace('"t"', '"T"'), False),
        (ADDING.replace("+=", "-="), False),
        ("def run(input:\n", False),
    ],
)
def test_a_program_is_the_same_up_to_comments_layout_and_names(other: str, same: bool) -> None:
    assert same_program(ADDING, other, "python") is same


def test_in_other_languages_comments_and_layout_do_not_count() -> None:
    assert same_program("int a = 1; // one\n", "int a=1;\n/* uno */", "c")
    assert not same_program("int a = 1;", "int a = 2;", "c")
    assert not same_program('puts("a b");', 'puts("a  b");', "c")


def test_perturbed_data_has_its_shape_and_says_something_else() -> None:
    assert perturbed({"a": [1, "x", None, True]}) == {"a": [8, "xx", None, False]}
    assert perturbed('[{"a": 1}]') == '[{"a": 8}]'
    assert perturbed(b"on 1,2") == "po 2,3"
