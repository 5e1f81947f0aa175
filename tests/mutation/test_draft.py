"""Reading a draft out of whatever a model sends, and saying precisely what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metier.model import Reply, ToolCall
from metier.mutation.draft import NotADraft, read_draft

DRAFT: dict[str, Any] = {
    "id": "double",
    "summary": "Returns twice a number.",
    "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    "output_schema": {"type": "object", "properties": {"twice": {"type": "integer"}}, "required": ["twice"]},
    "effects": "pure",
    "permissions": {},
    "examples": [{"input": {"n": n}, "output": {"twice": 2 * n}} for n in (1, 2, 3)],
    "source": 'def run(input: dict) -> dict:\n    return {"twice": 2 * input["n"]}\n',
}


def called(arguments: dict[str, Any] | None, *, name: str = "submit_capability", problem: str | None = None) -> Reply:
    return Reply("", (ToolCall("call_1", name, arguments, "", problem),))


def findings(reply: Reply) -> str:
    with pytest.raises(NotADraft) as caught:
        read_draft(reply)
    return "\n".join(caught.value.findings)


def test_a_tool_call_is_a_draft() -> None:
    draft = read_draft(called(DRAFT))
    assert (draft.contract.id, draft.contract.language, draft.call_id) == ("double", "python", "call_1")
    assert draft.source == DRAFT["source"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DRAFT),
        f"Here it is:\n```json\n{json.dumps(DRAFT)}\n```\nDone.",
        f"```\n{json.dumps(DRAFT, indent=2)}\n```",
        f"```json\n{json.dumps(DRAFT | {'source': None})}\n```\n```python\n{DRAFT['source']}```".replace(
            ', "source": null', ""
        ),
    ],
)
def test_json_in_the_text_is_a_draft_too(text: str) -> None:
    assert read_draft(Reply(text)).contract.id == "double"


def test_objects_sent_as_json_text_are_decoded() -> None:
    fields = {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in DRAFT.items()}
    assert read_draft(called(fields)).contract.examples[1].output == {"twice": 4}


def test_a_fence_around_the_source_is_taken_off() -> None:
    fenced = {**DRAFT, "source": f"```python\n{DRAFT['source']}```"}
    assert read_draft(called(fenced)).source == DRAFT["source"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "Double It"}, "id"),
        ({"effects": "none"}, "effects"),
        ({"permissions": {"shell": True}}, "permissions.shell"),
        ({"permissions": {"files": [{"root": "hr", "path": "../x", "access": "read"}]}}, "permissions.files.0.path"),
        ({"examples": [{"input": {}}, {"input": {}}]}, "one of the two"),
        ({"source": ""}, "source must be"),
        ({"source": None}, "source must be"),
        ({"summary": ""}, "summary"),
        ({"note": "x"}, "note is not a field"),
        (
            {"effects": "pure", "permissions": {"files": [{"root": "hr", "path": "x", "access": "read"}]}},
            "permissions ask for more",
        ),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], said: str) -> None:
    assert said in findings(called({**DRAFT, **change}))


def test_every_missing_field_is_named() -> None:
    said = findings(called({"id": "double"}))
    assert all(f"{name} is missing" in said for name in DRAFT if name != "id")


def test_no_draft_at_all_asks_for_the_tool() -> None:
    assert "submit_capability" in findings(Reply("I would rather not."))
    assert "submit_capability" in findings(Reply(""))


def test_another_tool_and_broken_arguments_are_named() -> None:
    assert "no tool named 'shell'" in findings(called({}, name="shell"))
    assert "do not parse: cut off" in findings(called(None, problem="cut off"))


@pytest.mark.parametrize("language", [{}, [], None, 7, "cobol"])
def test_a_language_is_one_of_those_that_there_are(language: Any) -> None:
    assert "language must be one of" in findings(called({**DRAFT, "language": language}))
