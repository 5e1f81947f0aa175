"""The keeping of task memory: what the policy forbids is nowhere, and what is lost is made again from the journal."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.errors import SetupMissing, UsageError
from metier.library import Library
from metier.memory import TaskMemory
from metier.memory_keeping import MemoryKeeper
from metier.testing import ScriptedModel
from tests.test_runtime import SALARY, TASK, library, opened, publish, runs

__all__ = ["library", "opened"]

KILLS = int(os.environ.get("METIER_KILLS", "6"))
LEARNERS, EACH = 2, 8
ANSWER = "John Smith earns 85000 USD."


def replies(tasks: int = 1) -> list[Any]:
    return [runs("get_salary_details", name="John"), {"content": ANSWER}] * tasks


def settings(library: Library, text: str) -> None:
    (library.path / "metier.toml").write_text(text, encoding="utf-8")


def solve(library: Library, *tasks: str) -> None:
    with Runtime.open(library.path, model=ScriptedModel(replies(len(tasks)))) as runtime:
        for task in tasks:
            assert runtime.run_sync(task).route == "model"


def recalled(library: Library, task: str = TASK) -> str | None:
    """The answer without a model; None where there is none."""
    with Runtime.open(library.path) as runtime:
        try:
            return runtime.run_sync(task).text
        except SetupMissing:
            return None


def known(library: Library) -> set[str]:
    with Runtime.open(library.path) as runtime:
        return {row["task"] for row in MemoryKeeper(runtime).listed()}


def everything(library: Library) -> bytes:
    """All bytes of memory and journal."""
    return b"".join(p.read_bytes() for p in sorted(library.state.glob("*.sqlite*")) if "vectors" not in p.name)


# What may be kept


def test_memory_that_is_switched_off_neither_learns_nor_answers(library: Library) -> None:
    solve(library, TASK)
    settings(library, "[memory]\nkeep = false\n")
    assert recalled(library) is None
    solve(library, TASK, "How much does John earn?")
    settings(library, "")
    assert known(library) == {"what's john's salary"}
    assert recalled(library, "How much does John earn?") is None


def test_a_task_that_matches_a_pattern_is_kept_nowhere(library: Library) -> None:
    settings(library, '[memory]\nnever = ["john", "\\\\d{3}-\\\\d{2}-\\\\d{4}"]\n')
    solve(library, TASK, "Pay of 078-05-1120?")
    assert known(library) == set()
    assert b"078-05-1120" not in everything(library)
    assert b"earns 85000" not in everything(library)
    with Runtime.open(library.path) as runtime:
        assert MemoryKeeper(runtime).rebuild() == 0


def test_a_pattern_counts_for_what_a_program_returned_too(library: Library) -> None:
    settings(library, '[memory]\nnever = ["EMP\\\\d+"]\n')
    solve(library, TASK)
    assert known(library) == set()


def test_a_pattern_that_is_none_is_a_mistake_in_the_settings(library: Library) -> None:
    settings(library, '[memory]\nnever = ["("]\n')
    with pytest.raises(UsageError, match=r"memory\.never\.0 is no regular expression"):
        Runtime.open(library.path)


def test_without_answers_the_output_of_today_is_the_answer(library: Library) -> None:
    settings(library, "[memory]\nanswers = false\n")
    solve(library, TASK)
    memory = (library.state / "memory.sqlite").read_bytes()
    assert b"earns 85000" not in memory
    assert b"EMP001" not in memory
    assert "85000" in (recalled(library) or "")


def test_a_secret_in_a_task_is_in_no_file(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(library, '[secrets]\nAPI = "env:THE_API"\n')
    monkeypatch.setenv("THE_API", "s3cr3t-value-9")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    solve(library, "What does John earn? The key is s3cr3t-value-9", "John's salary; my key is sk-0123456789")
    assert known(library) == set()
    assert b"s3cr3t-value-9" not in everything(library)
    assert b"sk-0123456789" not in everything(library)
    assert b"The key is ***" in everything(library)


def test_a_secret_in_an_output_keeps_output_and_answer_out_of_memory(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(library, '[secrets]\nAPI = "env:THE_API"\n')
    monkeypatch.setenv("THE_API", SALARY["name"])  # type: ignore[arg-type]
    solve(library, TASK)
    assert known(library) == {"what's john's salary"}
    assert b"John Smith" not in (library.state / "memory.sqlite").read_bytes()


# Age, number, and forgetting


def test_the_oldest_go_and_the_journal_does_not_bring_them_back(library: Library) -> None:
    tasks = [f"What's the salary of John in {month}?" for month in ("May", "June", "July")]
    solve(library, *tasks)
    with Runtime.open(library.path) as runtime:
        keeper = MemoryKeeper(runtime)
        assert keeper.prune(before=0.0, keep=None) == 0
        assert keeper.prune(before=None, keep=1) == 2
        assert [row["task"] for row in keeper.listed()] == ["what's the salary of john in july"]
        assert keeper.rebuild() == 1
        assert keeper.prune(before=time.time(), keep=None) == 1
        assert keeper.rebuild() == 0


def test_settings_bound_number_and_age(library: Library) -> None:
    settings(library, "[memory]\ntasks = 0\n")
    solve(library, TASK)
    assert known(library) == set()
    settings(library, "[memory]\ndays = 0.000001\n")
    solve(library, TASK)
    time.sleep(0.1)  # the age itself
    assert recalled(library) is None


def test_a_forgotten_task_leaves_no_byte_in_memory_and_its_words_leave_the_journal(library: Library) -> None:
    solve(library, TASK, "How much does John earn?")
    with Runtime.open(library.path) as runtime:
        done = MemoryKeeper(runtime).forget("what's JOHN's salary", runs=False)
        assert (done.memory, done.tasks, done.runs) == (True, 1, 1)
        assert "--runs" in done.stays[0]
    assert b"What's John's salary" not in everything(library)
    assert b"what's john's salary" not in everything(library)
    assert recalled(library) is None
    assert recalled(library, "How much does John earn?") == ANSWER
    with Runtime.open(library.path) as runtime:
        assert MemoryKeeper(runtime).rebuild() == 1
        assert runtime.journal.verify() == (3, None)


def test_runs_of_a_forgotten_task_are_emptied_and_the_chain_holds(library: Library) -> None:
    publish(library, "get_marker", "Returns a marker.", {"marker": "zebra-77"})
    model = ScriptedModel([runs("get_marker", name="Ann Oldenburg"), {"content": "zebra-77"}, *replies()])
    with Runtime.open(library.path, model=model) as runtime:
        runtime.run_sync("Ann's marker?")
        runtime.run_sync(TASK)
    assert b"Oldenburg" in everything(library)
    with Runtime.open(library.path) as runtime:
        done = MemoryKeeper(runtime).forget("Ann's marker?", runs=True)
        assert (done.memory, done.tasks, done.runs, done.emptied) == (True, 1, 1, True)
        assert runtime.journal.verify() == (2, None)
        assert runtime.journal.emptied() == 1
        assert runtime.journal.recent()[1]["kind"] == "forgotten"
    assert b"Oldenburg" not in everything(library)
    assert b"zebra-77" not in everything(library)
    with closing(sqlite3.connect(library.state / "journal.sqlite")) as db, db:
        db.execute("UPDATE runs SET kind = 'forgotten' WHERE capability = 'get_salary_details'")
    with Runtime.open(library.path) as runtime:
        assert "was changed" in (runtime.journal.verify()[1] or "")


def test_what_stays_of_a_forgotten_task_is_said(library: Library) -> None:
    example = {"task": TASK, "input": {"name": "John"}, "output": SALARY}
    publish(library, "john_pays", "Says what John is paid.", SALARY, examples=[example])
    (library.state / "memory.sqlite.broken").write_bytes(b"x")
    with Runtime.open(library.path) as runtime:
        done = MemoryKeeper(runtime).forget(TASK, runs=False)
    assert (done.memory, done.tasks) == (False, 0)
    example_stays, file_stays = done.stays
    assert "john_pays@1" in example_stays
    assert "memory.sqlite.broken" in file_stays


# What is lost is made again


def random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(5).randbytes(path.stat().st_size))


def torn_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = random.Random(6).randbytes(4096)
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def other_layout(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 9999")


def other_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE solved")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE = (random_bytes, torn_page, cut_off, other_layout, other_tables, emptied, Path.unlink)


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_memory_that_is_lost_is_made_again_with_one_message(
    library: Library, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    solve(library, TASK, "How much does John earn?")
    before = exported(library)
    for left in library.state.glob("memory.sqlite-*"):
        left.unlink()
    damage(library.state / "memory.sqlite")
    with caplog.at_level(logging.INFO):
        assert recalled(library) == ANSWER
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "filled again: 2 from the journal" in caplog.text
        assert exported(library) == before
    assert len(caplog.records) == 1


def exported(library: Library) -> list[dict[str, Any]]:
    with Runtime.open(library.path) as runtime:
        return [{**row, "at": 0} for row in MemoryKeeper(runtime).listed()]


def test_a_library_without_a_past_says_nothing(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert recalled(library) is None
        solve(library, TASK)
    assert caplog.records == []


def test_a_memory_that_another_one_holds_is_worked_without(
    library: Library, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metier.localstore.BUSY_SECONDS", 0.05)
    solve(library, TASK)
    with closing(sqlite3.connect(library.state / "memory.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with caplog.at_level(logging.INFO):
            solve(library, "How much does John earn?")
        assert "locked" in caplog.text
        other.execute("ROLLBACK")
    with Runtime.open(library.path) as runtime:
        assert MemoryKeeper(runtime).rebuild() == 2  # what could not be kept is in the journal


def test_a_memory_that_may_only_be_read_is_read(library: Library, forks: ForkServerContext) -> None:
    solve(library, TASK)
    # Not beneath pytest's own folder: each new session there shuts it, and root has to become someone whom modes bind.
    with tempfile.TemporaryDirectory(prefix="metier-") as folder:
        Path(folder).chmod(0o755)
        state = Path(shutil.copytree(library.state, Path(folder) / "state"))
        for path in [*state.rglob("*"), state]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        process = forks.Process(target=read_as_nobody, args=(str(state),))
        process.start()
        process.join()
        assert process.exitcode == 0


def read_as_nobody(state: str) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)
    with closing(TaskMemory(Path(state))) as memory:
        assert [kept.solved.answer for kept in memory.rows(task=TASK)] == [ANSWER]
        assert not memory.remember("Another?", "get_salary_details", 1, {"name": "John"}, "{}", "No.", "pure")
        assert memory.count() == 1
    os._exit(0)


def test_a_full_disk_loses_nothing_that_was_kept(library: Library, forks: ForkServerContext) -> None:
    solve(library, TASK)
    process = forks.Process(target=learn_on_a_full_disk, args=(str(library.path),))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert "what's john's salary" in known(library)
    assert recalled(library) == ANSWER


def learn_on_a_full_disk(path: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = (Path(path) / ".metier" / "memory.sqlite").stat().st_size
    with Runtime.open(path, model=ScriptedModel(replies(40))) as runtime:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        for number in range(40):
            assert runtime.run_sync(f"What's John's salary in {number * 'long '}words?").text == ANSWER
    os._exit(0)


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    """Processes that begin with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "metier.runtime", "pydantic_ai"])
    return context


