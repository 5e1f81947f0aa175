"""A map of the library by meaning: where each capability lies, and what the regions are about.

The two directions in which the embeddings of the summaries differ most are the map's axes (principal components). All
of it follows from the embeddings alone, so that the same library has the same map every time.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, MARGIN = 1000, 560, 56
DIRECTIONS = 16
"""Principal components that regions are told apart by."""
ROUNDS = 25
FEWEST, MOST = 2, 10
"""Regions of a map."""
SMALL_WORDS = frozenset(
    "a an and are as at by for from get gets give given gives how in into is it its of on or out per return returns "
    "that the their them this to under up use uses using value values what when where which with".split()
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the map, with the words that tell it from the rest."""

    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Atlas:
    """Where capabilities lie, in units of a picture of WIDTH × HEIGHT, and the regions they form."""

    places: dict[str, tuple[float, float]]
    regions: tuple[Region, ...]


def atlas(ids: Sequence[str], summaries: Sequence[str], vectors: NDArray[np.float32]) -> Atlas:
    """The map of capabilities with these unit vectors, shape (len(ids), d)."""
    if not ids:
        return Atlas({}, ())
    order = sorted(range(len(ids)), key=lambda i: ids[i])
    components = _components(np.asarray(vectors, dtype=np.float64)[order])
    points = _on_paper(components[:, :2])
    names = [ids[i] for i in order]
    places = {name: (round(float(x), 1), round(float(y), 1)) for name, (x, y) in zip(names, points, strict=True)}
    texts = [f"{ids[i].replace('_', ' ')} {summaries[i]}" for i in order]
    return Atlas(places, _regions(components, points, texts))


def _components(vectors: Floats) -> Floats:
    """Principal components, most telling first, shape (n, DIRECTIONS); of each the largest loading is positive, since
    the sign of an eigenvector means nothing."""
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    chosen = directions[:, ::-1][:, :DIRECTIONS]
    largest = np.abs(chosen).argmax(axis=0)
    signs = np.sign(chosen[largest, np.arange(chosen.shape[1])])
    found = centred @ (chosen * np.where(signs == 0, 1, signs))
    missing = max(0, 2 - found.shape[1])
    return np.pad(found, ((0, 0), (0, missing)))


def _on_paper(components: Floats) -> Floats:
    """The first two components stretched over the picture. By half rank, half distance: outliers do not crush the
    rest into a corner, and neighbours stay neighbours."""
    n = len(components)
    size = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN])
    ranks = np.argsort(np.argsort(components, axis=0, kind="stable"), axis=0, kind="stable") / max(1, n - 1)
    span = np.ptp(components, axis=0)
    lengths = (components - components.min(axis=0)) / np.where(span > 0, span, 1)
    lengths = np.where(span > 0, lengths, 0.5)
    mixed = (ranks + lengths) / 2 if n > 1 else np.full((n, 2), 0.5)
    paper: Floats = MARGIN + mixed * size
    return paper


def _regions(components: Floats, points: Floats, texts: Sequence[str]) -> tuple[Region, ...]:
    count = min(MOST, round(math.sqrt(len(texts) / 6)))
    if count < FEWEST:
        return ()
    owner = _k_means(components, count)
    words = [set(_words(text)) for text in texts]
    everywhere = Counter(word for own in words for word in own)
    found, used = [], set[str]()
    for number in range(count):
        rows = np.flatnonzero(owner == number)
        if not len(rows):
            continue
        here = Counter(word for row in rows.tolist() for word in words[row])
        telling = sorted(here, key=lambda w: (-_tells(here[w], everywhere[w], len(rows), len(texts)), w))
        label = [word for word in telling if word not in used][:2]
        used.update(label)
        x, y = np.median(points[rows], axis=0)
        found.append(Region(round(float(x), 1), round(float(y), 1), " · ".join(label)))
    return tuple(_apart(found))


def _k_means(components: Floats, count: int) -> NDArray[np.intp]:
    """Which of `count` groups each row belongs to. The first centres are rows far from each other."""
    centres = [components[np.square(components).sum(axis=1).argmax()]]
    while len(centres) < count:
        distance = np.min([np.square(components - centre).sum(axis=1) for centre in centres], axis=0)
        centres.append(components[distance.argmax()])
    middle = np.stack(centres)
    owner = np.zeros(len(components), dtype=np.intp)
    for _ in range(ROUNDS):
        distances = (
            np.square(components).sum(axis=1)[:, None] - 2 * components @ middle.T + np.square(middle).sum(axis=1)
        )
        nearest = distances.argmin(axis=1)
        if (nearest == owner).all():
            break
        owner = nearest
        middle = np.stack(
            [components[owner == i].mean(axis=0) if (owner == i).any() else middle[i] for i in range(count)]
        )
    return owner


def _tells(here: int, everywhere: int, size: int, whole: int) -> float:
    """How much a word tells of a region: how often it is said there, times how much rarer it is elsewhere."""
    outside = (everywhere - here) / max(1, whole - size)
    return here / size * math.log((here / size + 0.01) / (outside + 0.01))


def _apart(regions: list[Region], least: float = 26) -> list[Region]:
    """The same with labels moved down that would lie on each other."""
    placed: list[Region] = []
    for region in sorted(regions, key=lambda r: (r.y, r.x)):
        y = region.y
        while any(abs(y - other.y) < least and abs(region.x - other.x) < 170 for other in placed):
            y += 4
        placed.append(Region(region.x, min(y, HEIGHT - 12), region.label))
    return placed


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in SMALL_WORDS]
