"""An independent suite of tests, and what it is worth: whether the program passes it, and whether faulty ones fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
SHOWN: Final = 4
"""Of what the tester is told of one kind."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests that somebody wrote who knows the contract and not the source."""

    examples: tuple[Example, ...]
    properties: str = ""
    """Python with `def check(input, output)`; empty for none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a suite says of a program, and what programs with faults say of the suite."""

    disagreements: tuple[str, ...] = ()
    """Tests that the program does not pass."""
    passing: tuple[str, ...] = ()
    """What passes and must not: the parent, a program that does nothing."""
    survivors: tuple[str, ...] = ()
    """Inputs on which a faulty program that passes differs from the right one."""
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

    def verdict(self, suite: Suite) -> Verdict:
        """What the suite says of the program; where they agree, also what the suite is worth."""
        checker = self._checker(suite.properties) if suite.properties else None
        disagreements = tuple(self._disagreements(suite, checker))
        if disagreements:
            return Verdict(disagreements)
        passing = [*_idle(suite)]
        if self._parent is not None and self._passes(self._parent, suite, checker):
            passing.append(f"The program that this one was made from ({self._parent.capability.id})")
        alive, found = [], 0
        for faulty in self._faults():
            if self._passes(faulty, suite, checker):
                alive.append(faulty)
            else:
                found += 1
        told = [text for text in (self._told_apart(faulty, suite) for faulty in alive) if text]
        return Verdict((), tuple(passing), tuple(dict.fromkeys(told))[:SHOWN], found, found + len(told))

    def _disagreements(self, suite: Suite, checker: Loaded | None) -> Iterator[str]:
        for example in suite.examples:
            outcome = self._run(self._loaded, example)
            problem = gates.mismatch(example, outcome)
            if problem is not None:
                yield f"{_test(example)}: {problem}"
        if checker is not None:
            for example in (*suite.examples, *self._loaded.capability.examples):
                problem = self._broken(checker, example.input, self._run(self._loaded, example))
                if problem is not None:
                    yield f"{_test(example)}: {problem}"

    def _passes(self, program: Loaded, suite: Suite, checker: Loaded | None) -> bool:
        for example in suite.examples:
            outcome = self._run(program, example)
            if gates.mismatch(example, outcome) is not None:
                return False
            if checker is not None and self._broken(checker, example.input, outcome) is not None:
                return False
        return True

    def _broken(self, checker: Loaded, input: Any, outcome: Ran | Failed) -> str | None:
        if isinstance(outcome, Failed):
            return None
        said = self._runner.rehearse(checker, {"input": input, "output": outcome.output})
        return f"the properties do not hold: {clipped(said.error, 400)}" if isinstance(said, Failed) else None

    def _faults(self) -> list[Loaded]:
        """The mutants that build; made once for all suites."""
        if self._faulty is None:
            language = self._loaded.capability.language
            made = mutants(self._source, language, MUTANTS.get(language, MUTANTS_COMPILED))
            self._faulty = [program for program in map(self._built, made) if program is not None]
        return self._faulty

    def _built(self, source: str) -> Loaded | None:
        try:
            return self._rebuilt(source)
        except (BuildError, InvalidModule, SetupMissing):
            return None

    def _told_apart(self, faulty: Loaded, suite: Suite) -> str | None:
        """An input on which a faulty program differs from the right one, in words; None where none was found."""
        for example in self._probes(suite):
            right, wrong = self._run(self._loaded, example), self._run(faulty, example)
            if essence(right) != essence(wrong):
                return f"{_test(example)}. One of them: {_said(right)}. The other: {_said(wrong)}."
        return None

    def _probes(self, suite: Suite) -> list[Example]:
        """The contract's own examples, and variations of all examples that its input schema allows."""
        own = self._loaded.capability.examples
        varied = (example for base in (*suite.examples, *own) for example in variations(base, self._loaded.capability))
        return [*own, *list(varied)[:PROBES]]

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
    return f"returned {clipped(outcome.output_text, 600)}" if isinstance(outcome, Ran) else f"failed: {outcome.error}"


def _test(example: Example) -> str:
    fixtures = f" with fixtures {clipped(schemas.compact(example.fixtures), 1_000)}" if example.fixtures else ""
    return f"input {clipped(schemas.compact(example.input), 600)}{fixtures}"


def frozen(contract: Contract, suite: Suite) -> Contract:
    """The contract with the tests of the suite behind its own examples, without those that it has already."""
    own = {schemas.canonical([e.input, e.fixtures]) for e in contract.examples}
    added = tuple(e for e in suite.examples if schemas.canonical([e.input, e.fixtures]) not in own)
    return contract.model_copy(update={"examples": (*contract.examples, *added)})
