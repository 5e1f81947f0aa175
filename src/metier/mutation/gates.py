"""What a draft must pass before anyone else can see it. Each gate returns findings: empty means passed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from metier import schemas
from metier.capability import Capability, Contract, Example, first_problem
from metier.compatibility import stands_in_for
from metier.mutation.trials import Trial
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.prompts import clipped
from metier.record import Diverged, ReplayedRecord
from metier.runner import Loaded, Runner
from metier.wording import fill

MIN_EXAMPLES = 3


def check_contract(
    contract: Contract, taken: Iterable[str], parent: Capability | None, *, least: int = MIN_EXAMPLES, open_: int = 0
) -> list[str]:
    """That the contract can be held to: schemas that say something, examples that match them, an id that is free.

    `least` is how many different examples there must be; so many as `open_` will get their output from a run yet.
    """
    findings = []
    if (parent is None or contract.id != parent.id) and contract.id in set(taken):
        findings.append(f"the id {contract.id!r} is taken; choose one that says what is different")
    for name, schema in (("input_schema", contract.input_schema), ("output_schema", contract.output_schema)):
        problem = schemas.check_schema(schema)
        if problem is None and schema.get("type") != "object":
            problem = 'must have "type": "object"'
        elif problem is None and not schema.get("properties") and name == "output_schema":
            problem = "must name the properties of the output"
        if problem is not None:
            findings.append(f"{name} {problem}")
    return findings or _example_problems(contract, least, open_)


def check_replacement(contract: Contract, parent: Capability, *, by_hand: bool = False) -> list[str]:
    """That the contract can stand in for the parent's, whose id it has; and that no person pinned that one."""
    findings = stands_in_for(contract, parent)
    if parent.pinned and not by_hand:
        findings.append("a person pinned it, and it stays as it is")
    return [f"the id {parent.id!r} belongs to the parent: {why}; choose an id of its own" for why in findings]


def check_permissions(contract: Contract, policy: Permissions, roots: Iterable[str]) -> list[str]:
    """That nothing is asked for which the operator does not allow to anyone here."""
    unknown = sorted({f.root for f in contract.permissions.files} - set(roots))
    findings = [f"there is no root named {root!r}; roots are: {', '.join(sorted(roots)) or 'none'}" for root in unknown]
    if not unknown:
        findings += [
            f"permissions: {ask} is not allowed in this library; do without it"
            for ask in contract.permissions.beyond(policy)
        ]
    return findings


def check_examples(trials: Sequence[Trial]) -> list[str]:
    """That the program did on each example what the example says."""
    findings: list[str] = []
    seen: set[str] = set()
    for number, trial in enumerate(trials, start=1):
        problem = mismatch(trial.example, trial.outcome)
        if problem is not None:
            debris = _debris(trial.outcome)
            told = "" if debris in seen else debris
            seen.add(debris)
            findings.append(f"example {number}, input {_shown(trial.example.input)}: {problem}{told}")
    return findings


def finished(
    runner: Runner, loaded: Loaded, contract: Contract, unfinished: Iterable[Mapping[str, Any]]
) -> tuple[Contract, list[str]]:
    """The contract with the examples that had no outcome, in front and with what the program returns; and why one has
    none."""
    filled, findings = [], []
    for fields in unfinished:
        given = {key: value for key, value in fields.items() if key not in ("output", "error")}
        outcome = runner.rehearse(loaded, given.get("input"), fixtures=given.get("fixtures"))
        if isinstance(outcome, Failed):
            rightly = ""
            if _meant(outcome):
                error = json.dumps({"kind": outcome.code})
                rightly = f'. If that is the right answer on the data as it is, give the example "error": {error}'
            findings.append(
                f"the example with input {_shown(given.get('input'))} failed ({outcome.code or outcome.kind}): "
                f"{outcome.error}{rightly}{_debris(outcome)}"
            )
            continue
        try:
            filled.append(Example.model_validate({**given, "output": outcome.output}))
        except ValidationError as error:
            findings.append(f"the example with input {_shown(given.get('input'))}: {first_problem(error)}")
    return contract.model_copy(update={"examples": (*filled, *contract.examples)}), findings


def check_determinism(runner: Runner, loaded: Loaded, portable: Loaded | None, trials: Sequence[Trial]) -> list[str]:
    """That each example gives the same bytes and burns the same fuel when it is told once more, and on `portable`, the
    same program on an independent back end, what it was told of the outside the first time."""
    findings = []
    for number, trial in enumerate(trials, start=1):
        first, example = trial.outcome, trial.example
        if isinstance(first, Failed) and first.kind in ("input", "time"):
            continue
        again = [(runner, loaded, "a second run")]
        if portable is not None and not any(e.look[:1] == ("call",) for e in first.effects):
            again.append((runner.portable, portable, "the portable interpreter"))
        for on, program, where in again:
            problem = _unlike(first, on, program, example)
            if problem is not None:
                findings.append(f"example {number}, input {_shown(example.input)}: {where} differs: {problem}")
    return findings


def _unlike(first: Ran | Failed, runner: Runner, loaded: Loaded, example: Example) -> str | None:
    record = ReplayedRecord(first.effects, first.blobs)
    try:
        again = runner.rehearse(loaded, example.input, fixtures=example.fixtures, record=record)
    except Diverged as diverged:
        return str(diverged)
    for what in ("output_text", "error", "fuel"):
        was, now = getattr(first, what, None), getattr(again, what, None)
        if was != now:
            return f"{what.removesuffix('_text')} was {was!r}, and is {now!r}"
    return None


