"""An independent suite of tests, and what it is worth: whether the program passes it, and whether faulty ones fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from metier import schemas
from metier.capability import Contract, Example
from metier.errors import BuildError, InvalidModule, SetupMissing
from metier.mutation import gates
from metier.mutation.mutants import mutants
from metier.mutation.trials import essence
from metier.mutation.variations import variations
from metier.outcomes import Failed, Ran
from metier.prompts import clipped
from metier.runner import Loaded, Runner

ENOUGH: Final = 0.8
"""The share of faulty programs that a suite has to find."""
MUTANTS: Final = {"python": 24}
MUTANTS_COMPILED: Final = 10
"""Each of them takes a compilation."""
PROBES: Final = 24
"""Inputs beyond the tests on which a faulty program is compared with the right one."""
WORKERS: Final = min(4, os.cpu_count() or 1)
"""Faulty programs that are built and run at once; while they run, Python does not hold them up."""
SHOWN: Final = 4
"""Of what the tester is told of one kind."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests that somebody wrote who knows the contract and not the source."""

    examples: tuple[Example, ...]
    properties: str = ""
    """Python with `def check(input, output)`; empty for none."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A test that a program does not pass, in words for either side."""

    for_author: str
    """What is expected, and what the program did."""
    for_tester: str
    """Where they differ, and not the program's value: a tester that is shown one is tempted to adopt it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a suite says of a program, and what programs with faults say of the suite."""

    disagreements: tuple[Disagreement, ...] = ()
    passing: tuple[str, ...] = ()
    """What passes and must not: the parent, a program that does nothing."""
    survivors: tuple[str, ...] = ()
    """Inputs on which faulty programs that pass differ from the right one, each with all that comes out."""
    found: int = 0
    """Faulty programs that fail the suite."""
    faulty: int = 0
    """Faulty programs in all, without those that no input tells from the right one."""

    @property
    def strong(self) -> bool:
        """Whether the program passes, and what must not does not: whole programs, and enough of the faulty ones."""
        return not self.disagreements and not self.passing and self.found >= ENOUGH * self.faulty

    def __str__(self) -> str:
        return f"{self.found} of {self.faulty} faulty programs found"


class Judge:
    """Judges suites for one program. `rebuilt` makes a program of a changed source, `parent` is what it came from."""

    def __init__(
        self,
        runner: Runner,
        loaded: Loaded,
        source: str,
        rebuilt: Callable[[str], Loaded],
        checker: Callable[[str], Loaded | None],
        parent: Loaded | None,
    ) -> None:
        self._runner = runner
        self._loaded = loaded
        self._source = source
        self._rebuilt = rebuilt
        self._checker = checker
        self._parent = parent
        self._faulty: list[Loaded] | None = None
        self._likely = 0

    def verdict(self, suite: Suite) -> Verdict:
        """What the suite says of the program; where they agree, also what the suite is worth."""
        checker = self._checker(suite.properties) if suite.properties else None
        disagreements = tuple(self._disagreements(suite, checker))
        if disagreements:
            return Verdict(disagreements)
        passing = [*_idle(suite)]
        if self._parent is not None and self._passes(self._parent, suite, checker):
            passing.append(f"The program that this one was made from ({self._parent.capability.id})")
        with ThreadPoolExecutor(WORKERS, "metier-mutants") as pool:
            faults = self._faults(pool)
            passed = list(pool.map(lambda faulty: self._passes(faulty, suite, checker), faults))
        alive = [faulty for faulty, passes in zip(faults, passed, strict=True) if passes]
        found = len(faults) - len(alive)
        told = [probe for probe in (self._told_apart(faulty, suite) for faulty in alive) if probe]
        return Verdict((), tuple(passing), tuple(_grouped(told))[:SHOWN], found, found + len(told))

    def _disagreements(self, suite: Suite, checker: Loaded | None) -> Iterator[Disagreement]:
        shown: str | None = None
        for number, example in enumerate(suite.examples, start=1):
            outcome = self._run(self._loaded, example)
            problem = gates.mismatch(example, outcome)
            if problem is not None:
                test = f"test {number}, input {_input(example)}"
                yield Disagreement(
                    f"{_test(example, shown)}: {problem}", f"{test}: {_where(example, outcome, problem)}"
                )
                shown = _fixtures(example)
        if checker is not None:
            for example in (*suite.examples, *self._loaded.capability.examples):
                problem = self._broken(checker, example.input, self._run(self._loaded, example))
                if problem is not None:
                    text = f"{_test(example, shown)}: {problem}"
                    yield Disagreement(text, text)
                    shown = _fixtures(example)

    def _passes(self, program: Loaded, suite: Suite, checker: Loaded | None) -> bool:
        first = self._likely  # the test that found the last fault may well find the next one
        for example in (*suite.examples[first:], *suite.examples[:first]):
            outcome = self._run(program, example)
            if gates.mismatch(example, outcome) is not None or (
                checker is not None and self._broken(checker, example.input, outcome) is not None
            ):
                self._likely = suite.examples.index(example)
                return False
        return True

    def _broken(self, checker: Loaded, input: Any, outcome: Ran | Failed) -> str | None:
        if isinstance(outcome, Failed):
            return None
        said = self._runner.rehearse(checker, {"input": input, "output": outcome.output})
        return f"the properties do not hold: {clipped(said.error, 400)}" if isinstance(said, Failed) else None

    def _faults(self, pool: Executor) -> list[Loaded]:
        """The mutants that build; made once for all suites."""
        if self._faulty is None:
            language = self._loaded.capability.language
            made = mutants(self._source, language, MUTANTS.get(language, MUTANTS_COMPILED))
            self._faulty = [program for program in pool.map(self._built, made) if program is not None]
        return self._faulty

    def _built(self, source: str) -> Loaded | None:
        try:
            return self._rebuilt(source)
        except (BuildError, InvalidModule, SetupMissing):
            return None

    def _told_apart(self, faulty: Loaded, suite: Suite) -> tuple[str, str, str] | None:
        """An input on which a faulty program differs from the right one, and what each of the two does, in words; None
        where none was found."""
        for text, example in self._probes(suite):
            right, wrong = self._run(self._loaded, example), self._run(faulty, example)
            if essence(right) != essence(wrong):
                return text, _said(right), _said(wrong)
        return None

    def _probes(self, suite: Suite) -> list[tuple[str, Example]]:
        """The contract's own examples, and variations of all examples that its input schema allows, each with words for
        the tester that do not repeat what it has."""
        own = [(f"the contract's example {n}", e) for n, e in enumerate(self._loaded.capability.examples, start=1)]
        tests = [(f"your test {n}", e) for n, e in enumerate(suite.examples, start=1)]
        varied = [
            (f"{_as_in(base, where)}input {_input(example)}", example)
            for where, base in (*tests, *own)
            for example in variations(base, self._loaded.capability)
        ]
        return [*((f"{where}, input {_input(e)}", e) for where, e in own), *varied[:PROBES]]

    def _run(self, program: Loaded, example: Example) -> Ran | Failed:
        return self._runner.rehearse(program, example.input, fixtures=example.fixtures)


