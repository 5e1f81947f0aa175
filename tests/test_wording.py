"""Templates: filled without evaluating, learned only where they cannot go stale."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metier.wording import MAX_READABLE_CHARACTERS, NUMBER_FORMATS, fill, learn_template, readable, write

EVENTS = {"name": "Ann", "events": [{"title": "Review", "at": "2026-11-24T09:30"}, {"title": "Lunch", "at": "12:00"}]}

keys = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=6)
scalars = (
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
) | st.text(max_size=12)
outputs = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))


@pytest.mark.parametrize(
    ("template", "output", "text"),
    [
        ("{name} has {events.1.title} at {events.1.at}", EVENTS, "Ann has Lunch at 12:00"),
        ("{salary:,} {{gross}}", {"salary": 85000}, "85,000 {gross}"),
        ("{a:.0f} {a:.1f} {a:.2f} {a:,.2f}", {"a": 1234.567}, "1235 1234.6 1234.57 1,234.57"),
        ("{share:.0%} or {share:.1%}", {"share": 0.155}, "16% or 15.5%"),
        ("{{{name}}}", {"name": "Ann"}, "{Ann}"),
        ("{}", 42, "42"),
        ("{:,}", 4200, "4,200"),
        ("{ok}", {"ok": True}, "true"),
        ("{a}", {"a": "{b}", "b": "never"}, "{b}"),
        ("plain", None, "plain"),
    ],
)
def test_a_template_is_filled_from_the_output(template: str, output: Any, text: str) -> None:
    assert fill(template, output) == text


@pytest.mark.parametrize(
    "template",
    [
        "{missing}",
        "{events}",
        "{events.2.title}",
        "{events.-1.title}",
        "{events.first}",
        "{name.__class__}",
        "{name!r}",
        "{name:>100000000}",
        "{name:,}",
        "{n:d}",
        "{n:1000000000}",
        "{n:{n}}",
        "{nothing}",
        "{on:,}",
        "{",
        "}",
        "{name",
        "a } b",
        "{}",
        "{events[0]}",
    ],
)
def test_what_leads_nowhere_or_is_no_known_format_fills_nothing(template: str) -> None:
    assert fill(template, EVENTS | {"n": 5, "nothing": None, "on": True}) is None


@given(st.text(), outputs)
def test_filling_never_raises(template: str, output: Any) -> None:
    assert fill(template, output) is None or isinstance(fill(template, output), str)


@given(st.text(alphabet="ab{}:.,%0f ", max_size=30), outputs)
def test_filling_hostile_templates_never_raises(template: str, output: Any) -> None:
    fill(template, output)


@pytest.mark.parametrize(
    ("answer", "output", "task", "template"),
    [
        ("John earns $85,000.", {"salary": 85000}, "What does John earn?", "John earns ${salary:,}."),
        ("It is 85,000.50 a year.", {"pay": 85000.5}, "", "It is {pay:,.2f} a year."),
        ("The rate is 15%.", {"rate": 0.15}, "", "The rate is {rate:.0%}."),
        ("The rate is 15%.", {"percent": 15}, "", "The rate is {percent}%."),
        ("-5 degrees", {"t": -5}, "", "{t} degrees"),
        ("Next is Review.", EVENTS, "what is next", "Next is {events.0.title}."),
        ("Room 5 seats 8.", {"room": "Room 5", "n": 5, "seats": 8}, "", "{room} seats {seats}."),
        ("{85}", {"n": 85}, "", "{{{n}}}"),
        ("The total is 42.", 42, "", "The total is {}."),
        ("Of 2026, Ann has 7 days.", {"days": 7}, "Ann's days off in 2026?", None),
    ],
)
def test_values_in_an_answer_become_placeholders(answer: str, output: Any, task: str, template: str) -> None:
    assert learn_template(answer, output, task) == template


@pytest.mark.parametrize(
    ("answer", "output", "task"),
    [
        ("John earns 85,000, reviewed in 2025.", {"salary": 85000}, "What does John earn?"),
        ("It went from 5 to 5.", {"old": 5, "new": 5}, ""),
        ("He reports to Mary, who has 3 reports.", {"reports": 3}, ""),
        ('They call it "the pit", 3 floors down.', {"floors": 3}, ""),
        ("On November 24 she has 3 meetings.", {"date": "2026-11-24", "n": 3}, ""),
        ("He earns well.", {"salary": 85000}, ""),
        ("It is 1850.", {"n": 85}, ""),
        ("It is 8.5.", {"a": 8, "b": 5}, ""),
        ("It is -85.", {"n": 85}, ""),
        ("The rate is 15%.", {"rate": 0.15, "percent": 15}, ""),
        ("It is 5.", {"a.b": 5}, ""),
        ("It is 5.", {"a.b": 5, "c": 5}, ""),
        ("", {"n": 5}, ""),
        ("It is 0.", {"n": 0.4}, ""),
    ],
)
def test_no_template_is_learned_where_it_could_go_stale(answer: str, output: Any, task: str) -> None:
    assert learn_template(answer, output, task) is None


@given(outputs, st.data())
def test_a_learned_template_gives_the_answer_back(output: Any, data: st.DataObject) -> None:
    def values(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in values(item)]
        return [leaf for item in value for leaf in values(item)] if isinstance(value, list) else [value]

    formats = st.sampled_from(["", *NUMBER_FORMATS])
    shown = st.sampled_from(values(output) or [1]).flatmap(lambda v: formats.map(lambda f: write(v, f) or "nothing"))
    words = st.lists(st.sampled_from(["it is ", "{", "}", " and ", ". ", "$", " "]) | shown, max_size=8)
    answer = "".join(data.draw(words))
    template = learn_template(answer, output, "")
    assert template is None or fill(template, output) == answer


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("1 " * 2000, {f"k{n}": 1 for n in range(500)}),
        ("a" * 4000, {f"k{n}": "a" for n in range(500)}),
        ("1" * 1_000_000, {"n": 1}),
    ],
    ids=["a number again and again", "a letter again and again", "a long answer"],
)
def test_nothing_is_learned_from_what_repeats_without_end(answer: str, output: dict[str, Any]) -> None:
    assert learn_template(answer, output, "x" * 1_000_000) is None


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (85000, "85000"),
        ("two\nlines", "two\nlines"),
        (True, "true"),
        (None, "null"),
        ({}, "{}"),
        ([], "[]"),
        ({"name": "Ann", "salary": 85000, "left": None}, "name: Ann\nsalary: 85000\nleft: null"),
        ([1, "two"], "- 1\n- two"),
        ({"a": {"b": 1}, "c": []}, "a:\n  b: 1\nc: []"),
        ([{"a": 1, "b": [2, 3]}, {"a": 4}], "- a: 1\n  b:\n    - 2\n    - 3\n- a: 4"),
        ({"note": "two\nlines"}, "note:\n  two\n  lines"),
        ({"list": ["only"]}, "list:\n  - only"),
    ],
)
def test_an_output_reads_as_indented_text(output: Any, text: str) -> None:
    assert readable(output) == text


def test_a_long_output_is_cut_and_says_so() -> None:
    text = readable(["row"] * 10_000)
    assert len(text) < MAX_READABLE_CHARACTERS + 50
    assert text.endswith("more characters)")


@given(outputs)
def test_every_output_is_readable(output: Any) -> None:
    assert readable(output) == readable(output)


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("Does John earn more than 80000 USD?", "Yes, John earns 85000 USD."),
        ("Is John paid in dollars?", "John is paid in USD."),
        ("What does John earn, compared with 80000?", "85000 USD, which is more than 80000."),
        ("What does John earn?", "He earns 85000 USD, the highest of them."),
        ("What does John earn?", "He doesn't earn 85000 USD yet."),
    ],
)
def test_a_judgement_over_old_values_is_not_learned(task: str, answer: str) -> None:
    assert learn_template(answer, {"salary": 85000, "currency": "USD"}, task) is None


def test_a_number_of_the_task_is_kept_only_if_the_program_was_given_it() -> None:
    output, answer, task = {"days": 12}, "12 days until 2026.", "How many days until 2026?"
    assert learn_template(answer, output, task) is None
    assert learn_template(answer, output, task, {"until": 2026}) == "{days} days until {@until}."