def learn(path: str, learner: int, first: int, count: int, told: Any) -> None:
    with Runtime.open(path, model=ScriptedModel(replies(count))) as runtime:
        for number in range(first, first + count):
            runtime.run_sync(f"What's John's salary for learner {learner} in round {number}?")
            told.send(f"what's john's salary for learner {learner} in round {number}")
    told.close()
    os._exit(0)


def started(forks: ForkServerContext, library: Library, learner: int, first: int, count: int) -> Any:
    here, there = forks.Pipe(duplex=False)
    process = forks.Process(target=learn, args=(str(library.path), learner, first, count, there))
    process.start()
    there.close()
    return process, here


def heard(pipe: Any) -> set[str]:
    found = set()
    try:
        while True:
            found.add(pipe.recv())
    except EOFError:
        return found


def test_two_that_learn_at_once_lose_nothing_also_from_the_first_moment(
    library: Library, forks: ForkServerContext
) -> None:
    processes = [started(forks, library, learner, 0, EACH) for learner in range(LEARNERS)]
    told = set().union(*(heard(pipe) for _, pipe in processes))
    for process, _ in processes:
        process.join()
        assert process.exitcode == 0
    assert len(told) == LEARNERS * EACH
    assert known(library) == told
    (library.state / "memory.sqlite").unlink()
    assert known(library) == told


