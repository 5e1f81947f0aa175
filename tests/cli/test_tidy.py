"""`metier tidy` and what it prints; nothing changes without --apply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.library import Library
from metier.testing import ScriptedProvider
from tests.cli.test_commands import Shell
from tests.test_aliases import add
from tests.tidy.test_tidying import SETTINGS, SUM, hands_in, times


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    (library.path / "metier.toml").write_text(SETTINGS, encoding="utf-8")
    return library


@pytest.fixture
def metier(library: Library, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(library.path, capsys, monkeypatch)


def publish(library: Library, *every: dict[str, Any]) -> None:
    with Runtime.open(library.path) as runtime:
        for changes in every:
            add(runtime, **changes)


def test_proposals_are_shown_and_carried_out_by_their_numbers(metier: Shell, library: Library) -> None:
    publish(library, {}, {"id": "two_times", "source": SUM}, times(3, "triple"), times(4, "quadruple"))
    status, out, err = metier("tidy")
    assert status == 0
    assert out.splitlines()[0] == "1. merge two_times@1 into double@1"
    assert "came to the same on 3 of 3 known inputs" in out.splitlines()[1]
    assert "2. generalize" in out
    assert "   triple: factor = 3" in out.splitlines()
    assert "metier restore ID" in err
    assert all(c.live for c in library.capabilities())
    assert metier("tidy", "--apply", "1")[:2] == (0, "two_times@1 is retired; double@1 answers for it\n")
    status, out, _ = metier("tidy", "--apply", "1", "2")
    assert status == 1
    assert "not done: merge two_times@1 into double@1" in out
    assert "two_times@1 was looked at, and now two_times@1 is retired" in out
    assert "there is no model" in out
    assert metier.json("call", "two_times", '{"n": 8}') == {"twice": 16}
    metier("restore", "two_times")
    assert library.get("two_times").live


def test_all_of_it_is_json_too(metier: Shell, library: Library) -> None:
    publish(library, {}, {"id": "two_times", "source": SUM})
    [shown] = metier.json("tidy")
    assert (shown["number"], shown["kind"], shown["retires"], shown["agreed"]) == (1, "merge", ["two_times@1"], 3)
    [done] = metier.json("tidy", "--apply")
    assert (done["retired"], done["kept"], done["reasons"]) == (["two_times@1"], "double@1", [])
    assert metier.json("tidy") == []


def test_numbers_are_those_of_the_list_that_was_shown(metier: Shell, library: Library) -> None:
    publish(library, {}, {"id": "two_times", "source": SUM})
    status, _, err = metier("tidy", "--apply", "1")
    assert (status, "there is no proposal 1" in err) == (2, True)
    status, _, err = metier("tidy", "1")
    assert (status, "add --apply" in err) == (2, True)
    metier("tidy")
    publish(library, {"id": "another", "source": SUM.replace("n + n", "n - -n")})
    assert metier("tidy", "--apply", "1")[1].startswith("two_times@1 is retired")
    (library.state / "tidy.json").write_text("[{}]", encoding="utf-8")
    assert metier("tidy", "--apply", "1")[0] == 2


def test_a_model_writes_the_general_one(metier: Shell, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(library, times(3, "triple"), times(4, "quadruple"))
    with ScriptedProvider([hands_in()]) as provider:
        for name, value in provider.environ().items():
            monkeypatch.setenv(name, value)
        status, out, _ = metier("tidy", "--apply")
    assert status == 0
    assert sorted(out.splitlines()) == [
        "quadruple@1 is retired; times@1 answers for it",
        "triple@1 is retired; times@1 answers for it",
    ]
