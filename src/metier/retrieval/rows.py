"""Rows of a large index as flat arrays: a vector, a one-bit code and a bag of words each, scored exactly or coarsely.

A term, which is a word or a pair of words, is its `token`, some bits of its hash: arrays that two processes made need
no common numbering.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metier.retrieval.embedders import Vectors
from metier.retrieval.lexical import impact, normalised, rarity
from metier.retrieval.products import cosines

ID = np.dtype("S64")
"""An id has at most 63 characters, all ASCII."""
CODE_BITS = 256
CODE_WORDS = CODE_BITS // 64
IMPACT_STEPS = 100
"""Steps of an impact from 0 to 1. Where documents are long it may come to some 2; 2.55 is the most that a byte says."""
_FEW = 64
"""Up to so many vectors are projected on one thread."""

Index = NDArray[np.int64]
Tokens = NDArray[np.uint32]

PAIR = 2**31
"""The tokens of pairs of words are from here on, those of words below."""


@functools.lru_cache(maxsize=2**16)
def token(term: str) -> int:
    """31 bits of the term's hash, and one that says whether it is a pair. Two terms with one token count as one: it
    happens to one in two thousand of a million words, and to so few postings that no ranking shows it."""
    digest = hashlib.blake2b(term.encode("utf-8", "replace"), digest_size=4).digest()
    return int.from_bytes(digest, "little") % PAIR + (PAIR if " " in term else 0)


@dataclass(frozen=True, slots=True)
class Row:
    """One capability: its id, unit vector, and the distinct tokens of its terms, ascending, with what each counts."""

    id: str
    vector: NDArray[np.float32]
    tokens: Tokens
    counts: NDArray[np.float32]


def row(id: str, vector: NDArray[np.float32], terms: Iterable[tuple[str, float]]) -> Row:
    """The row of a capability with this vector and these terms; a term may come several times."""
    counted: dict[int, float] = {}
    for term, count in terms:
        number = token(term)
        counted[number] = counted.get(number, 0.0) + count
    tokens = sorted(counted)
    return Row(id, vector, np.array(tokens, np.uint32), np.array([counted[number] for number in tokens], np.float32))


@dataclass(frozen=True, slots=True)
class Projection:
    """From vectors to codes: the sign of each of 256 random directions, seen from the middle of the rows."""

    directions: NDArray[np.float32]
    """Shape (dimensions, 256), orthonormal as far as the dimensions allow."""
    middle: NDArray[np.float32]

    def codes(self, vectors: Vectors) -> NDArray[np.uint64]:
        """Shape (4, vectors): 64 bits a word, word by word, so that a search reads memory in order."""
        centred = vectors - self.middle
        few = len(vectors) <= _FEW
        bits = cosines(self.directions.T, centred).T > 0 if few else centred @ self.directions > 0
        return np.ascontiguousarray(np.packbits(bits, axis=1).view(np.uint64).T)

    def cosines(self, queries: Vectors) -> NDArray[np.float32]:
        """The cosine that each Hamming distance from 0 to 256 stands for, shape (queries, 257).

        The angle between two vectors is the share of differing signs (Charikar 2002), here of vectors from the middle.
        """
        angles = np.cos(np.pi * np.arange(CODE_BITS + 1) / CODE_BITS)
        spread = np.sqrt(max(0.0, 1.0 - float(self.middle @ self.middle)))
        scale = np.linalg.norm(queries - self.middle, axis=1, keepdims=True) * spread
        found: NDArray[np.float32] = (scale * angles + (queries @ self.middle)[:, None]).astype(np.float32)
        return found


def projection(vectors: Vectors, *, sample: int = 16_384) -> Projection:
    """A projection for vectors like these; the same vectors give the same one."""
    dimensions = vectors.shape[1]
    step = max(1, len(vectors) // sample)
    middle = np.asarray(vectors[::step], dtype=np.float64).mean(axis=0) if len(vectors) else np.zeros(dimensions)
    return Projection(_directions(dimensions), middle.astype(np.float32))


@functools.lru_cache(maxsize=4)
def _directions(dimensions: int) -> NDArray[np.float32]:
    draws = np.random.default_rng(0).standard_normal((dimensions, CODE_BITS))
    return (np.linalg.qr(draws)[0] if dimensions >= CODE_BITS else draws).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Query:
    """A task, clause by clause with the whole of it first, as rows are scored for it."""

    vectors: Vectors
    parts: tuple[tuple[int, ...], ...]
    """The distinct tokens of each part."""

    @property
    def tokens(self) -> Tokens:
        return np.array(sorted({token for part in self.parts for token in part}), dtype=np.uint32)


@dataclass(frozen=True, slots=True)
class Weights:
    """What a query's tokens weigh over the whole index: `rarities` of `Query.tokens`, and sums of them by part."""

    tokens: Tokens
    rarities: NDArray[np.float32]
    holds: NDArray[np.float32]
    """Whether a part has a token, shape (parts, tokens)."""
    sums: NDArray[np.float64]
    size: int
    average: float
    """The mean length of a row, in words."""

    @classmethod
    def of(cls, query: Query, frequencies: NDArray[np.int64], size: int, average: float) -> Weights:
        """The weights where so many of `size` rows, of this mean length, have each of the query's tokens."""
        tokens = query.tokens
        rarities = rarity(frequencies, size)
        holds = np.array([[t in part for t in tokens.tolist()] for part in map(set, query.parts)], dtype=np.float32)
        holds = holds.reshape(len(query.parts), len(tokens))
        return cls(tokens, rarities, holds, holds.astype(np.float64) @ rarities, size, average)

    def normalised(self, total: NDArray[np.float32], part: int) -> NDArray[np.float32]:
        """Sums of impact times rarity as lexical scores for a part of the query."""
        return normalised(total, float(self.sums[part]), self.size)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the order of their ids. All arrays may be maps of files."""

    ids: NDArray[np.bytes_]
    vectors: Vectors
    sums: NDArray[np.uint32]
    """A check sum of each vector; see `check_sums`."""
    codes: NDArray[np.uint64]
    vocabulary: Tokens
    """The tokens of all words, ascending; a term is a place in it."""
    starts: Index
    """Where the postings of each term begin, and the end of the last."""
    posting_rows: NDArray[np.int32]
    posting_impacts: NDArray[np.uint8]
    """In steps of 1 / IMPACT_STEPS, rounded: the postings are for a rough look."""
    pairs: Tokens
    """The tokens of all pairs, ascending."""
    pair_frequencies: NDArray[np.uint32]
    """How many rows have each pair."""
    bag_starts: Index
    """Where the bag of each row begins, and the end of the last. In a bag, words come before pairs."""
    bag_words: NDArray[np.int32]
    """How many words each bag has."""
    bag_tokens: Tokens
    bag_counts: NDArray[np.float32]
    lengths: NDArray[np.float32]
    """The sum of the counts of each bag."""
    projection: Projection

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, ids: Sequence[str]) -> Index:
        """The row of each id, -1 where there is none."""
        wanted = np.array([id.encode("ascii", "replace") for id in ids], dtype=ID)
        return _places(self.ids, wanted)

    def terms(self, tokens: Tokens) -> Index:
        """The term of each token, -1 where it is no word of a row."""
        return _places(self.vocabulary, tokens)

    def frequencies(self, tokens: Tokens) -> Index:
        """How many rows have each token."""
        terms, pairs = self.terms(tokens), _places(self.pairs, tokens)
        found = np.zeros(len(tokens), dtype=np.int64)
        words = np.flatnonzero(terms >= 0)
        found[words] = self.starts[terms[words] + 1] - self.starts[terms[words]]
        found[pairs >= 0] = self.pair_frequencies[pairs[pairs >= 0]]
        return found

    def counted(self, rows: Index, tokens: Tokens) -> Index:
        """How many of some rows have each token."""
        _, found, _ = self._hits(rows, tokens, pairs=True)
        return np.bincount(found, minlength=len(tokens))

    def lexical(self, rows: Index, weights: Weights, *, pairs: bool) -> NDArray[np.float32]:
        """BM25 of some rows for each part of a query, shape (parts, rows); of words alone, or with the pairs."""
        owners, found, counts = self._hits(rows, weights.tokens, pairs=pairs)
        shares = impact(counts, self.lengths[rows[owners]], weights.average)
        parts = np.empty((len(weights.holds), len(rows)), dtype=np.float32)
        for number, holds in enumerate(weights.holds):
            worth = (shares * (weights.rarities * holds)[found]).astype(np.float64)
            total = np.bincount(owners, weights=worth, minlength=len(rows)).astype(np.float32)
            parts[number] = weights.normalised(total, number)
        return parts

    def _hits(self, rows: Index, tokens: Tokens, *, pairs: bool) -> tuple[Index, Index, NDArray[np.float32]]:
        """Where some rows have some tokens: place in `rows`, place in `tokens`, and what it counts there."""
        begins = self.bag_starts[rows]
        sizes = self.bag_starts[rows + 1] - begins if pairs else self.bag_words[rows].astype(np.int64)
        owners = np.repeat(np.arange(len(rows)), sizes)
        places = np.arange(len(owners)) + np.repeat(begins - (np.cumsum(sizes) - sizes), sizes)
        held = self.bag_tokens[places]
        maybe = np.zeros(2**16, dtype=np.bool_)
        maybe[tokens.astype(np.uint16)] = True
        hit = np.flatnonzero(maybe[held.astype(np.uint16)])
        found = _places(tokens, held[hit])
        hit, found = hit[found >= 0], found[found >= 0]
        return owners[hit], found, self.bag_counts[places[hit]]

    def dense(self, rows: Index, query: Query) -> NDArray[np.float32]:
        """Cosines of some rows with each part of a query, shape (parts, rows).

        Raises:
            Damaged: a vector is not the one that was written.
        """
        vectors = self.vectors[rows]
        if not np.array_equal(check_sums(vectors), self.sums[rows]):
            raise Damaged("a vector is not the one that was written")
        return cosines(query.vectors, vectors)


class Damaged(Exception):
    """A file of an index is not what was written; the index has to be made anew."""


def check_sums(vectors: Vectors) -> NDArray[np.uint32]:
    """The sum of each vector's bits as 32-bit integers, which no single change of it keeps."""
    found: NDArray[np.uint32] = np.ascontiguousarray(vectors).view(np.uint32).sum(axis=1, dtype=np.uint32)
    return found


def _places(values: NDArray[np.generic], wanted: NDArray[np.generic]) -> Index:
    if not len(values):
        return np.full(len(wanted), -1, dtype=np.int64)
    places = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return np.where(values[places] == wanted, places, -1)
