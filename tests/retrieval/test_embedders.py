"""Embedders: offline by default, unit vectors always, one clear line when a provider answers nonsense."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from metier.errors import ModelError
from metier.retrieval.embedders import BATCH, ProviderEmbedder, WordLlamaEmbedder

WORDLLAMA = WordLlamaEmbedder()


def test_each_text_gets_one_row_of_length_one() -> None:
    vectors = WORDLLAMA.embed(["What's John's salary?", "weather in Oslo", "salary of an employee"])
    assert vectors.shape == (3, 256)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1]


def test_politeness_and_capitals_move_a_task_little() -> None:
    plain, polite, other = WORDLLAMA.embed(
        ["convert dollars to euros", "Please help me: can you Convert dollars to Euros?", "convert a photo to grey"]
    )
    assert plain @ polite > 0.9 > plain @ other


def test_a_text_without_content_gets_zeros_and_no_texts_get_no_rows() -> None:
    assert not WORDLLAMA.embed([""]).any()
    assert WORDLLAMA.embed([]).shape == (0, 256)


def test_a_vector_does_not_depend_on_its_neighbours_in_a_batch() -> None:
    alone = WORDLLAMA.embed(["hello"])[0]
    together = WORDLLAMA.embed(["hello", "a much longer text " * 30])[0]
    assert (alone == together).all()


def test_threads_may_share_an_embedder_that_is_not_loaded_yet() -> None:
    fresh = WordLlamaEmbedder()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: fresh.embed(["hello"])[0], range(16)))
    assert all((vector == found[0]).all() for vector in found)


def test_loading_leaves_the_root_logger_as_it_was() -> None:
    code = (
        "import logging; root = logging.getLogger(); before = (list(root.handlers), root.level)\n"
        "from metier.retrieval.embedders import WordLlamaEmbedder\n"
        "WordLlamaEmbedder().embed(['x'])\n"
        "assert (root.handlers, root.level) == before, root.handlers\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_provider_is_asked_in_batches_and_its_vectors_are_normalised() -> None:
    asked: list[int] = []

    def embed(texts: Sequence[str]) -> list[list[float]]:
        asked.append(len(texts))
        return [[3.0, 4.0] for _ in texts]

    vectors = ProviderEmbedder("openai:test", embed).embed(["text"] * (2 * BATCH + 1))
    assert asked == [BATCH, BATCH, 1]
    assert np.allclose(vectors, [[0.6, 0.8]])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([[1.0, 0.0]], "asked to embed 2 texts and got 1 vectors"),
        ([[1.0, 0.0], [1.0]], "vectors of 1 and 2 dimensions in one answer"),
        ([[], []], "vectors of 0 dimensions in one answer"),
        ([["a", "b"], ["c", "d"]], "something that is no number"),
        ([[float("nan"), 0.0], [1.0, 0.0]], "something that is no finite number"),
    ],
)
def test_nonsense_from_a_provider_is_one_clear_line(answer: list[list[float]], told: str) -> None:
    with pytest.raises(ModelError, match=told) as raised:
        ProviderEmbedder("openai:test", lambda _: answer).embed(["a", "b"])
    assert str(raised.value).startswith("openai:test: ")
    assert "\n" not in str(raised.value)
