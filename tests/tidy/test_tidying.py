"""Tidying: what is proposed, that it is carried out only where it holds, and that nothing is lost by it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.library import Library
from metier.testing import ScriptedModel
from metier.tidy import Done, Proposal, Tidying
from tests.mutation.test_draft import DRAFT
from tests.test_aliases import TIMES, add

SUM = 'def run(input: dict) -> dict:\n    n = input["n"]\n    return {"twice": n + n}\n'
SETTINGS = '[agent]\nindependence = "off"\nmutation_rounds = 2\n[lifecycle]\ntrial_tasks = 3\n'


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    (library.path / "metier.toml").write_text(SETTINGS, encoding="utf-8")
    return library


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


def found(runtime: Runtime) -> list[tuple[str, tuple[str, ...], str | None]]:
    return [(p.kind, p.retires, p.kept) for p in Tidying(runtime).find()]


def apply(runtime: Runtime) -> list[Done]:
    tidying = Tidying(runtime)
    return [tidying.carry_out(proposal) for proposal in tidying.find()]


def times(factor: int, id: str) -> dict[str, Any]:
    return {
        "id": id,
        "summary": f"Returns a number multiplied by {factor}.",
        "source": f'def run(input: dict) -> dict:\n    """{factor}"""\n    return {{"twice": input["n"] * {factor}}}\n',
        "examples": [{"input": {"n": n}, "output": {"twice": factor * n}} for n in (1, 2, 3)],
    }


def test_the_same_program_under_another_name_is_an_alias(runtime: Runtime) -> None:
    add(runtime)
    add(runtime, id="two_times", summary="Doubles what it is given.", examples=DRAFT["examples"][:1])
    assert found(runtime) == [("alias", ("two_times@1",), "double@1")]
    assert apply(runtime)[0].retired == ("two_times@1",)
    assert runtime.call("two_times", {"n": 5}) == {"twice": 10}
    moves = runtime.journal.evidence.transitions("two_times")
    assert [(m.was, m.became) for m in moves] == [("active", "retired")]
    assert moves[0].reason == "alias, tidied: double is the same program with the same contract"
    runtime.lifecycle.set_status("two_times", "active", "by a test")
    assert runtime.library.get("two_times").live


def test_two_programs_that_come_to_the_same_are_merged_into_the_better_one(runtime: Runtime) -> None:
    add(runtime)
    add(runtime, id="two_times", source=SUM)
    for n in range(10, 16):
        runtime.call("two_times", {"n": n})
    assert runtime.library.get("two_times").status == "trusted"
    [proposal] = Tidying(runtime).find()
    assert (proposal.kind, proposal.retires, proposal.kept) == ("merge", ("double@1",), "two_times@1")
    assert proposal.agreed == 9  # three inputs of examples and six recorded ones
    assert "9 of 9 known inputs" in proposal.why


def test_one_recorded_input_that_differs_keeps_both(runtime: Runtime) -> None:
    add(runtime)
    add(runtime, id="two_times", source=SUM.replace("n + n", "n + n if n < 100 else 0"))
    runtime.call("double", {"n": 500})
    assert found(runtime) == []


def test_too_few_known_inputs_keep_both(runtime: Runtime) -> None:
    add(runtime, examples=DRAFT["examples"][:1])
    add(runtime, id="two_times", source=SUM, examples=DRAFT["examples"][:1])
    assert found(runtime) == []


def test_another_name_of_a_property_is_another_contract(runtime: Runtime) -> None:
    add(runtime)
    schema = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
    examples = [{"input": {"number": n}, "output": {"twice": 2 * n}} for n in (1, 2, 3)]
    source = DRAFT["source"].replace('"n"', '"number"')
    add(runtime, id="two_times", source=source, input_schema=schema, examples=examples)
    assert found(runtime) == []


def test_another_kind_of_error_is_another_behaviour(runtime: Runtime) -> None:
    def natural(kind: str) -> dict[str, Any]:
        error = f'    if input["n"] < 0:\n        raise host.Error("no", kind="{kind}")\n'
        source = DRAFT["source"].replace(":\n", f":\n{error}", 1)
        negative = {"input": {"n": -1}, "error": {"kind": kind}}
        return {"source": f"import host\n{source}", "examples": [negative, *DRAFT["examples"]]}

    add(runtime, **natural("negative"))
    add(runtime, id="two_times", **natural("below"))
    assert found(runtime) == []


def test_what_is_pinned_stays_and_may_be_what_is_kept(runtime: Runtime) -> None:
    add(runtime)
    add(runtime, id="two_times", source=SUM)
    runtime.library.pin("two_times", pinned=True)
    assert found(runtime) == [("merge", ("double@1",), "two_times@1")]
    runtime.library.pin("double", pinned=True)
    assert found(runtime) == []


def test_a_proposal_that_does_not_hold_any_more_is_refused_with_the_reason(runtime: Runtime) -> None:
    add(runtime)
    add(runtime, id="two_times", source=SUM.replace("n + n", "n + n if n < 100 else 0"))
    tidying = Tidying(runtime)
    [proposal] = tidying.find()
    assert proposal.kind == "merge"
    runtime.call("double", {"n": 500})
    [reason] = tidying.carry_out(proposal).reasons
    assert 'on {"n":500}' in reason
    runtime.lifecycle.set_status("two_times", "retired", "by a test")
    assert tidying.carry_out(proposal).reasons == (
        "two_times@1 was looked at, and now two_times@1 is retired; look again",
    )


def test_two_who_tidy_at_once_never_retire_both(library: Library, runtime: Runtime) -> None:
    add(runtime)
    add(runtime, id="two_times", source=SUM)
    pair = ("double@1", "two_times@1")
    ways = [Proposal("merge", (a,), "", b, 3) for a, b in (pair, pair[::-1])]
    opened = [Runtime.open(library.path) for _ in ways]
    done: list[Done] = []
    threads = [
        threading.Thread(target=lambda r=r, w=w: done.append(Tidying(r).carry_out(w)))
        for r, w in zip(opened, ways, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in opened:
        each.close()
    assert len(library.live()) == 1
    assert sorted(len(d.retired) for d in done) == [0, 1]
    assert [runtime.call(id, {"n": 2}) for id in ("double", "two_times")] == [{"twice": 4}] * 2


def test_a_crash_at_any_step_leaves_it_as_it_was_or_retired(library: Library, runtime: Runtime) -> None:
    add(runtime)
    add(runtime, id="two_times")
    old, kept = library.get("two_times"), library.get("double")
    seen = []

    class Crash(BaseException):
        pass

    for number in range(100):
        steps = iter(range(number + 1))

        def step(_: str, steps: Iterator[int] = steps, last: int = number) -> None:
            if next(steps) == last:
                raise Crash

        try:
            Library.open(library.path, checkpoint=step).retire(old, kept)
        except Crash:
            pass
        else:
            break
        now = library.get("two_times")
        seen.append((now.status, now.replaced_by))
        assert library.check() == []
        library.set_status("two_times", "active")
    assert set(seen) <= {("active", None), ("retired", "double@1")}
    assert len(seen) > 2


def test_what_served_nothing_past_its_trial_is_to_be_retired(runtime: Runtime) -> None:
    add(runtime)
    add(runtime, **times(3, "triple"))
    for n in (1, 2):
        runtime.call("double", {"n": n})
    assert [p for p in Tidying(runtime).find() if p.kind == "retire"] == []
    runtime.call("double", {"n": 3})
    assert [p.retires for p in Tidying(runtime).find() if p.kind == "retire"] == [("triple@1",)]
    assert apply(runtime)[0].retired == ("triple@1",)
    assert runtime.library.get("triple").replaced_by is None


def never_retired(runtime: Runtime) -> None:
    for n in (1, 2, 3, 4):
        runtime.call("double", {"n": n})
    assert [p for p in Tidying(runtime).find() if p.kind == "retire"] == []


def test_one_that_solves_a_task_in_memory_is_never_retired_for_being_unused(runtime: Runtime) -> None:
    add(runtime)
    add(runtime, **times(3, "triple"))
    runtime.memory.remember("What is thrice 7?", "triple", 1, {"n": 7}, '{"twice":21}', "21", "pure")
    never_retired(runtime)


def test_one_that_is_trusted_pinned_or_called_by_another_is_never_retired_for_being_unused(runtime: Runtime) -> None:
    add(runtime)
    add(runtime, **times(3, "triple"))
    add(runtime, **times(5, "fivefold"))
    runtime.library.set_status("triple", "trusted")
    runtime.library.pin("fivefold", pinned=True)
    never_retired(runtime)
    runtime.library.set_status("triple", "active")
    source = 'import host\n\ndef run(input: dict) -> dict:\n    return host.call("triple", input)\n'
    calls = {"effects": "read", "permissions": {"call": ["triple"]}, "source": source}
    policy = '[policy]\ncall = ["triple"]\n[policy.unasked]\ncall = ["triple"]\n'
    (runtime.library.path / "metier.toml").write_text(SETTINGS + policy, encoding="utf-8")
    with Runtime.open(runtime.library.path) as again:
        add(again, **{**times(3, "calling"), **calls})
        assert again.call("calling", {"n": 2}) == {"twice": 6}
        never_retired(again)


def hands_in(**changes: Any) -> dict[str, Any]:
    arguments = {**DRAFT, **TIMES, **changes}
    return {"tool_calls": [{"name": "submit_capability", "arguments": arguments}]}


def test_capabilities_that_differ_in_a_constant_become_one_with_a_parameter(library: Library, runtime: Runtime) -> None:
    for factor, id in ((3, "triple"), (4, "quadruple"), (5, "fivefold")):
        add(runtime, **times(factor, id))
    runtime.call("quadruple", {"n": 11})
    [proposal] = Tidying(runtime).find()
    assert (proposal.kind, set(proposal.retires)) == ("generalize", {"triple@1", "quadruple@1", "fivefold@1"})
    assert proposal.given == {"triple": {"factor": 3}, "quadruple": {"factor": 4}, "fivefold": {"factor": 5}}
    wrong = 'def run(input: dict) -> dict:\n    return {"twice": input["n"] * min(input["factor"], 4)}\n'
    model = ScriptedModel([hands_in(source=wrong), hands_in()])
    with Runtime.open(library.path, model=model) as asked:
        done = Tidying(asked).carry_out(proposal)
    assert "example of fivefold" in str(model.requests[1]["messages"][-1])
    assert set(done.retired) == set(proposal.retires)
    assert (done.kept, done.reasons) == ("times@1", ())
    assert [c.id for c in library.live()] == ["times"]
    assert runtime.call("fivefold", {"n": 4}) == {"twice": 20}
    assert runtime.library.get("fivefold").replaced_with == {"factor": 5}


def test_without_a_model_a_generalization_stays_a_proposal_with_its_order(runtime: Runtime) -> None:
    add(runtime, **times(3, "triple"))
    add(runtime, **times(4, "quadruple"))
    [done] = apply(runtime)
    assert done.retired == ()
    assert "there is no model" in done.reasons[0]
    assert "`factor` (integer)" in done.proposal.order
    assert len(runtime.library.live()) == 2


def test_a_generalization_that_is_there_is_used_without_a_model(runtime: Runtime) -> None:
    for factor, id in ((3, "triple"), (4, "quadruple")):
        add(runtime, **times(factor, id))
    add(runtime, **TIMES)
    [done] = apply(runtime)
    assert (set(done.retired), done.kept) == ({"triple@1", "quadruple@1"}, "times@1")
    assert runtime.call("triple", {"n": 5}) == {"twice": 15}


def test_an_original_that_does_more_than_the_general_one_stays(runtime: Runtime) -> None:
    source = 'def run(input: dict) -> dict:\n    return {{"twice": input["n"] * {0} if input["n"] < 90 else 0}}\n'
    for factor, id in ((3, "triple"), (4, "quadruple")):
        add(runtime, **{**times(factor, id), "source": source.format(factor)})
    add(runtime, **TIMES)
    runtime.call("quadruple", {"n": 100})
    [done] = apply(runtime)
    assert done.retired == ("triple@1",)
    assert 'quadruple stays: on {"n":100}' in done.reasons[0]
