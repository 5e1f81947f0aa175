"""Vectors on disk, so that a text is embedded once: by embedder and by SHA-256 of the text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metier.localstore import LocalStore

LAYOUT = 1
TABLES = """
CREATE TABLE vectors (
  embedder TEXT NOT NULL, text_sha256 BLOB NOT NULL, vector BLOB NOT NULL,
  PRIMARY KEY (embedder, text_sha256)
)
"""
"""A vector is its float32 values, little-endian. WITHOUT ROWID would spend an overflow page on each."""

_FLOATS = np.dtype("<f4")
_FEW = 400
"""Up to this many vectors are looked up one by one in one query; for more, the embedder's whole table is read."""


class VectorStore:
    """The vectors of one embedder in the SQLite file at `path`; without a usable one, nothing is kept."""

    def __init__(self, path: Path | None, embedder: str) -> None:
        self._store = LocalStore(path, layout=LAYOUT, tables=TABLES)
        self._embedder = embedder

    def get(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of those `texts` that are known, each of shape (d,). Damaged ones count as unknown."""
        keys = {text_key(text): text for text in texts}
        query = "SELECT text_sha256, vector FROM vectors WHERE embedder = ?"
        if len(keys) <= _FEW:
            query += f" AND text_sha256 IN ({','.join('?' * len(keys))})"
            found = self._store.read(query, (self._embedder, *keys))
        else:
            found = self._store.read(query, (self._embedder,))
        return {keys[key]: _vector(blob) for key, blob in found if key in keys and _is_vector(blob)}

    def put(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep a vector for each text."""
        rows = [(self._embedder, text_key(text), vector.astype(_FLOATS).tobytes()) for text, vector in vectors.items()]
        self._store.write("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    def forget(self) -> None:
        """Drop all vectors of this embedder."""
        self._store.write("DELETE FROM vectors WHERE embedder = ?", [(self._embedder,)])

    def close(self) -> None:
        self._store.close()


def text_key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8")).digest()


def _is_vector(blob: object) -> bool:
    if not isinstance(blob, bytes) or not blob or len(blob) % _FLOATS.itemsize:
        return False
    return bool(np.isfinite(np.frombuffer(blob, dtype=_FLOATS)).all())


def _vector(blob: bytes) -> NDArray[np.float32]:
    return np.frombuffer(blob, dtype=_FLOATS).astype(np.float32)