def test_a_kill_at_any_moment_leaves_all_that_was_learned_and_nothing_broken(
    library: Library, forks: ForkServerContext, caplog: pytest.LogCaptureFixture
) -> None:
    moments, told, lost = random.Random(8), set[str](), 0
    for number in range(KILLS):
        process, pipe = started(forks, library, 0, number * 1000, 1000)
        for _ in range(moments.randrange(1, 5)):
            told.add(pipe.recv())
        time.sleep(moments.uniform(0, 0.02))  # the moment itself
        os.kill(process.pid, signal.SIGKILL)
        told |= heard(pipe)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        if moments.random() < 0.4:  # and the file is gone as well
            lost += 1
            for path in library.state.glob("memory.sqlite*"):
                path.unlink()
        assert told <= known(library)
        assert recalled(library, max(told)) == ANSWER
    assert lost
    assert list(library.state.glob("*.broken*")) == []
    with Runtime.open(library.path) as runtime:
        assert runtime.journal.verify()[1] is None
        assert {row["answer"] for row in MemoryKeeper(runtime).listed()} == {ANSWER}


def test_what_comes_back_has_its_templates_and_what_models_said_of_them(library: Library) -> None:
    names = ("John Smith", "Ann Lee")
    calls = [[runs("get_salary_details", name=name), {"content": ANSWER}] for name in names]
    with Runtime.open(library.path, model=ScriptedModel([reply for call in calls for reply in call])) as runtime:
        for name in names:
            assert runtime.run_sync(f'Look up the salary of "{name}"').route == "model"
    before, said = by_template(library), checks(library)
    assert before == ("template", {"name": "Bob Ray"})
    assert said
    for path in library.state.glob("memory.sqlite*"):
        path.unlink()
    assert by_template(library) == before
    assert checks(library) == said


def by_template(library: Library) -> tuple[str | None, Any]:
    with Runtime.open(library.path) as runtime:
        decision = runtime.decide('Look up the salary of "Bob Ray"')
        return decision.route, decision.serves.input if decision.serves else None


def checks(library: Library) -> list[Any]:
    with closing(sqlite3.connect(library.state / "memory.sqlite")) as db:
        return db.execute("SELECT at, route, capability, signature, agreed FROM checks ORDER BY seq").fetchall()
