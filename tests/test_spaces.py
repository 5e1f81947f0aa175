"""Changing the embedder: the old space serves until the new one is complete, whatever happens on the way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from metier.capability import Capability
from metier.errors import ModelError
from metier.retrieval.embedders import ProviderEmbedder, Vectors
from metier.retrieval.index import CapabilityIndex
from metier.spaces import FILE_NAME, Spaces

TOOLS = [Capability(id=f"tool_{n}", summary=f"Tool {n} of many.", binary="a.wasm") for n in range(5)]


class Provider:
    """Two embedding models of 2 and 3 dimensions; the new one answers once it is let."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[str] = []
        self.fails = False

    def open(self, state: Path) -> Callable[[str], CapabilityIndex]:
        return lambda name: CapabilityIndex(state, ProviderEmbedder(name, lambda texts: self.embed(name, texts)))

    def embed(self, name: str, texts: Sequence[str]) -> list[list[float]]:
        if name == "new":
            self.go.wait(30)
            if self.fails:
                raise ModelError("new: the endpoint is gone")
        self.asked += [name] * len(texts)
        return [[float(len(text)), 1.0] + [1.0] * (name == "new") for text in texts]


def spaces(state: Path, wanted: str, provider: Provider) -> Spaces[CapabilityIndex]:
    return Spaces(state, wanted, provider.open(state), lambda index: index.refresh(TOOLS))


def search(spaces: Spaces[CapabilityIndex]) -> tuple[list[str], Vectors]:
    index = spaces.serving()
    index.refresh(TOOLS)
    found = [id for id, _ in index.nearest("tool", 9)]
    spaces.completed()
    return found, index.embedded()[1]


def test_the_old_space_serves_until_the_new_one_is_complete(tmp_path: Path) -> None:
    provider = Provider()
    before = spaces(tmp_path, "old", provider)
    assert search(before)[1].shape == (5, 2)
    before.close()
    changed = spaces(tmp_path, "new", provider)
    assert search(changed)[1].shape == (5, 2)
    assert (tmp_path / FILE_NAME).read_text(encoding="utf-8") == "old\n"
    provider.go.set()
    changed.wait()
    found, vectors = search(changed)
    assert len(found) == 5 and vectors.shape == (5, 3)
    changed.close()
    assert search(spaces(tmp_path, "new", provider))[1].shape == (5, 3)


def test_a_provider_that_fails_is_told_once_and_leaves_the_old_space_serving(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider()
    search(spaces(tmp_path, "old", provider))
    provider.fails = True
    provider.go.set()
    changed = spaces(tmp_path, "new", provider)
    for _ in range(3):
        assert search(changed)[1].shape == (5, 2)
        changed.wait()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "new: new: the endpoint is gone; old goes on serving"
    ]
    assert (tmp_path / FILE_NAME).read_text(encoding="utf-8") == "old\n"


def test_what_was_embedded_before_a_crash_is_not_asked_for_again(tmp_path: Path) -> None:
    provider = Provider()
    search(spaces(tmp_path, "old", provider))
    half = provider.open(tmp_path)("new")
    provider.go.set()
    half.refresh(TOOLS[:3])  # a process that ends here leaves the file as it is
    half.close()
    provider.asked.clear()
    changed = spaces(tmp_path, "new", provider)
    changed.serving()
    changed.wait()
    assert provider.asked.count("new") == 2
    assert search(changed)[1].shape == (5, 3)


def test_a_first_use_or_a_file_that_says_nothing_takes_what_is_wanted(tmp_path: Path) -> None:
    provider = Provider()
    provider.go.set()
    for content in (None, b"", b"\xff\xfe"):
        if content is not None:
            (tmp_path / FILE_NAME).write_bytes(content)
        assert search(spaces(tmp_path, "new", provider))[1].shape == (5, 3)
    assert search(spaces(tmp_path, "old", provider))[1].shape == (5, 3)