def _idle(suite: Suite) -> Iterator[str]:
    """Programs that do nothing and pass: what always answers the same, and what hands its input back."""
    outcomes = {schemas.canonical([e.output, e.after]) for e in suite.examples if e.error is None}
    if len(outcomes) < min(2, len(suite.examples)):
        yield "A program that always answers the same"
    if all(e.error is None and not e.after and gates.same_json(e.output, e.input) for e in suite.examples):
        yield "A program that hands its input back"


def _said(outcome: Ran | Failed) -> str:
    return clipped(outcome.output_text if isinstance(outcome, Ran) else f"an error: {outcome.error}", 600)


def _grouped(told: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """One text for each input, with all that right and faulty programs do on it, in an order that tells nothing."""
    outcomes: dict[str, set[str]] = {}
    for text, right, wrong in told:
        outcomes.setdefault(text, set()).update((right, wrong))
    for text, said in outcomes.items():
        yield "\n".join((f"{text}. Of what programs do on it, one is right:", *(f"- {each}" for each in sorted(said))))


def _input(example: Example) -> str:
    return clipped(schemas.compact(example.input), 600)


def _fixtures(example: Example) -> str:
    return clipped(schemas.compact(example.fixtures), 1_000) if example.fixtures else ""


def _as_in(base: Example, where: str) -> str:
    return f"with the fixtures of {where}, " if base.fixtures else ""


def _test(example: Example, shown: str | None = None) -> str:
    """An input with its fixtures, unless those were `shown` just before."""
    fixtures = _fixtures(example)
    told = f" with fixtures {fixtures}" if fixtures != shown else " with the same fixtures"
    return f"input {_input(example)}{told if fixtures else ''}"


def _where(example: Example, outcome: Ran | Failed, problem: str) -> str:
    """Where an outcome is not what a test expects, without a value that the program came to."""
    if isinstance(outcome, Failed):
        return problem
    if example.error is not None:
        return "you expect an error, and it returned an output"
    paths = [path or "the whole" for path in _differences(example.output, outcome.output)]
    if paths:
        return f"the output that you expect differs at {', '.join(paths[:6])}"
    return "what you expect the files to hold afterwards differs"


def _differences(a: Any, b: Any, path: str = "") -> Iterator[str]:
    """Dotted paths at which two JSON values differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            inner = f"{path}.{key}".lstrip(".")
            if key in a and key in b:
                yield from _differences(a[key], b[key], inner)
            else:
                yield inner
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for number, (one, other) in enumerate(zip(a, b, strict=True)):
            yield from _differences(one, other, f"{path}.{number}".lstrip("."))
    elif not gates.same_json(a, b):
        yield path


def frozen(contract: Contract, suite: Suite) -> Contract:
    """The contract with the tests of the suite behind its own examples, without those that it has already."""
    own = {schemas.canonical([e.input, e.fixtures]) for e in contract.examples}
    added = tuple(e for e in suite.examples if schemas.canonical([e.input, e.fixtures]) not in own)
    return contract.model_copy(update={"examples": (*contract.examples, *added)})
