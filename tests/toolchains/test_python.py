"""Python capabilities, from source to module."""

from __future__ import annotations

import pytest

from metier.errors import BuildError
from metier.sandbox.box import Box
from metier.toolchains import python


def test_a_capability_is_a_few_hundred_bytes(box: Box) -> None:
    wasm = python.build("def run(input):\n    return input\n", box)
    assert len(wasm) < 600
    assert wasm == python.build("def run(input):\n    return input\n", box)


def test_a_syntax_error_stops_the_build(box: Box) -> None:
    with pytest.raises(BuildError, match=r"line 2"):
        python.build("def run(input):\n    retrun 1\n", box)
