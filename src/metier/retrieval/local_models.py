"""Embedding models that lie on this machine, by way of model2vec or sentence-transformers. Nothing is fetched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from metier.errors import ModelError, SetupMissing
from metier.retrieval.embedders import Vectors, unit


class Encoder(Protocol):
    """A loaded model."""

    def encode(self, texts: list[str], /) -> Any:
        """One row of numbers a text."""
        ...


class _Encoding:
    """A library's model with the options that its `encode` is called with."""

    def __init__(self, model: Any, **options: Any) -> None:
        self._model = model
        self._options = options

    def encode(self, texts: list[str], /) -> Any:
        return self._model.encode(texts, **self._options)


class LocalEmbedder:
    """A model in a folder, named `library:PATH`; it loads at the first use. Several threads may embed at once.

    The name, path and all, is the vector space: another model belongs in another folder.
    """

    def __init__(self, name: str, load: Callable[[], Encoder]) -> None:
        self.name = name
        self._load = load
        self._lock = threading.Lock()
        self._model: Encoder | None = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text.

        Raises:
            SetupMissing: the library or the model is not there.
            ModelError: the model answers with something else than one row of finite numbers a text.
        """
        with self._lock:  # one at a time: torch spreads over the processors by itself
            if self._model is None:
                self._model = self._load()
            if not texts:
                return np.zeros((0, 0), dtype=np.float32)
            vectors = np.asarray(self._model.encode(list(texts)), dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise ModelError(f"{self.name}: the model does not give one row of finite numbers a text")
        return unit(vectors)


def local_embedder(name: str) -> LocalEmbedder | None:
    """The embedder that `name` means, `model2vec:PATH` or `sentence-transformers:PATH`; None for any other name.

    A sentence-transformers model may also be named as on the hub, if it is in this machine's cache.
    """
    library, _, where = name.partition(":")
    if library not in _LIBRARIES or not where:
        return None
    load = _LIBRARIES[library]
    return LocalEmbedder(name, lambda: load(name, where))


def _model2vec(name: str, where: str) -> Encoder:
    if not Path(where).expanduser().is_dir():
        raise SetupMissing(f"{name}: there is no folder {where}; save a model there with StaticModel.save_pretrained")
    try:
        from model2vec import StaticModel
    except ImportError:
        raise SetupMissing(f"{name} needs model2vec: pip install 'metier[model2vec]'") from None
    try:
        model = StaticModel.from_pretrained(Path(where).expanduser(), force_download=False)
    except Exception as error:  # the library raises whatever its parsers do
        raise SetupMissing(f"{name}: {where} holds no model of model2vec ({_line(error)})") from None
    return _Encoding(model, use_multiprocessing=False)


def _sentence_transformers(name: str, where: str) -> Encoder:
    try:
        from sentence_transformers import (  # type: ignore[import-not-found,unused-ignore]
            SentenceTransformer,
        )
    except ImportError:
        hint = "pip install 'metier[sentence-transformers]'"
        raise SetupMissing(f"{name} needs sentence-transformers: {hint}") from None
    folder = Path(where).expanduser()
    try:
        model = SentenceTransformer(str(folder) if folder.is_dir() else where, device="cpu", local_files_only=True)
    except Exception as error:  # the library raises whatever its parsers do
        why = f"{where} is no model folder, nor in the cache of this machine"
        raise SetupMissing(f"{name}: {why} ({_line(error)})") from None
    return _Encoding(model, convert_to_numpy=True, show_progress_bar=False)


_LIBRARIES: dict[str, Callable[[str, str], Encoder]] = {
    "model2vec": _model2vec,
    "sentence-transformers": _sentence_transformers,
}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
