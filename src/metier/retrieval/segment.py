"""Rows on disk: made in one go, put in place by one rename, memory-mapped, and checked before they are believed."""

from __future__ import annotations

import dataclasses
import json
import mmap
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metier.retrieval.embedders import Vectors
from metier.retrieval.lexical import impact
from metier.retrieval.rows import (
    CODE_WORDS,
    ID,
    IMPACT_STEPS,
    PAIR,
    Damaged,
    Index,
    Projection,
    Row,
    Rows,
    Tokens,
    check_sums,
    projection,
)

MANIFEST = "segment.json"
LAYOUT = 2
SAMPLE = 16_384
"""Vectors that the middle of a segment is worked out from."""
_CHUNK = 65_536
_ROW_BITS = 24
"""Bits of a row's number beside 32 of a token and 8 of an impact in one number that is sorted: 16 million rows."""
_ARRAYS = tuple(f.name for f in dataclasses.fields(Rows) if f.name != "projection")
_FILES = (*_ARRAYS, "directions", "middle")


def in_memory(rows: Sequence[Row], dimensions: int, projected: Projection | None = None) -> Rows:
    """These rows, of different ids, as arrays; with codes of that projection, or of one for just these."""
    ordered = sorted(rows, key=lambda row: row.id)
    vectors = np.stack([row.vector for row in ordered]) if ordered else np.zeros((0, dimensions), dtype=np.float32)
    made = _Making.empty(
        len(ordered), dimensions, [len(row.tokens) for row in ordered], projected or projection(vectors)
    )
    if ordered:
        ids = np.array([row.id.encode("ascii") for row in ordered], dtype=ID)
        made.put(0, ids, vectors, _joined([row.tokens for row in ordered]), _joined([row.counts for row in ordered]))
    return made.rows()


