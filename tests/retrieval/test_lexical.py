"""Words, stems and BM25."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metier.retrieval.fusion import MAX_CLAUSES, clauses
from metier.retrieval.lexical import LexicalIndex, Vocabulary, impact, normalised, stem, terms, weight_of, words


def weighed(text: str) -> list[tuple[str, float]]:
    return [(term, weight_of(term)) for term in terms(text)]


def index(*documents: str) -> LexicalIndex:
    vocabulary = Vocabulary()
    return LexicalIndex(vocabulary, [vocabulary.bag(weighed(document)) for document in documents])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("getSalaryDetails", ["get", "salary", "detail"]),
        ("get_salary_details", ["get", "salary", "detail"]),
        ("HTTPServer v2", ["http", "server", "v2"]),
        ("Müller's Café", ["muller", "caf"]),
        ("what is the", []),
        ("", []),
    ],
)
def test_names_fall_apart_into_stemmed_words_without_accents(text: str, found: list[str]) -> None:
    assert words(text) == found


@pytest.mark.parametrize(
    "forms",
    [
        ("salary", "salaries"),
        ("calculate", "calculates", "calculated", "calculating", "calculation"),
        ("plan", "plans", "planned", "planning"),
        ("box", "boxes"),
        ("create", "creating", "creation"),
    ],
)
def test_forms_of_a_word_have_one_stem(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


@pytest.mark.parametrize("word", ["status", "bus", "this", "ring", "red", "class", "ed", "s"])
def test_short_words_and_other_endings_stay(word: str) -> None:
    assert stem(word) == word


def test_the_document_with_the_rarer_words_scores_best() -> None:
    scores = index("salary of an employee", "leave of an employee", "employee list").scores(words("employee salary"))
    assert scores.argmax() == 0
    assert scores[1] > 0
    assert scores.dtype == np.float32


def test_unknown_words_and_empty_queries_score_nothing() -> None:
    small = index("salary", "leave")
    assert not small.scores(words("zebra")).any()
    assert not small.scores([]).any()
    assert index().scores(["salary"]).shape == (0,)


def test_words_that_came_into_the_vocabulary_later_are_unknown() -> None:
    vocabulary = Vocabulary()
    early = LexicalIndex(vocabulary, [vocabulary.bag([("salary", 1.0)])])
    vocabulary.bag([("zebra", 1.0)])
    assert not early.scores(["zebra"]).any()


@given(st.lists(st.text(alphabet="abc ", max_size=30), max_size=8), st.text(alphabet="abcd ", max_size=60))
def test_scores_are_finite_and_not_below_zero(documents: list[str], query: str) -> None:
    scores = index(*documents).scores(terms(query))
    assert scores.shape == (len(documents),)
    assert (np.isfinite(scores) & (scores >= 0)).all()


def test_two_words_side_by_side_count_more_than_apart() -> None:
    scores = index("rate of an exchange", "exchange rate of today", "a mean exchange and a low rate").scores(
        terms("exchange rate")
    )
    assert scores.argmax() == 1


def test_the_same_sum_weighs_more_among_more_documents() -> None:
    total = np.ones(1, dtype=np.float32)
    few, some, many = (float(normalised(total, 10.0, size)[0]) for size in (200, 2_000, 200_000))
    assert few < some < many


def test_a_query_is_split_into_the_clauses_that_have_something_to_say() -> None:
    query = "Find John's salary and book a room in Oslo. Thanks!"
    assert clauses(query) == [query, "Find John's salary", "book a room in Oslo."]
    assert clauses("What's John's salary?") == ["What's John's salary?"]
    assert len(clauses("find a room, " * 100)) == MAX_CLAUSES + 1


def test_splitting_hostile_text_takes_no_longer_than_other_text() -> None:
    start = time.perf_counter()
    clauses(" and" * 1000 + "," * 1000 + " " * 2000)
    words("a" * 100_000 + "A" * 100_000)
    assert time.perf_counter() - start < 1


def test_words_weigh_more_once_documents_are_mostly_solved_tasks() -> None:
    counts, lengths = np.ones(1, dtype=np.float32), np.full(1, 60.0)
    short, learned = (float(impact(counts, lengths * times, 60.0 * times)[0]) for times in (1, 10))
    assert short < learned < 2 * short
