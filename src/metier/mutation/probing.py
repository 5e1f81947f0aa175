"""The gate of probes: what a program makes of inputs, data and days a little different from those of its examples.

It needs no expected outputs. That every input matters, that a file's content matters, that no input which the schema
allows breaks the contract, and that neither the day nor chance play a part that nobody asked for, shows by comparison.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from metier import schemas
from metier.capability import Contract
from metier.lifecycle import breaks_contract
from metier.mutation.trials import Trial, again, essence
from metier.mutation.variations import other_values, perturbed, varied
from metier.outcomes import Failed, Ran
from metier.prompts import clipped
from metier.runner import Loaded, Runner
from metier.schemas import compact

MAX_PROBES: Final = 24
"""Inputs tried for each input that a contract names; mostly the first shows that it matters."""
MAX_STRAY: Final = 8
"""Varied inputs tried to see whether one breaks the contract."""
SLIPS: Final = frozenset(
    {"KeyError", "IndexError", "TypeError", "AttributeError", "NameError", "UnboundLocalError", "ZeroDivisionError"}
    | {"ReferenceError", "RangeError", "AssertionError"}
)
"""Kinds of errors that no author raises on purpose; they are Python's and JavaScript's."""
WHO: Final = re.compile(r"(^|_)(id|ids|name|names|email|user|username|person|employee|customer|account|key)$")
"""Names of inputs that say who or which is meant."""
DAMAGED: Final = '[{"'
FAILURE_KEYS: Final = ("error", "errors", "exception")


def check_probes(runner: Runner, loaded: Loaded, trials: Sequence[Trial]) -> list[str]:
    """What small changes bring to light."""
    contract = loaded.capability
    return [
        *_hidden_errors(contract, trials),
        *_never_returned(contract, trials),
        *_another_day(runner, loaded, trials),
        *_inputs(runner, loaded, trials),
        *_data(runner, loaded, trials),
        *_damaged(runner, loaded, trials),
        *itertools.islice(_breaks(runner, loaded, trials), 1),
    ]


def _hidden_errors(contract: Contract, trials: Sequence[Trial]) -> Iterator[str]:
    """Outputs that tell of an error, and of nothing that other outputs hold."""
    outputs = [t.outcome.output for t in trials if isinstance(t.outcome, Ran) and isinstance(t.outcome.output, dict)]
    sound = [_filled(output) for output in outputs if not _filled(output) & set(FAILURE_KEYS)]
    for trial in trials:
        output = trial.outcome.output if isinstance(trial.outcome, Ran) else None
        filled = _filled(output) if isinstance(output, dict) else set()
        if filled & set(FAILURE_KEYS) and not any(filled & keys for keys in sound):
            yield (
                f"for input {_shown(trial.example.input)} it returns {_shown(output)}: a failure is no output; raise "
                "an error with a kind (host.Error in Python), and give the example an `error` in place of the output"
            )
            return


def _filled(output: Mapping[str, Any]) -> set[str]:
    return {key for key, value in output.items() if value not in (None, "", [], {})}


def _never_returned(contract: Contract, trials: Sequence[Trial]) -> Iterator[str]:
    """Fields of the output that no example has."""
    outputs = [t.outcome.output for t in trials if isinstance(t.outcome, Ran) and isinstance(t.outcome.output, dict)]
    for name in contract.output_schema.get("properties", {}):
        if outputs and not any(name in output for output in outputs):
            yield f"no example's output has {name!r}, which output_schema names: return it, or do not name it"


def _another_day(runner: Runner, loaded: Loaded, trials: Sequence[Trial]) -> Iterator[str]:
    """Examples that come out otherwise on another day, or with other random numbers."""
    asks = loaded.capability.permissions
    elsewhere = runner.another_day(
        clock="clock" not in asks.model_fields_set, random="random" not in asks.model_fields_set
    )
    for trial in trials:
        other = again(elsewhere, loaded, trial)
        if essence(other) != essence(trial.outcome):
            now = other.output_text if isinstance(other, Ran) else getattr(other, "error", "")
            yield (
                f"for input {_shown(trial.example.input)} the result depends on the time or on random numbers: on "
                f"another day it is {clipped(now, 300)}. Take dates from the input; where chance is wanted, ask for it "
                'in permissions: "random": "seeded" for the same numbers on every run'
            )
            return


def _inputs(runner: Runner, loaded: Loaded, trials: Sequence[Trial]) -> Iterator[str]:
    """Inputs that no example gives, that make no difference, or that stand for somebody where they are left out."""
    schema = loaded.capability.input_schema
    by_input = {id(trial.example): trial for trial in trials}
    for name in schema.get("properties", {}):
        given = [t for t in trials if isinstance(t.example.input, dict) and name in t.example.input]
        if not given:
            yield f"no example gives the input {name!r}: add one in which it matters, or leave it out of the schema"
            continue
        probes = other_values(name, [t.example for t in trials], loaded.capability)
        probed, matters = False, False
        for example, input in itertools.islice(probes, MAX_PROBES):
            probed, trial = True, by_input[id(example)]
            outcome = again(runner, loaded, trial, input=input)
            matters = matters or essence(outcome) != essence(trial.outcome)
            if matters:
                break
        if probed and not matters:
            yield (
                f"the input {name!r} makes no difference to any example: add one in which it does, or leave it out of "
                "the schema"
            )
        elif name not in schema.get("required", ()) and WHO.search(name):
            yield from _stand_in(runner, loaded, given, name)


def _stand_in(runner: Runner, loaded: Loaded, given: Sequence[Trial], name: str) -> Iterator[str]:
    """Where leaving out who is meant gives one of those who could be."""
    if len({essence(trial.outcome) for trial in given}) < 2:
        return
    others = {other for other in loaded.capability.input_schema["properties"] if other != name and WHO.search(other)}
    for trial in given:
        left = {key: value for key, value in trial.example.input.items() if key != name}
        without = again(runner, loaded, trial, input=left)
        if left.keys() & others or not isinstance(without, Ran):
            continue
        if essence(without) == essence(trial.outcome):
            yield (
                f"without {name!r} it returns what it does for {_shown(trial.example.input[name])}: require {name!r}, "
                "or fail without it"
            )
            return


def _data(runner: Runner, loaded: Loaded, trials: Sequence[Trial]) -> Iterator[str]:
    """Files that may hold what they like: the examples come out the same."""
    for file in loaded.capability.permissions.files:
        path = f"{file.root}/{file.path}"
        reached = 0
        for trial in trials:
            held = _held(trial, path)
            if held is None:
                continue
            reached += 1
            if essence(again(runner, loaded, trial, fixtures={path: perturbed(held)})) != essence(trial.outcome):
                break
        else:
            if reached and file.access == "read":
                yield (
                    f"whatever {path} holds, the examples come out the same: compute the result from it, or do not ask "
                    "for it"
                )


def _damaged(runner: Runner, loaded: Loaded, trials: Sequence[Trial]) -> Iterator[str]:
    """Files that hold JSON, which may be damaged without anybody hearing of it."""
    for file in loaded.capability.permissions.files:
        path = f"{file.root}/{file.path}"
        for trial in trials:
            held = _held(trial, path)
            if not isinstance(trial.outcome, Ran) or held is None or not _is_json(held):
                continue
            outcome = again(runner, loaded, trial, fixtures={path: DAMAGED})
            if isinstance(outcome, Ran) and essence(outcome) != essence(trial.outcome):
                yield (
                    f"when {path} holds no valid JSON, it still returns {_shown(outcome.output)} for input "
                    f"{_shown(trial.example.input)}, as though nothing were wrong: let the error through"
                )
            break


def _is_json(held: Any) -> bool:
    if not isinstance(held, (str, bytes)):
        return True
    try:
        return isinstance(schemas.parse(held, what="it"), (dict, list))
    except schemas.InvalidJson:
        return False


def _held(trial: Trial, path: str) -> Any:
    for name, content in (trial.example.fixtures or {}).items():
        if name.lstrip("/") == path:
            return content
    return trial.read.get(path)


def _breaks(runner: Runner, loaded: Loaded, trials: Sequence[Trial]) -> Iterator[str]:
    """Inputs that the schema allows, and that the program cannot take."""
    schema = loaded.capability.input_schema
    kinds = [((trial, input) for input in varied(trial.example.input, schema)) for trial in trials]
    in_turn = (probe for row in itertools.zip_longest(*kinds) for probe in row if probe is not None)
    for trial, input in itertools.islice(in_turn, MAX_STRAY):
        outcome = again(runner, loaded, trial, input=input)
        if isinstance(outcome, Failed) and (breaks_contract(outcome) or outcome.code in SLIPS):
            what = f"{outcome.code or outcome.kind}: {outcome.error}"
            yield (
                f"input {_shown(input)}, which input_schema allows, ends with {what}: take it, refuse it with an error "
                "of its own (host.Error in Python), or do not allow it in the schema"
            )


def _shown(value: Any) -> str:
    return clipped(compact(value), 400)