def write(folder: Path, old: Rows | None, gone: Index, added: Rows) -> Path:
    """A new segment beneath `folder`: the old rows but for those that are `gone`, and the added ones.

    Returns its folder, complete and on the disk, which nothing names yet. Memory is taken for the words and the codes;
    vectors and bags go straight to files.

    Raises:
        Damaged: an old vector is not the one that was written.
        OSError: the folder cannot be written.
    """
    target = folder / f"segment-{secrets.token_hex(8)}"
    target.mkdir(parents=True)
    both = [(added, np.arange(len(added)))]
    if old is not None:
        both.insert(0, (old, np.setdiff1d(np.arange(len(old)), gone)))
    sources = np.repeat(np.arange(len(both)), [len(places) for _, places in both])
    places = np.concatenate([places for _, places in both])
    order = np.argsort(np.concatenate([rows.ids[chosen] for rows, chosen in both]), kind="stable")
    sources, places = sources[order], places[order]
    merged = _Merged([rows for rows, _ in both], sources, places)
    made = _Making.empty(
        len(order),
        added.vectors.shape[1],
        merged.sizes(),
        projection(merged.vectors(slice(None, None, max(1, len(order) // SAMPLE)))),
        target,
    )
    for start in range(0, len(order), _CHUNK):
        part = slice(start, start + _CHUNK)
        tokens, counts = merged.bags(part)
        made.put(start, merged.ids(part), merged.vectors(part), tokens, counts)
        for rows, _ in both:
            _let_go(rows.vectors, rows.bag_tokens, rows.bag_counts)
        _let_go(made.vectors, made.tokens, made.counts)
    _save(target, made.rows())
    return target


@dataclass(frozen=True, slots=True)
class _Merged:
    """The rows of several, in one order: row i is the one at places[i] of parts[sources[i]]."""

    parts: list[Rows]
    sources: Index
    places: Index

    def sizes(self) -> Index:
        """How many tokens each row has."""
        found = np.empty(len(self.places), dtype=np.int64)
        for number, rows in enumerate(self.parts):
            mine = self.sources == number
            found[mine] = rows.bag_starts[self.places[mine] + 1] - rows.bag_starts[self.places[mine]]
        return found

    def ids(self, part: slice) -> NDArray[np.bytes_]:
        found = np.empty(len(self.places[part]), dtype=ID)
        for rows, mine, places in self._split(part):
            found[mine] = rows.ids[places]
        return found

    def vectors(self, part: slice) -> Vectors:
        found = np.empty((len(self.places[part]), self.parts[-1].vectors.shape[1]), dtype=np.float32)
        for rows, mine, places in self._split(part):
            found[mine] = rows.vectors[places]
            if not np.array_equal(check_sums(found[mine]), rows.sums[places]):
                raise Damaged("a vector is not the one that was written")
        return found

    def bags(self, part: slice) -> tuple[Tokens, NDArray[np.float32]]:
        """The tokens and counts of the rows, one after the other."""
        sizes = np.empty(len(self.places[part]), dtype=np.int64)
        for rows, mine, places in self._split(part):
            sizes[mine] = rows.bag_starts[places + 1] - rows.bag_starts[places]
        begins = np.cumsum(sizes) - sizes
        tokens, counts = np.empty(int(sizes.sum()), dtype=np.uint32), np.empty(int(sizes.sum()), dtype=np.float32)
        for rows, mine, places in self._split(part):
            whence, whither = _runs(rows.bag_starts[places], sizes[mine]), _runs(begins[mine], sizes[mine])
            tokens[whither], counts[whither] = rows.bag_tokens[whence], rows.bag_counts[whence]
        return tokens, counts

    def _split(self, part: slice) -> Iterator[tuple[Rows, Index, Index]]:
        for number, rows in enumerate(self.parts):
            mine = np.flatnonzero(self.sources[part] == number)
            yield rows, mine, self.places[part][mine]


@dataclass(frozen=True, slots=True)
class _Making:
    """Arrays that are being filled, a run of rows after the other."""

    ids: NDArray[np.bytes_]
    vectors: Vectors
    sums: NDArray[np.uint32]
    codes: NDArray[np.uint64]
    starts: Index
    words: NDArray[np.int32]
    tokens: Tokens
    counts: NDArray[np.float32]
    lengths: NDArray[np.float32]
    projection: Projection

    @classmethod
    def empty(
        cls, size: int, dimensions: int, bags: Sequence[int] | Index, projected: Projection, folder: Path | None = None
    ) -> _Making:
        """Room for so many rows with bags of these sizes; for vectors and bags in files, where there is a folder."""

        def room(name: str, shape: tuple[int, ...], dtype: type) -> Any:
            if folder is None or 0 in shape:
                return np.empty(shape, dtype=dtype)
            return np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.dtype(dtype), shape=shape)

        starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(np.asarray(bags, dtype=np.int64))])
        return cls(
            ids=np.empty(size, dtype=ID),
            vectors=room("vectors", (size, dimensions), np.float32),
            sums=np.empty(size, dtype=np.uint32),
            codes=np.empty((CODE_WORDS, size), dtype=np.uint64),
            starts=starts,
            words=np.empty(size, dtype=np.int32),
            tokens=room("bag_tokens", (int(starts[-1]),), np.uint32),
            counts=room("bag_counts", (int(starts[-1]),), np.float32),
            lengths=np.empty(size, dtype=np.float32),
            projection=projected,
        )

    def put(
        self, start: int, ids: NDArray[np.bytes_], vectors: Vectors, tokens: Tokens, counts: NDArray[np.float32]
    ) -> None:
        """Put these rows in, from the row `start` on."""
        part = slice(start, start + len(ids))
        begin, end = self.starts[start], self.starts[start + len(ids)]
        self.ids[part], self.vectors[part], self.sums[part] = ids, vectors, check_sums(vectors)
        self.codes[:, part] = self.projection.codes(vectors)
        self.tokens[begin:end], self.counts[begin:end] = tokens, counts
        owners = np.repeat(np.arange(len(ids)), np.diff(self.starts[start : start + len(ids) + 1]))
        self.words[part] = np.bincount(owners[tokens < PAIR], minlength=len(ids))
        self.lengths[part] = np.bincount(owners, weights=counts, minlength=len(ids))

    def rows(self) -> Rows:
        """The rows, with their postings worked out."""
        keys = self._keys()
        tokens = (keys >> np.uint64(_ROW_BITS + 8)).astype(np.uint32)
        vocabulary, firsts = _distinct(tokens)
        pairs = np.sort(np.concatenate([chunk[chunk >= PAIR] for chunk in self._token_chunks()]))
        distinct, begins = _distinct(pairs)
        return Rows(
            ids=self.ids,
            vectors=self.vectors,
            sums=self.sums,
            codes=self.codes,
            vocabulary=vocabulary,
            starts=firsts,
            posting_rows=((keys >> np.uint64(8)) & np.uint64(2**_ROW_BITS - 1)).astype(np.int32),
            posting_impacts=(keys & np.uint64(255)).astype(np.uint8),
            pairs=distinct,
            pair_frequencies=np.diff(begins).astype(np.uint32),
            bag_starts=self.starts,
            bag_words=self.words,
            bag_tokens=self.tokens,
            bag_counts=self.counts,
            lengths=self.lengths,
            projection=self.projection,
        )

    def _keys(self) -> NDArray[np.uint64]:
        """Token, row and impact of each posting of a word as one number each, ascending."""
        average = float(self.lengths.mean(dtype=np.float64)) if len(self.lengths) else 1.0
        keys = np.empty(int(self.words.sum(dtype=np.int64)), dtype=np.uint64)
        at = 0
        for start in range(0, len(self.ids), _CHUNK):
            owners = np.arange(start, min(start + _CHUNK, len(self.ids)))
            places = _runs(self.starts[owners], self.words[owners].astype(np.int64))
            owners = np.repeat(owners, self.words[owners])
            shares = impact(self.counts[places], self.lengths[owners], average or 1.0)
            key = self.tokens[places].astype(np.uint64) << np.uint64(_ROW_BITS + 8)
            key |= owners.astype(np.uint64) << np.uint64(8)
            key |= np.minimum(np.rint(shares * IMPACT_STEPS), 255).astype(np.uint64)
            keys[at : at + len(key)] = key
            at += len(key)
        keys.sort()
        return keys

    def _token_chunks(self) -> Iterator[Tokens]:
        yield np.zeros(0, dtype=np.uint32)
        for start in range(0, len(self.tokens), 2**22):
            yield self.tokens[start : start + 2**22]


def _distinct(ascending: Tokens) -> tuple[Tokens, Index]:
    """The distinct values, and where each begins, and the end of the last."""
    firsts = np.flatnonzero(np.concatenate([np.ones(min(1, len(ascending)), np.bool_), np.diff(ascending) != 0]))
    return ascending[firsts], np.concatenate([firsts, [len(ascending)]]).astype(np.int64)


def _runs(begins: Index, sizes: Index) -> Index:
    """All places of runs that begin there and are so long, one run after the other."""
    found: Index = np.arange(int(sizes.sum())) + np.repeat(begins - (np.cumsum(sizes) - sizes), sizes)
    return found


def _let_go(*arrays: NDArray[Any]) -> None:
    """Takes the pages of mapped files out of this process's memory; the system still has them, and brings them back."""
    for array in arrays:
        at: Any = array
        while at is not None and not isinstance(at, np.memmap):
            at = at.base if isinstance(at, np.ndarray) else None
        mapped = getattr(at, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts)


# On disk


def _save(target: Path, rows: Rows) -> None:
    arrays = {name: getattr(rows, name) for name in _ARRAYS}
    arrays |= {"directions": rows.projection.directions, "middle": rows.projection.middle}
    for name, array in arrays.items():
        if isinstance(array, np.memmap):
            array.flush()
        else:
            np.save(target / f"{name}.npy", array)
    files = {name: _checked_file(target / f"{name}.npy", whole=name != "vectors") for name in _FILES}
    manifest = {"layout": LAYOUT, "files": files}
    text = json.dumps({"crc32": _crc(manifest), "manifest": manifest})
    with (target / MANIFEST).open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> Rows:
    """The segment in `folder`, all of it but the vectors checked, which are as they are used.

    Raises:
        Damaged: a file is missing, is not what was written, or is of another layout.
    """
    try:
        whole = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = whole["manifest"]
        if whole["crc32"] != _crc(manifest) or manifest["layout"] != LAYOUT:
            raise Damaged(f"{folder / MANIFEST} is not what was written")
        for name in _FILES:
            path = folder / f"{name}.npy"
            if _checked_file(path, whole=name != "vectors") != manifest["files"][name]:
                raise Damaged(f"{path} is not what was written")
        # np.memmap is slow to slice; as a plain array the same memory is not.
        maps: dict[str, Any] = {n: np.load(folder / f"{n}.npy", mmap_mode="r").view(np.ndarray) for n in _FILES}
        projected = Projection(maps.pop("directions"), maps.pop("middle"))
        return Rows(**maps, projection=projected)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{folder}: {error}") from None


def sweep(folder: Path, keep: Path, *, but: str | None = None) -> None:
    """Remove every segment beneath `folder` but one, or two. Those who read a removed one keep what they have open."""
    for other in folder.glob("segment-*"):
        if other != keep and other.name != but:
            shutil.rmtree(other, ignore_errors=True)


def _checked_file(path: Path, *, whole: bool) -> list[int]:
    """The size of a file and the CRC-32 of its contents, or of its head alone."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        crc = zlib.crc32(b"")
        for chunk in _chunks(file, None if whole else 128):
            crc = zlib.crc32(chunk, crc)
    return [size, crc]


def _chunks(file: Any, most: int | None) -> Iterator[bytes]:
    if most is not None:
        yield file.read(most)
        return
    while chunk := file.read(2**22):
        yield chunk


def _crc(manifest: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(manifest, sort_keys=True).encode("utf-8"))
