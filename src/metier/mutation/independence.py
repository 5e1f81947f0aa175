"""The gate of independence: tests by somebody who knows the contract and not the source, and what they are worth.

A disagreement between author and tester goes back to the author, after the tester has worked its test out once more. A
suite that faulty programs pass is strengthened by the tester, who is told on which inputs they differ.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from metier import events, schemas
from metier.capability import Contract, Language, contract_json, unpublished
from metier.errors import BuildError, InvalidModule, ModelError
from metier.library import Artifact, Release
from metier.model import ChatModel
from metier.mutation.suite import Judge, Suite, Verdict, frozen
from metier.mutation.tester import NoSuite, Tester
from metier.runner import Loaded, Runner
from metier.toolchains import Built, Files, toolchain

GATE: Final = "independence"
DISAGREES: Final = (
    "An independent tester, who knows the contract alone, expects something else. Mend the program; or where it is "
    "right, say so in the contract (in the summary, or a description in a schema), so that nobody can read it "
    "otherwise. "
)
SHOWN: Final = 5
"""Disagreements that an author is told of at once."""
WEAK: Final = "no independent tests were strong enough ({}), and this library wants them"
CHECKER: Final = """

def run(input: dict) -> dict:
    check(input["input"], input["output"])
    return {"holds": True}
"""

Emit = Callable[[events.Event], None]


@dataclass(frozen=True, slots=True)
class Examined:
    """What the gate found, and the release with the tests frozen into its contract."""

    findings: tuple[str, ...]
    release: Release


@dataclass
class Independence:
    """The gate for one mutation. `model` is the tester's; it is asked at most `requests` times in all."""

    model: ChatModel
    runner: Runner
    build: Callable[[Language, Files], Built]
    roots: Mapping[str, Path]
    requests: int
    mode: Literal["required", "wanted"]
    emit: Emit
    asked: int = 0
    tokens: int = 0
    _testers: dict[str, Tester] = dataclasses.field(default_factory=dict)
    """By contract: a draft that keeps its contract is held to the same tests."""

    async def examine(self, release: Release, parent: Artifact | None) -> Examined:
        """Has the release tested.

        Raises:
            ModelError: the tester's endpoint fails, and its tests are required.
        """
        judge = await asyncio.to_thread(self._judge, release, parent)
        tester = self._tester(release.contract)
        before = tester.asked, tester.tokens
        verdict = None
        try:
            verdict = await self._tested(tester, judge)
        except NoSuite:
            pass
        except ModelError:
            if self.mode == "required":
                raise
        self.asked, self.tokens = self.asked + tester.asked - before[0], self.tokens + tester.tokens - before[1]
        return self._examined(release, tester.suite, verdict)

    async def _tested(self, tester: Tester, judge: Judge) -> Verdict:
        """The verdict on the best suite that it comes to. A disagreement is worked out once more, and only once."""
        suite = tester.suite or await tester.write()
        verdict = await asyncio.to_thread(judge.verdict, suite)
        reconsidered = False
        while not tester.spent and not verdict.strong and not (verdict.disagreements and reconsidered):
            reconsidered = bool(verdict.disagreements)
            try:
                suite = await tester.again(verdict)
            except NoSuite:
                break
            verdict = await asyncio.to_thread(judge.verdict, suite)
        return verdict

    def _examined(self, release: Release, suite: Suite | None, verdict: Verdict | None) -> Examined:
        if verdict is not None and verdict.disagreements:
            first, *others = (disagreement.for_author for disagreement in verdict.disagreements)
            return Examined((f"{DISAGREES}{first}", *others[: SHOWN - 1]), release)
        note = str(verdict) if verdict is not None and verdict.strong else f"weak: {verdict or 'no tests'}"
        if self.mode == "required" and (verdict is None or not verdict.strong):
            return Examined((WEAK.format(verdict or "no tests"),), release)
        contract = frozen(release.contract, suite) if suite is not None and verdict is not None else release.contract
        gates = {**release.provenance.gates, GATE: note}
        provenance = release.provenance.model_copy(update={"gates": gates})
        return Examined((), dataclasses.replace(release, contract=contract, provenance=provenance))

    def _tester(self, contract: Contract) -> Tester:
        promised = {key: value for key, value in contract_json(contract).items() if key not in ("examples", "language")}
        key = schemas.canonical(promised)
        if key not in self._testers:
            left = max(0, self.requests - self.asked)
            self._testers[key] = Tester(self.model, contract, self.roots, left, self.emit)
        return self._testers[key]

    def _judge(self, release: Release, parent: Artifact | None) -> Judge:
        contract = release.contract
        file_name = toolchain(contract.language).file_name if contract.language != "wasm" else ""
        source = release.source.get(file_name, b"").decode("utf-8", "replace")
        return Judge(
            self.runner,
            self.runner.load(unpublished(contract), release.wasm),
            source,
            lambda text: self.runner.load(
                unpublished(contract), self.build(contract.language, {file_name: text.encode("utf-8")}).wasm
            ),
            self._checker,
            self._parent(parent),
        )

    def _parent(self, parent: Artifact | None) -> Loaded | None:
        """What the program came from, if it runs here and is not the same capability."""
        if parent is None:
            return None
        try:
            return self.runner.load(parent.capability, parent.wasm)
        except InvalidModule:
            return None

    def _checker(self, properties: str) -> Loaded | None:
        """The tester's properties as a program; None where they do not build."""
        try:
            built = self.build("python", {"capability.py": f"{properties}\n{CHECKER}".encode()})
        except BuildError:
            return None
        checker = Contract(id="properties", summary="Checks an output.", language="python")
        return self.runner.load(unpublished(checker), built.wasm)
