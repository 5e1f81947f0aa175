"""The lexical half of retrieval: BM25 over the words of names, summaries, parameters and example tasks.

It finds what an embedding blurs: a parameter's name, a product's name, a rare term.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metier.retrieval.glue import STOP_WORDS, spaced

K1 = 0.95
B = 0.75
"""Saturation and length normalisation of Okapi BM25; Lucene's defaults are 1.2 and 0.75."""

SCALE = 72.0
DAMPING = 0.37
SMALL = 200
"""How BM25 is brought beside a cosine; see `normalised`. Fitted with bench/retrieval.py on half of its queries."""

LONG = 100.0
GROWTH = 0.3
"""Where documents are longer than `LONG` terms on the average, BM25 weighs more by this power of how many times: they
are then mostly solved tasks, and how people word a task says more than how its tool is described."""

PAIR_WEIGHT = 0.4
"""What two words side by side count beside a single word: "exchange rate" is more than "exchange" and "rate"."""

_WORD = re.compile(r"[^\W_]+")
_VOWEL = re.compile(r"[aeiouy]")


def words(text: str) -> list[str]:
    """The stemmed words of `text` in order: camelCase and snake_case split, accents and stop words dropped."""
    plain = spaced(text)
    if not plain.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    return [stem(word) for word in _WORD.findall(plain.casefold()) if word not in STOP_WORDS]


def terms(text: str) -> list[str]:
    """What `text` is looked up by: its words, and each two of them that stand side by side, with a space between."""
    found = words(text)
    return [*found, *(f"{left} {right}" for left, right in itertools.pairwise(found))]


def weight_of(term: str) -> float:
    """What a term counts, each time that it stands in a document."""
    return PAIR_WEIGHT if " " in term else 1.0


@functools.lru_cache(maxsize=2**16)
def stem(word: str) -> str:
    """`word` without an English plural, -ing, -ed, -ion or final e; the same stem for most forms of one word."""
    word = _singular(word)
    for suffix, shortest in (("ing", 3), ("ed", 3), ("ion", 5)):
        base = word.removesuffix(suffix)
        if base == word or len(base) < shortest or not _VOWEL.search(base):
            continue
        if suffix != "ion":
            doubled = len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz"
            word = base[:-1] if doubled else base
        elif base[-1] in "ts":
            word = base
        break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def rarity(frequency: NDArray[Any], size: int) -> NDArray[np.float32]:
    """The inverse document frequency of words that so many of `size` documents have."""
    found: NDArray[np.float32] = np.log1p((size - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
    return found


def impact(counts: NDArray[np.float32], lengths: NDArray[Any], average: float) -> NDArray[np.float32]:
    """What words that stand so often in documents of such lengths add to their scores, as a share of their rarity."""
    dampening = (K1 * (1 - B + B * lengths / average)).astype(np.float32)
    evidence = np.float32(max(1.0, average / LONG) ** GROWTH)
    found: NDArray[np.float32] = evidence * counts / (counts + dampening)
    return found


def normalised(total: NDArray[np.float32], weight: float, size: int) -> NDArray[np.float32]:
    """Sums of impact times rarity as scores that stand beside a cosine, from 0 up to 3 or so.

    `weight` is the sum of the rarities of the query's terms, `size` how many documents there are. The sum is divided
    by a power of how many terms the query has, counted in rarest ones: undivided, long queries would drown the cosine;
    divided by all of it, they would find nothing. It weighs more the more documents there are, as the cosine is close
    for more and more of them, while a rare word stays rare; fewer than `SMALL` count as so many.
    """
    if not weight:
        return total
    rarest = float(rarity(np.zeros(1), max(size, SMALL))[0])
    terms = weight / float(rarity(np.zeros(1), size)[0])
    return total * np.float32(rarest / (SCALE * terms**DAMPING))


@dataclass(frozen=True, slots=True)
class Bag:
    """A document as numbers: its distinct terms, numbered by a `Vocabulary`, and what each counts in it."""

    terms: NDArray[np.int32]
    counts: NDArray[np.float32]


class Vocabulary:
    """Numbers for words; it only grows."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def bag(self, document: Iterable[tuple[str, float]]) -> Bag:
        """The bag of a document's terms and what each counts; a term may come several times."""
        counted: dict[str, float] = {}
        for term, count in document:
            counted[term] = counted.get(term, 0.0) + count
        terms = [self.numbers.setdefault(word, len(self.numbers)) for word in counted]
        return Bag(np.array(terms, dtype=np.int32), np.array(list(counted.values()), dtype=np.float32))


class LexicalIndex:
    """BM25 over a fixed sequence of documents.

    Postings lie in compressed sparse rows with the whole BM25 weight worked out beforehand: a query adds a few arrays.
    """

    def __init__(self, vocabulary: Vocabulary, bags: Sequence[Bag]) -> None:
        size = len(bags)
        terms = np.concatenate([bag.terms for bag in bags]) if bags else np.zeros(0, dtype=np.int32)
        counts = np.concatenate([bag.counts for bag in bags]) if bags else np.zeros(0, dtype=np.float32)
        rows = np.repeat(np.arange(size, dtype=np.int32), [len(bag.terms) for bag in bags])
        order = np.argsort(terms, kind="stable")
        frequency = np.bincount(terms, minlength=len(vocabulary.numbers))
        lengths = np.bincount(rows, weights=counts, minlength=size)
        average = float(lengths.mean()) if len(terms) else 1.0
        self._numbers = vocabulary.numbers
        self._size = size
        self._starts = np.concatenate(([0], np.cumsum(frequency)))
        self._idf = rarity(frequency, size)
        self._rows = rows[order]
        self._weights = impact(counts[order], lengths[self._rows], average) * self._idf[terms[order]]

    def scores(self, query: Iterable[str]) -> NDArray[np.float32]:
        """How well each document holds the terms of `query`, shape (documents,): `normalised` BM25.

        A term that no document has counts as the rarest.
        """
        total = np.zeros(self._size, dtype=np.float32)
        weight = 0.0
        for word in dict.fromkeys(query):
            term = self._numbers.get(word, len(self._idf))
            if term >= len(self._idf):
                weight += float(rarity(np.zeros(1), self._size)[0])
                continue
            weight += float(self._idf[term])
            span = slice(self._starts[term], self._starts[term + 1])
            total[self._rows[span]] += self._weights[span]
        return normalised(total, weight, self._size)
