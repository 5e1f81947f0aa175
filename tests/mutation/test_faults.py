"""Seeded faults against the gates: each goes through the real mutator, with an author who trusts his faulty program.

The author's examples are what the faulty program returns, so they agree with it. The tester's were written from the
contract alone.
"""

from __future__ import annotations

import asyncio
import collections
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.capability import Contract, unpublished
from metier.errors import BuildError
from metier.library import Artifact, Library
from metier.outcomes import Failed, Mutated, NotMutated, Ran
from metier.runner import Loaded
from metier.testing import ScriptedModel
from metier.toolchains import Workshop, toolchain
from tests.mutation.faults import BASES
from tests.mutation.faults.base import Base, Fault, Test

SETTINGS = """
[roots]
hr = "data"
[policy]
files = [{{ root = "hr", path = "**", access = "write" }}]
clock = "recorded"
random = "recorded"
[policy.unasked]
files = [{{ root = "hr", path = "**", access = "write" }}]
clock = "recorded"
random = "recorded"
[agent]
independence = "{mode}"
tester_requests = 1
mutation_rounds = 1
[limits]
fuel = 3_000_000_000
"""
TEN = {
    *("unsaved write", "returned the old value", "swallowed error", "error with exit 0", "hard-coded example"),
    *("wrong default", "off by one", "wrong unit", "unstable order", "time or locale dependence"),
}
"""Of these nothing may get through."""
ENOUGH = 0.95

GATES = {
    "independent tester": "independence",
    "the source does not build": "build",
    "the source says what": "parent",
    "already does this": "twins",
    "depends on the time or on random": "another day",
    "differs:": "determinism",
    "asks to": "permissions",
    "the id ": "permissions",
    "as though nothing were wrong": "permissions",
    "effects is": "permissions",
    "makes no difference": "probes",
    "no example gives": "probes",
    "come out the same": "probes",
    "which input_schema allows": "probes",
    "a failure is no output": "probes",
    "no example's output has": "probes",
    "without '": "probes",
    "frozen example": "regression",
    "example": "examples",
}
"""Words in a finding, and the gate that it is of."""


@dataclass
class Bench:
    """One library for the faults of one base."""

    base: Base
    runtime: Runtime

    def draft(self, fault: Fault | None) -> dict[str, Any]:
        """What the author hands in: with what his program returns as expected outcomes."""
        source = fault.put_into(self.base.source) if fault else self.base.source
        fields = {**self.base.contract, **(fault.contract if fault else {})}
        contract = Contract.model_validate(fields)
        first, *others = [{"input": value} for value in self.base.tried]
        examples = [{**first, "task": self.base.summary}]
        loaded = self._built(contract, source)
        for example in others:
            laid = {**example, **({"fixtures": self.base.own} if self.base.own else {})}
            examples.append({**laid, **self._expected(loaded, laid)})
        return {**fields, "examples": examples, "source": source}

    def _built(self, contract: Contract, source: str) -> Loaded | None:
        tools, runner = toolchain(contract.language), self.runtime.runner
        try:
            built = tools.build({tools.file_name: source.encode()}, Workshop(runner.box, False))
        except BuildError:
            return None
        return runner.load(unpublished(contract), built.wasm)

    def _expected(self, loaded: Loaded | None, example: dict[str, Any]) -> dict[str, Any]:
        if loaded is None:
            return {"output": {}}
        outcome = self.runtime.runner.rehearse(loaded, example["input"], fixtures=example.get("fixtures"))
        if isinstance(outcome, Failed):
            return {"error": {"kind": outcome.code or outcome.kind}}
        return {"output": outcome.output, **self._after(outcome)}

    def _after(self, outcome: Ran) -> dict[str, Any]:
        if "write" not in self.base.files.values():
            return {}
        changed = {path: _held(content) for path, content in outcome.changed.items()}
        return {"after": changed or self.base.own}

    def outcome(self, fault: Fault | None) -> Mutated | NotMutated:
        """What comes of it; the library is as it was afterwards."""
        library = self.runtime.library
        shutil.rmtree(library.path / self.base.id, ignore_errors=True)
        if fault is not None and fault.parent:
            outcome = self.runtime.mutator().submit(self.draft(None), None, "test:author")
            assert isinstance(outcome, Mutated), outcome
        parent = library.load(self.base.id) if fault is not None and fault.parent else None
        draft = self.draft(fault)
        outcome = self.mutated(draft, parent)
        shutil.rmtree(library.path / draft["id"], ignore_errors=True)
        return outcome

    def mutated(self, draft: dict[str, Any], parent: Artifact | None) -> Mutated | NotMutated:
        """What comes of a draft, with tests that were written without it."""
        author = ScriptedModel([_call("submit_capability", draft)])
        tester = ScriptedModel([_call("submit_tests", {"examples": [_test(t, self.base) for t in self.base.tests]})])
        mutation = self.runtime.mutator().mutate(author, self.base.summary, parent, lambda _: None, tester=tester)
        outcome, _, _ = asyncio.run(mutation)
        assert isinstance(outcome, Mutated | NotMutated), outcome
        return outcome


def _held(content: bytes | None) -> Any:
    if content is None:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return content.decode()


def _call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def _test(test: Test, base: Base) -> dict[str, Any]:
    data = test.data or base.data
    expected = {"error": {"kind": test.error}} if test.error else {"output": test.output}
    more = {"fixtures": data, "after": test.after}
    return {"input": test.input, **expected, **{key: value for key, value in more.items() if value is not None}}


def bench(base: Base, folder: Path, mode: str) -> Bench:
    library = Library.create(folder / base.id)
    (library.path / "data").mkdir()
    for path, content in (base.own or {}).items():
        text = content if isinstance(content, str) else json.dumps(content)
        (library.path / "data" / path.removeprefix("hr/")).write_text(text, encoding="utf-8")
    (library.path / "metier.toml").write_text(SETTINGS.format(mode=mode), encoding="utf-8")
    return Bench(base, Runtime.open(library.path))


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Bench]]:
    folder = tmp_path_factory.mktemp("faults")
    made = {base.id: bench(base, folder, "wanted") for base in BASES}
    yield made
    for each in made.values():
        each.runtime.close()


def gate_of(finding: str) -> str:
    return next((gate for words, gate in GATES.items() if words in finding), "other")


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.id)
def test_a_right_program_is_published_with_tests_that_find_its_mutants(base: Base, tmp_path: Path) -> None:
    made = bench(base, tmp_path, "required")
    with made.runtime:
        outcome = made.outcome(None)
    assert isinstance(outcome, Mutated), outcome.findings


def test_faulty_programs_are_stopped(benches: dict[str, Bench], capsys: pytest.CaptureFixture[str]) -> None:
    stopped: collections.Counter[str] = collections.Counter()
    through: list[tuple[str, Fault]] = []
    for base in BASES:
        for fault in base.faults:
            outcome = benches[base.id].outcome(fault)
            if isinstance(outcome, Mutated):
                through.append((base.id, fault))
            else:
                stopped[gate_of(outcome.findings[0])] += 1
    total = stopped.total() + len(through)
    with capsys.disabled():
        print(f"\n{stopped.total()} of {total} faults stopped: {dict(stopped.most_common())}; through:")
        for id, fault in through:
            print(f"  {id}: {fault.kind}: {fault.old!r} → {fault.new!r}")
    assert total >= 200
    assert len(BASES) >= 20
    assert stopped["other"] == 0
    assert stopped.total() >= ENOUGH * total
    assert not {fault.kind for _, fault in through} & TEN
