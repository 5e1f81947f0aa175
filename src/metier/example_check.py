"""The frozen examples of a version once more, on copies of the data, and on a second back end if asked."""

from __future__ import annotations

from metier.capability import Capability, Example
from metier.mutation.gates import mismatch
from metier.outcomes import Failed, Ran
from metier.runtime import Runtime


class ExampleCheck:
    """Checks examples with one runtime.

    `portable` runs each on the portable interpreter as well, where it must give the same bytes with the same fuel.
    """

    def __init__(self, runtime: Runtime, *, portable: bool = False) -> None:
        self._runtime = runtime
        self._portable = runtime.runner.portable if portable else None

    def problems(self, capability: Capability) -> list[str | None]:
        """For each example how it does not hold; None for one that does.

        Raises:
            LibraryError, InvalidModule: the version cannot be loaded.
        """
        loaded = self._runtime.load(capability)
        problems = []
        for example in capability.examples:
            outcome = self._runtime.runner.rehearse(loaded, example.input, fixtures=example.fixtures)
            problem = mismatch(example, outcome)
            if problem is None and self._portable is not None:
                problem = _differs(outcome, self._again(capability, example))
            problems.append(problem)
        return problems

    def _again(self, capability: Capability, example: Example) -> Ran | Failed:
        assert self._portable is not None
        wasm = self._runtime.library.load(capability.id, capability.version).wasm
        return self._portable.rehearse(self._portable.load(capability, wasm), example.input, fixtures=example.fixtures)


def _differs(native: Ran | Failed, portable: Ran | Failed) -> str | None:
    """How two runs of the same example differ that must not."""
    for what in ("output_text", "error", "fuel"):
        here, there = getattr(native, what, None), getattr(portable, what, None)
        if here != there:
            return f"the portable interpreter disagrees: {what} is {there!r}, not {here!r}"
    return None
