"""The commands: what they print where, with which status, for good input and bad."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.cli import COMMANDS, main
from metier.errors import MetierError
from metier.library import Library
from metier.outcomes import Waits
from metier.testing import ScriptedProvider
from tests.conftest import ECHO, says
from tests.mutation.test_draft import DRAFT
from tests.test_runtime import SALARY, publish


class Shell:
    """Runs commands in this process: (status, stdout, stderr)."""

    def __init__(self, library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.library = library
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        self._monkeypatch.setenv("METIER_LIBRARY", str(self.library))
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = self._capsys.readouterr()
        return int(ended.value.code or 0), out, err

    def json(self, *arguments: str, stdin: str = "") -> Any:
        status, out, err = self(*arguments, "--json", stdin=stdin)
        assert status == 0, err
        return json.loads(out)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    example = {"task": "What's John's salary?", "input": {"name": "John"}, "output": SALARY, "answer": "{salary} USD."}
    publish(library, "get_salary_details", "Returns an employee's salary.", SALARY, examples=[example])
    publish(library, "get_car_details", "Returns an employee's car.", {"make": "Toyota"})
    return library


@pytest.fixture
def metier(library: Library, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(library.path, capsys, monkeypatch)


def test_a_bare_task_and_a_piped_one_are_run(metier: Shell) -> None:
    assert metier("What's John's salary?")[:2] == (0, "85000 USD.\n")
    assert metier("run", "what's", "john's", "salary")[:2] == (0, "85000 USD.\n")
    assert metier(stdin="What's John's salary?\n")[:2] == (0, "85000 USD.\n")


def test_run_prints_one_json_object_or_an_event_a_line(metier: Shell) -> None:
    answer = metier.json("run", "What's John's salary?")
    assert {"answer", "run_id", "route", "candidates", "used", "created", "model_calls", "tokens"} <= set(answer)
    assert answer["used"] == [{"id": "get_salary_details", "version": 1, "input": {"name": "John"}, "output": SALARY}]
    _, out, _ = metier("run", "--output-format", "stream-json", "What's John's salary?")
    assert [json.loads(line)["type"] for line in out.splitlines()][-1] == "answered"


def test_no_model_is_status_4_and_says_what_to_do(metier: Shell) -> None:
    status, out, err = metier("What does Jane do?")
    assert (status, out) == (4, "")
    assert "metier call" in err
    assert "OPENAI_API_KEY" in err
    assert "metier mcp" in err


def test_a_model_on_the_environment_is_used(metier: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedProvider([{"content": "I do not know."}]) as provider:
        for name, value in provider.environ().items():
            monkeypatch.setenv(name, value)
        assert metier("What does Jane do?")[:2] == (0, "I do not know.\n")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ([{"error": {"status": 401, "message": "no such key"}}], "no such key"),
        ([{"raw": b"<html>", "content_type": "text/html"}], "metier:"),
        ([{"content": ""}, {"content": ""}], "empty"),
    ],
)
def test_a_model_that_fails_is_one_line_and_status_1(
    metier: Shell, monkeypatch: pytest.MonkeyPatch, script: Any, said: str
) -> None:
    with ScriptedProvider(script) as provider:
        for name, value in provider.environ().items():
            monkeypatch.setenv(name, value)
        status, out, err = metier("What does Jane do?")
    assert (status, out) == (1, "")
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["run", ""], 2, "empty"),
        (["run", "x" * 200_000], 2, "more than 100000"),
        (["lst"], 2, "did you mean 'list'"),
        (["call", "get_salary_details", "not json"], 2, "not JSON"),
        (["call", "get_salary_details", "[" * 500 + "]" * 500], 2, "nested deeper"),
        (["call", "get_salary_details", '{"a": 1} {"b": 2}'], 2, "after the JSON value"),
        (["call", "get_salary_details", "{}"], 1, "input needs name"),
        (["call", "get_salary_details", '{"name": "J", "x": 1}'], 1, "get_salary_details: input"),
        (["call", "get_salary", "{}"], 1, "did you mean get_salary_details"),
        (["call", "get_salary_details@x", "{}"], 2, "a version is a number"),
        (["call", "get_salary_details@7", "{}"], 1, "7"),
        (["show", "nothing"], 1, "nothing"),
        (["init"], 2, "not empty"),
        (["init", "elsewhere", "--example", "nothing"], 2, "there are: hr"),
        (["add", "missing.py"], 2, "missing.py"),
        (["replay", "nothing"], 2, "no run"),
        (["replay"], 2, "name runs"),
        (["approve", "nothing"], 2, "no draft"),
        (["map", "get_car_details", "missing.jsonl"], 2, "missing.jsonl"),
        (["retire", "nothing"], 1, "nothing"),
        (["call", "--nonsense"], 2, "nonsense"),
    ],
)
def test_bad_input_is_one_clear_message(
    metier: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], status: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended, out, err = metier(*arguments)
    assert (ended, out) == (status, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_path_that_is_no_library_says_so(metier: Shell, tmp_path: Path, kind: str) -> None:
    metier.library = tmp_path / "elsewhere"
    if kind == "a file":
        metier.library.write_text("", encoding="utf-8")
    status, out, err = metier("list")
    assert (status, out) == (2, "")
    assert str(metier.library) in err


def test_errors_are_json_on_stderr_if_asked(metier: Shell) -> None:
    status, out, err = metier("call", "get_salary_details", "{}", "--json")
    assert (status, out) == (1, "")
    assert json.loads(err)["error"] == {
        "message": "get_salary_details: input needs name",
        "kind": "RunFailed",
        "exit_status": 1,
    }


def test_call_takes_its_input_from_an_argument_or_stdin(metier: Shell) -> None:
    for arguments, stdin in ((['{"name": "John"}'], ""), ([], '{"name": "John"}'), (["-"], '{"name": "John"}')):
        status, out, _ = metier("call", "get_salary_details", *arguments, stdin=stdin)
        assert (status, json.loads(out)) == (0, SALARY)


def test_a_broken_folder_is_named_and_hides_nothing(metier: Shell, library: Library) -> None:
    (library.path / "broken").mkdir()
    (library.path / "broken" / "meta.json").write_text("{", encoding="utf-8")
    status, out, err = metier("list")
    assert status == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["get_car_details", "get_salary_details"]
    assert "broken" in err
    listed = metier.json("list")
    assert [b["folder"] for b in listed["broken"]] == ["broken"]
    assert metier("doctor")[0] == 1
    assert metier("call", "get_car_details", '{"name": "J"}')[0] == 0


def test_search_prints_ids_scores_and_summaries(metier: Shell) -> None:
    first, *rest = metier.json("search", "salary of John", "-k", "1")
    assert (first["id"], set(first), rest) == ("get_salary_details", {"id", "score", "probability", "summary"}, [])


def test_show_prints_contract_source_and_permissions(metier: Shell) -> None:
    _, out, _ = metier("show", "get_salary_details")
    assert "Returns an employee's salary." in out
    assert "compute, and nothing else" in out
    assert metier.json("show", "get_salary_details@1")["id"] == "get_salary_details"
    assert metier.json("permissions", "get_salary_details")["asks"] == []


def test_examples_are_tested(metier: Shell, library: Library) -> None:
    assert metier("test")[:2] == (0, "1 passed, 0 failed\n")
    assert metier("test", "--backend", "pulley")[:2] == (0, "1 passed, 0 failed\n")
    wrong = {"input": {"name": "John"}, "output": {"make": "Seat"}}
    publish(library, "get_wrong", "Returns a car.", {"make": "Fiat"}, examples=[wrong])
    status, out, _ = metier("test")
    assert status == 1
    assert "FAIL get_wrong example 1" in out


def test_runs_are_listed_replayed_and_verified(metier: Shell) -> None:
    metier("call", "get_car_details", '{"name": "John"}')
    (run,) = metier.json("runs")
    assert (run["capability"], run["output"]) == ("get_car_details", {"make": "Toyota"})
    (comparison,) = metier.json("replay", run["run_id"][:12])
    assert comparison["identical"]
    assert metier("runs", "verify")[:2] == (0, "1 runs, unchanged\n")


def rewritten(statement: str) -> Callable[[Path], None]:
    def damage(journal: Path) -> None:
        with contextlib.closing(sqlite3.connect(journal)) as db:
            db.execute(statement)
            db.commit()

    return damage


def replaced(content: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(journal: Path) -> None:
        rewritten("PRAGMA wal_checkpoint(TRUNCATE)")(journal)
        journal.write_bytes(content(journal.read_bytes()))

    return damage


def a_folder(journal: Path) -> None:
    journal.unlink()
    journal.mkdir()


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no database": (replaced(lambda _: b"no database" * 100), "moved to journal.sqlite.broken"),
    "cut off": (replaced(lambda content: content[:6000]), "moved to journal.sqlite.broken"),
    "no file": (a_folder, "journal.sqlite cannot be read"),
    "no table": (rewritten("DROP TABLE seen"), "moved to journal.sqlite.broken: no such table"),
    "other types": (rewritten("UPDATE runs SET at = 'then', fuel = 'much', output = 7"), "row 1 is damaged"),
    "bytes": (rewritten("UPDATE runs SET input = x'ff00', effects = x'00'"), "row 1 is damaged"),
    "no UTF-8": (rewritten("UPDATE runs SET capability = CAST(x'ff' AS TEXT)"), "was changed"),
    "no JSON": (rewritten("UPDATE runs SET input = '{', permissions = '7'"), "was changed"),
    "other effects": (rewritten("""UPDATE runs SET effects = '[["[]", "x"]]'"""), "was changed"),
    "a huge output": (rewritten("UPDATE runs SET output = hex(zeroblob(20000000))"), "was changed"),
    "a broken chain": (rewritten("UPDATE runs SET previous = 'x' WHERE seq = 2"), "a run is missing"),
    "a run less": (rewritten("DELETE FROM runs WHERE seq = 2"), "a run is missing"),
    "an odd task": (rewritten("UPDATE tasks SET task = x'00', answer = 5"), "3 runs, unchanged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_is_told_in_one_line(metier: Shell, damage: str) -> None:
    for _ in range(3):
        metier("call", "get_salary_details", '{"name": "John"}')
    journal = metier.library / ".metier" / "journal.sqlite"
    run = metier.json("runs")[-1]["run_id"]
    change, said = DAMAGES[damage]
    change(journal)
    status, out, _ = metier("runs", "verify")
    assert said in out
    assert out.count("\n") == 1
    assert status == (0 if "unchanged" in said else 1)
    for command in (["runs"], ["runs", "--json"], ["replay", run], ["replay", "-n", "3"], ["list"]):
        status, out, err = metier(*command)
        assert status in (0, 1, 2)
        assert "Traceback" not in out + err
        assert max(map(len, err.splitlines()), default=0) < 500
    assert metier("call", "get_salary_details", '{"name": "John"}')[0] == 0


def test_a_journal_that_was_moved_aside_stays_a_problem(metier: Shell) -> None:
    metier("call", "get_salary_details", '{"name": "John"}')
    replaced(lambda _: b"no database" * 100)(metier.library / ".metier" / "journal.sqlite")
    metier("runs")
    metier("call", "get_salary_details", '{"name": "John"}')
    status, out, _ = metier("runs", "verify")
    assert status == 1
    assert out == "an earlier journal could not be read and was moved to journal.sqlite.broken\n"


def test_retired_capabilities_are_out_of_use_until_they_are_restored(metier: Shell) -> None:
    metier("retire", "get_car_details")
    assert [c["id"] for c in metier.json("list")["capabilities"]] == ["get_salary_details"]
    assert metier("call", "get_car_details", '{"name": "John"}')[0] == 1
    metier("restore", "get_car_details")
    assert metier("call", "get_car_details", '{"name": "John"}')[0] == 0


def test_python_source_is_added_and_edited_into_the_next_version(metier: Shell, tmp_path: Path) -> None:
    source = tmp_path / "double.py"
    source.write_text(DRAFT["source"], encoding="utf-8")
    contract = tmp_path / "double.json"
    contract.write_text(json.dumps({k: v for k, v in DRAFT.items() if k != "source"}), encoding="utf-8")
    assert metier.json("add", str(source), "--contract", str(contract)) == {"id": "double", "version": 1}
    assert metier.json("call", "double", '{"n": 4}') == {"twice": 8}
    assert "checked\n  examples: 3 hold\n  determinism: the same on two back ends\n" in metier("show", "double")[1]
    source.write_text(DRAFT["source"].replace("2 *", "3 *"), encoding="utf-8")
    status, _, err = metier("add", str(source))
    assert status == 1
    assert "expected output" in err
    source.write_text(metier("show", "double", "--source")[1] + "\n# better\n", encoding="utf-8")
    assert metier.json("add", str(source)) == {"id": "double", "version": 2}
    assert [v["version"] for v in metier.json("history", "double")] == [1, 2]
    assert "+# better" in metier("diff", "double@1", "double@2")[1]
    assert list(metier.json("diff", "double")["changes"]) == ["src/capability.py"]
    assert metier.json("rollback", "double", "1") == {"id": "double", "version": 3, "from": 1, "status": "active"}
    assert metier("diff", "double@1", "double@3")[1] == "no difference\n"
    assert metier("rollback", "double", "9")[0] == 1
    inside = metier.library / "double" / "src" / "capability.py"
    assert metier.json("add", str(inside)) == {"id": "double", "version": 4}
    inside.write_text("edited in place", encoding="utf-8")
    assert "changed since it was published" in metier("call", "double", '{"n": 1}')[2]


def test_wasm_is_added(metier: Shell, tmp_path: Path) -> None:
    module = tmp_path / "echo.wasm"
    module.write_bytes(ECHO)
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}}'
    options = ["--summary", "Returns its input.", "--input-schema", schema, "--output-schema", schema]
    options += ["--effects", "pure", "--example", '{"input": {"n": 1}, "output": {"n": 1}}']
    assert metier.json("add", str(module), *options) == {"id": "echo", "version": 1}
    assert metier.json("call", "echo", '{"n": 7}') == {"n": 7}
    module.write_bytes(b"not wasm")
    assert "not a WebAssembly module" in metier("add", str(module), "--id", "other", *options)[2]
    assert "the contract lacks" in metier("add", str(module), "--id", "third")[2]


def test_a_version_that_was_quarantined_is_rolled_back_to_with_a_word(metier: Shell, library: Library) -> None:
    library.set_status("get_salary_details", "quarantined")
    status, out, err = metier("rollback", "get_salary_details", "1")
    assert (status, out) == (0, "")
    assert "get_salary_details@1 was quarantined; `metier history get_salary_details` says why" in err


def test_map_keeps_the_order_and_goes_on_where_it_stopped(metier: Shell, library: Library, tmp_path: Path) -> None:
    folder = library.path / "echo"
    folder.mkdir()
    (folder / "echo.wasm").write_bytes(ECHO)
    meta = {"id": "echo", "summary": "Echo.", "binary": "echo.wasm"}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    inputs, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    inputs.write_text("".join(f'{{"n": {n}}}\n' for n in range(50)), encoding="utf-8")
    output.write_text('{"output":{"n":0}}\n{"output":{"n":1}}\n{"outp', encoding="utf-8")
    status, _, err = metier("map", "echo", str(inputs), "-o", str(output), "-w", "2")
    assert status == 0, err
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert lines == [{"output": {"n": n}} for n in range(50)]


def test_map_names_failures_and_ends_with_1(metier: Shell, tmp_path: Path) -> None:
    inputs, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    inputs.write_text('{"name": "a"}\n{}\n', encoding="utf-8")
    assert metier("map", "get_car_details", str(inputs), "-o", str(output), "-w", "1")[0] == 1
    good, bad = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert good == {"output": {"make": "Toyota"}}
    assert bad == {"error": "input needs name", "kind": "input"}


def test_chat_goes_on_after_an_error(metier: Shell) -> None:
    status, out, err = metier("chat", stdin="What does Jane do?\nWhat's John's salary?\n")
    assert (status, out) == (0, "85000 USD.\n")
    assert "memory has no answer" in err


def test_init_makes_a_library_and_never_writes_over_one(metier: Shell, tmp_path: Path) -> None:
    target = tmp_path / "new"
    assert metier.json("init", str(target), "--example", "hr")["capabilities"] == 15
    assert metier("init", str(target), "--example", "hr")[0] == 2
    assert metier.json("init", str(tmp_path / "empty"))["capabilities"] == 0


def test_every_command_explains_itself(metier: Shell) -> None:
    for name in COMMANDS:
        status, out, _ = metier(name, "--help")
        assert status == 0
        assert f"metier {name}" in out


def test_completion_scripts_are_printed(metier: Shell) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_METIER_COMPLETE" in metier("completion", shell)[1]


def test_an_unexpected_failure_is_one_line(metier: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(Library, "live", fail)
    status, out, err = metier("list")
    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert "surprise" in err


def test_every_error_has_a_status() -> None:
    def below(kind: type[MetierError]) -> list[type[MetierError]]:
        return [kind, *(k for child in kind.__subclasses__() for k in below(child))]

    assert {kind.exit_status for kind in below(MetierError)} == {1, 2, 3, 4}


def test_data_goes_to_stdout_as_utf_8_in_any_locale(library: Library) -> None:
    publish(library, "get_name", "Returns a name.", {"name": "Jürgen Weiß"})
    environment = {**os.environ, "LC_ALL": "C", "METIER_LIBRARY": str(library.path), "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "metier", "call", "get_name", '{"name": "x"}']
    done = subprocess.run(command, capture_output=True, env=environment, stdin=subprocess.DEVNULL)
    assert json.loads(done.stdout.decode("utf-8")) == {"name": "Jürgen Weiß"}
    assert done.stderr == b""


def test_help_and_version_load_nothing_heavy() -> None:
    heavy = "numpy,pydantic,wasmtime,rich,pydantic_ai,mcp,starlette,jinja2"
    code = (
        "import sys\nfrom metier.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([m for m in '{heavy}'.split(',') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_an_interruption_is_status_130(metier: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Library, "live", interrupt)
    assert metier("list")[0] == 130


def test_what_a_program_writes_to_stderr_does_not_mix_with_data(metier: Shell, library: Library) -> None:
    folder = library.path / "noisy"
    folder.mkdir()
    (folder / "noisy.wasm").write_bytes(says("1", "debugging\n"))
    meta = {"id": "noisy", "summary": "Noisy.", "binary": "noisy.wasm"}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    assert metier("call", "noisy", "{}") == (0, "1\n", "")


def test_permissions_of_a_draft_lead_to_its_approval(metier: Shell, library: Library) -> None:
    (library.path / "metier.toml").write_text('[policy]\ncall = ["get_car_details"]\n', encoding="utf-8")
    calls = {**DRAFT, "effects": "read", "permissions": {"call": ["get_car_details"]}}
    with Runtime.open(library.path) as runtime:
        outcome = runtime.mutator().submit(calls, None, "a test")
    assert isinstance(outcome, Waits)
    status, _, said = metier("permissions", "double")
    assert (status, "waits for a person; `metier approve double`" in said) == (2, True)
