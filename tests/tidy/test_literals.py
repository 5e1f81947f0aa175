"""Sources without their literals: what counts as the same program, and what a literal is called."""

from __future__ import annotations

import pytest

from metier.capability import Language
from metier.tidy.literals import Constant, parameter_name, same_kind, skeleton


def python(source: str) -> tuple[Constant, ...]:
    found = skeleton("python", source)
    assert found is not None
    return found.constants


def test_comments_layout_and_docstrings_do_not_tell_programs_apart() -> None:
    one = skeleton("python", 'def run(input):\n    """One."""\n    return {"a": 1}  # one\n')
    other = skeleton("python", 'def run(input):\n\n    return {\n        "a": 2}\n')
    assert one is not None and other is not None
    assert one.rest == other.rest
    assert [c.value for c in one.constants] == ["a", 1]


@pytest.mark.parametrize("other", ["x = True", "x = None", "x = 1", "y = 'a'", "x = -1", "x = 'a' + 'b'"])
def test_another_kind_name_or_operation_is_another_program(other: str) -> None:
    one, two = skeleton("python", "x = 'a'"), skeleton("python", other)
    assert one is not None and two is not None
    assert one.rest != two.rest


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ('person["name"] == "John"', "name"),
        ('"John" == person.get("name")', "name"),
        ("employee.city == 'Rome'", "city"),
        ("RATE = 0.2", "RATE"),
        ("round(x, ndigits=2)", "ndigits"),
        ("x * 12", "factor"),
        ("foo(12)", "value"),
    ],
)
def test_a_literal_is_called_by_the_words_around_it(source: str, hint: str) -> None:
    assert python(source)[-1].hint == hint or python(source)[0].hint == hint


def test_the_words_of_an_error_are_nothing_to_be_given() -> None:
    assert [c.hint for c in python('raise host.Error("no John", kind="a")')] == [None, None]


def test_a_source_that_does_not_parse_has_no_skeleton() -> None:
    assert skeleton("python", "def run(:\n") is None


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("c", "int f(void) { return 12; } // twelve", "int f(void) { return 0x0d; }"),
        ("rust", 'let name = "John"; /* him */', 'let name = "Mary";'),
        ("go", "rate := 0.25", "rate := 1e3"),
        ("javascript", "if (x === 'a') return 1", "if (x === 'it\\'s') return 1"),
    ],
)
def test_other_languages_are_compared_by_their_tokens(language: Language, one: str, other: str) -> None:
    first, second = skeleton(language, one), skeleton(language, other)
    assert first is not None and second is not None
    assert first.rest == second.rest
    assert first.constants != second.constants


def test_digits_in_names_are_no_literals() -> None:
    found = skeleton("c", "int a1 = b2[3];")
    assert found is not None
    assert [c.value for c in found.constants] == [3]


def test_names_of_parameters_are_free_and_plain() -> None:
    assert parameter_name("RATE", set()) == "rate"
    assert parameter_name("name", {"name", "name_2"}) == "name_3"
    assert parameter_name("Größe in m²", set()) == "gr_sse_in_m"
    assert parameter_name("2nd", set()) == "value_2nd"
    assert parameter_name("", set()) == "value"


def test_values_have_one_type_or_none() -> None:
    assert same_kind(["a", "b"]) == "string"
    assert same_kind([1, 2]) == "integer"
    assert same_kind([1, 2.5]) == "number"
    assert same_kind([1, "a"]) is None
