"""What compilers say, made fit for a model."""

from __future__ import annotations

from pathlib import Path

from metier.toolchains.messages import MAX_CHARACTERS, MAX_LINES, trimmed


def test_colours_and_folders_are_taken_out() -> None:
    said = "\x1b[1;31merror\x1b[0m: /home/ann/draft/capability.c:3:1: oops\n  in /home/ann/draft\n"
    assert trimmed(said, [Path("/home/ann/draft")]) == "error: capability.c:3:1: oops\n  in ."


def test_a_folder_is_taken_out_whole_or_not_at_all() -> None:
    assert trimmed("see https://example.com/rust-lang and /rust/x", ["/rust"]) == (
        "see https://example.com/rust-lang and x"
    )


def test_the_first_lines_are_kept_and_the_rest_counted() -> None:
    shown = trimmed("\n".join(f"error {n}" for n in range(500))).splitlines()
    assert shown[:2] == ["error 0", "error 1"]
    assert len(shown) == MAX_LINES + 1
    assert shown[-1] == f"… {500 - MAX_LINES} more lines"


def test_long_lines_and_long_texts_are_cut() -> None:
    shown = trimmed("\n".join("x" * 10_000 for _ in range(100)))
    assert len(shown) <= MAX_CHARACTERS + 30
    assert max(map(len, shown.splitlines())) <= 301


def test_nothing_said_stays_nothing() -> None:
    assert trimmed("\n \n") == ""