def mismatch(example: Example, outcome: Ran | Failed) -> str | None:
    """How an outcome differs from what the example says; None when it does not."""
    if isinstance(outcome, Failed):
        if example.error is None:
            code = f" ({outcome.code})" if outcome.code else ""
            return (
                f"expected output {_shown(example.output)}, but it failed: {outcome.kind} error{code}: {outcome.error}"
            )
        return _error_mismatch(example, outcome)
    if example.error is not None:
        return f"expected an error, but it returned {_shown(outcome.output)}"
    if not same_json(example.output, outcome.output):
        return f"expected output {_shown(example.output)}, but it returned {_shown(outcome.output)}"
    return _state_mismatch(example, outcome.changed)


def _state_mismatch(example: Example, changed: Mapping[str, bytes | None]) -> str | None:
    """How the files differ from what the example says of them, as the host reads them."""
    before = {path.lstrip("/"): content for path, content in (example.fixtures or {}).items()}
    told = {path.lstrip("/") for path in example.after or {}}
    if told and (untold := sorted(changed.keys() - told)):
        return f"it changed {untold[0]} too, which `after` does not say"
    for name, expected in (example.after or {}).items():
        path = name.lstrip("/")
        if path not in changed:
            if path not in before or not same_json(expected, before[path]):
                return f"expected {path} to hold {_shown(expected)} afterwards, but it was not changed"
            continue
        content = changed[path]
        held = None if content is None else _held(content, expected)
        if not same_json(held, expected):
            return f"expected {path} to hold {_shown(expected)} afterwards, but it holds {_shown(held)}"
    return None


def _held(content: bytes, expected: Any) -> Any:
    """What a file holds: text where a text is expected, else its JSON value, or text if it has none."""
    text = content.decode("utf-8", "replace")
    if isinstance(expected, str):
        return text
    try:
        return schemas.parse(content, what="the file")
    except schemas.InvalidJson:
        return text


def same_json(a: Any, b: Any) -> bool:
    """Equality of JSON values: true is not 1, but 1 is 1.0."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_json, a, b))
    return bool(a == b)


def _error_mismatch(example: Example, outcome: Failed) -> str | None:
    assert example.error is not None
    if outcome.kind not in ("program", "input"):
        return f"expected an error of the program's own, but it ended with a {outcome.kind} error: {outcome.error}"
    wanted = example.error
    if wanted.kind is not None and wanted.kind not in (outcome.code, outcome.kind):
        return f"expected an error of kind {wanted.kind!r}, got {outcome.code or outcome.kind!r}: {outcome.error}"
    if wanted.message is not None and wanted.message.casefold() not in outcome.error.casefold():
        return f"expected an error that says {wanted.message!r}, got: {outcome.error}"
    return None


def _example_problems(contract: Contract, least: int, open_: int) -> list[str]:
    findings = []
    examples = contract.examples
    distinct = {schemas.canonical([e.input, e.fixtures]) for e in examples}
    if len(distinct) + open_ < least:
        same = "" if len(distinct) == len(examples) else ", some of them with the same input"
        findings.append(f"{len(examples)} examples{same}; at least {least} are needed that differ")
    if least >= MIN_EXAMPLES and _writes_files(contract) and not any(e.after for e in examples):
        findings.append(
            "it writes files, so an example with `fixtures` has to say in `after` what the files hold when it has run"
        )
    if not open_ and not any(e.error is None for e in examples):
        findings.append("at least one example must have an output")
    for number, example in enumerate(examples, start=1):
        expected_to_fail = example.error is not None
        taken = schemas.violation(contract.input_schema, example.input)
        given = None if expected_to_fail else schemas.violation(contract.output_schema, example.output)
        if taken and not (expected_to_fail and taken.kind == "schema"):
            findings.append(f"example {number}: its input does not match input_schema: {taken}")
        if given:
            findings.append(f"example {number}: its output does not match output_schema: {given}")
        if any(problem and problem.kind != "schema" for problem in (taken, given)):
            break  # each further one would take as long
        if not expected_to_fail and example.answer is not None and fill(example.answer, example.output) is None:
            findings.append(
                f"example {number}: the answer {example.answer!r} leads nowhere in its output; placeholders are dotted "
                "paths to a text or number, such as {name} or {employees.0.name}"
            )
    return findings


def _writes_files(contract: Contract) -> bool:
    return any(f.access == "write" for f in contract.permissions.files)


def _debris(outcome: Ran | Failed) -> str:
    """What a run left on stderr, without the error that is told already; of an error that was meant no traceback."""
    lines = outcome.stderr.strip()
    if isinstance(outcome, Failed):
        if outcome.kind == "input":
            return ""
        lines = re.sub(r"\n?^\{\"error\": [^\n]*\}$\Z", "", lines, flags=re.MULTILINE)
        if _meant(outcome):
            lines = re.sub(r"^Traceback [^\n]*\n(?:  [^\n]*\n)*[^\n]*\Z", "", lines, flags=re.MULTILINE).strip()
    return f"\nstderr:\n{clipped(lines, 1500)}" if lines else ""


def _meant(outcome: Failed) -> bool:
    """Whether a program failed with an error of its own, and not with one of its language, such as KeyError."""
    return outcome.kind == "program" and outcome.code is not None and outcome.code.islower()


def _shown(value: Any) -> str:
    return clipped(json.dumps(value, ensure_ascii=False), 800)
