"""Texts to unit vectors: the embedded model that works offline, and the door for a provider's.

Vectors of two embedders mean nothing to each other; `name` says which space a vector lives in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from metier.errors import ModelError, SetupMissing
from metier.retrieval.glue import content

Vectors = NDArray[np.float32]
"""One row a text, shape (n, d)."""

BATCH = 256
"""Texts in one request to a provider."""


class Embedder(Protocol):
    """Anything that turns texts into vectors of one space."""

    @property
    def name(self) -> str:
        """The vector space: model and dimensions. Vectors are kept under this name."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text, shape (n, d), of length 1; all zeros for a text without content."""
        ...


class WordLlamaEmbedder:
    """WordLlama's 256-dimension static embeddings; the weights lie in its wheel, nothing is fetched.

    A text's vector is the mean of two: of the text as it is, and of the words in it that carry its meaning, in lower
    case. A static model knows "Salary" and "salary" as different words, and adds up every "please" and "provides".
    The model loads at the first use. Several threads may embed at once.
    """

    name = "wordllama:l2_supercat:256:content"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: Any = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text, shape (n, 256).

        Raises:
            SetupMissing: the package or its weights are not there.
        """
        if not texts:
            return np.zeros((0, 256), dtype=np.float32)
        both = [*texts, *(content(text) for text in texts)]
        vectors = unit(np.asarray(self._loaded().embed(both), dtype=np.float32))
        return unit(vectors[: len(texts)] + vectors[len(texts) :])

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                self._model = _load_wordllama()
            return self._model


class ProviderEmbedder:
    """A provider's embedding model, reached through `embed`, which answers with one vector a text, in order."""

    def __init__(self, name: str, embed: Callable[[Sequence[str]], Sequence[Sequence[float]]]) -> None:
        self.name = name
        self._embed = embed

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text, in requests of at most `BATCH` texts. Without texts nothing is asked; the shape is (0, 0).

        Raises:
            ModelError: the answer has another number of vectors, unequal dimensions, or something that is no number.
        """
        parts = [self._batch(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        dimensions = {part.shape[1] for part in parts}
        if len(dimensions) > 1:
            raise ModelError(f"{self.name}: vectors of {_listed(dimensions)} dimensions in one answer")
        return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)

    def _batch(self, texts: Sequence[str]) -> Vectors:
        answer = self._embed(texts)
        if len(answer) != len(texts):
            raise ModelError(f"{self.name}: asked to embed {len(texts)} texts and got {len(answer)} vectors")
        dimensions = {len(vector) for vector in answer}
        if len(dimensions) != 1 or 0 in dimensions:
            raise ModelError(f"{self.name}: vectors of {_listed(dimensions)} dimensions in one answer")
        try:
            vectors = np.asarray(answer, dtype=np.float32)
        except (TypeError, ValueError):
            raise ModelError(f"{self.name}: an embedding holds something that is no number") from None
        if not np.isfinite(vectors).all():
            raise ModelError(f"{self.name}: an embedding holds something that is no finite number")
        return unit(vectors)


def _listed(dimensions: set[int]) -> str:
    return " and ".join(str(dimension) for dimension in sorted(dimensions))


def unit(vectors: Vectors) -> Vectors:
    """The rows, each made of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    found: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0, casting="same_kind")
    return found


def _load_wordllama() -> Any:
    with _root_logger_untouched():
        try:
            import wordllama  # type: ignore[import-untyped]  # it ships no types
        except ImportError:
            raise SetupMissing("the wordllama package is missing: pip install wordllama") from None
        try:
            # The loader looks for the tokenizer beneath cache_dir only, although the wheel carries it.
            folder = Path(wordllama.__file__).parent
            return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
        except FileNotFoundError as error:
            raise SetupMissing(f"wordllama is installed without its weights ({error}): reinstall it") from None


@contextmanager
def _root_logger_untouched() -> Iterator[None]:
    """Importing wordllama calls logging.basicConfig, which would send every library's log lines to stderr."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            root.removeHandler(handler)
        root.setLevel(level)
