"""Versions built once more from their source, held bit for bit against what is stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from metier.capability import Capability
from metier.errors import BuildError, SetupMissing
from metier.runtime import Runtime
from metier.toolchains import Built, Found, Workshop, toolchain

Verdict = Literal["same", "differs", "cannot"]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What building a version again showed; `detail` is a line for a reader, empty where all is the same."""

    capability: Capability
    verdict: Verdict
    detail: str = ""


def rebuilt(runtime: Runtime, capability: Capability) -> Rebuilt:
    """Builds a version from its source with the toolchain of its language, and compares.

    Raises:
        LibraryError: it cannot be loaded.
    """
    artifact = runtime.library.load(capability.id, capability.version)
    if not artifact.source:
        return Rebuilt(capability, "cannot", "it has no source: it was added as wasm")
    recorded = capability.provenance.toolchain if capability.provenance else None
    try:
        builder = toolchain(capability.language)
        here = builder.found()
        if not isinstance(here, Found):
            return Rebuilt(capability, "cannot", f"{capability.language} is not installed here: {here.install}")
        workshop = Workshop(runtime.runner.box, runtime.settings.toolchains.unlocked)
        built = builder.build(artifact.source, workshop)
    except (BuildError, SetupMissing) as error:
        return Rebuilt(capability, "cannot", " ".join(str(error).split()))
    if built.wasm == artifact.wasm and built.engine == capability.engine:
        return Rebuilt(capability, "same")
    return Rebuilt(capability, "differs", _difference(artifact.wasm, built, capability.engine, recorded))


def _difference(wasm: bytes, built: Built, engine: str | None, recorded: str | None) -> str:
    if recorded is not None and built.toolchain != recorded:
        return f"it was built by {recorded}, and here is {built.toolchain}"
    if built.engine != engine:
        return f"it was built for the engine {str(engine)[:24]}…, and here is {str(built.engine)[:24]}…"
    was, now = (hashlib.sha256(code).hexdigest()[:12] for code in (wasm, built.wasm))
    return f"the wasm has {len(wasm)} bytes ({was}), and {len(built.wasm)} ({now}) when it is built again"
