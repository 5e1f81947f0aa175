"""WebAssembly text, assembled in a process of its own."""

from __future__ import annotations

import pytest

from metier.errors import BuildError
from metier.outcomes import Failed, Ran
from metier.sandbox.box import Box
from metier.toolchains import Workshop, template
from metier.toolchains.wat import WAT
from tests.conftest import capability, runner


def build(text: str, box: Box) -> bytes:
    return WAT.build({WAT.file_name: text.encode()}, Workshop(box)).wasm


def test_the_template_does_what_it_says(box: Box) -> None:
    r = runner(box)
    loaded = r.load(capability(), build(template(WAT), box))
    assert [r.run(loaded, {"n": n}).output for n in (21, 0, 10**15)] == [  # type: ignore[union-attr]
        {"twice": 42},
        {"twice": 0},
        {"twice": 2 * 10**15},
    ]
    failed = r.run(loaded, {"n": "x"})
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.code) == ("program", "invalid_input")


def test_the_assembler_says_where_it_stopped(box: Box) -> None:
    with pytest.raises(BuildError, match=r"capability\.wat:2:3"):
        build("(module\n (funk))", box)


def test_text_that_is_not_utf_8_is_refused(box: Box) -> None:
    with pytest.raises(BuildError, match="not UTF-8 at byte 1"):
        WAT.build({WAT.file_name: b"(\xff"}, Workshop(box))


def test_a_name_that_leads_out_of_the_draft_is_refused(box: Box) -> None:
    with pytest.raises(BuildError, match="no plain file name"):
        WAT.build({WAT.file_name: b"(module)", "../x": b""}, Workshop(box))


def test_a_bomb_of_nested_text_ends_as_an_error(box: Box) -> None:
    with pytest.raises(BuildError):
        build("(" * 1_000_000, box)


def test_assembled_text_runs(box: Box) -> None:
    text = '(module (memory (export "memory") 1) (func (export "_start")))'
    r = runner(box)
    assert not isinstance(r.run(r.load(capability(), build(text, box)), {}), Ran)  # it wrote no JSON
