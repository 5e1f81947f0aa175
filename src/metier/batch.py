"""One capability over many inputs, in several processes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from metier.config import load_settings
from metier.errors import LibraryError
from metier.library import Library
from metier.outcomes import Ran
from metier.runtime import Runtime
from metier.sandbox.workers import Lost, Pool
from metier.workforce import seconds_of


def map_inputs(
    library: Path, capability: str, version: int | None, inputs: Iterable[Any], workers: int
) -> Iterator[dict[str, Any]]:
    """One capability over many inputs in `workers` processes: `{"output"}` or `{"error", "kind"}` for each, in order.

    A worker that dies takes one input with it. Nothing runs before the first result is asked for.
    """
    seconds = seconds_of(load_settings(library).limits)
    Library.open(library).get(capability, version)
    pool: Pool[Any, dict[str, Any]] = Pool(
        functools.partial(_mapper, library, capability, version), workers, seconds=seconds
    )
    for result in pool.map(inputs):
        yield {"error": result.reason, "kind": "lost"} if isinstance(result, Lost) else result


def _mapper(library: Path, capability: str, version: int | None) -> Callable[[Any], dict[str, Any]]:
    """What a worker does with an input."""
    runtime = Runtime.open(library)
    named = runtime.library.get(capability, version) if version is not None else None

    def run(input: Any) -> dict[str, Any]:
        if named is not None:
            outcome = runtime.execute(named, input)
        else:
            current = runtime.library.get(capability)  # another worker may have found it broken meanwhile
            try:
                outcome = runtime.execute_current(*runtime.serving(current, input))
            except LibraryError:
                return {"error": f"{current.name} is {current.status}", "kind": current.status}
        if isinstance(outcome, Ran):
            return {"output": outcome.output}
        return {"error": outcome.error, "kind": outcome.code or outcome.kind}

    return run
