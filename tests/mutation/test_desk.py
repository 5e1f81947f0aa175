"""What an author looks at and tries before it hands in, with a scripted author and everything else real."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from metier import Runtime, events
from metier.errors import UsageError
from metier.library import Library
from metier.outcomes import Exists, Mutated, NotMutated, Waits
from metier.testing import ScriptedModel
from tests.mutation.test_draft import DRAFT
from tests.mutation.test_mutator import TASK, library, mutate, source, submit, times

__all__ = ["library"]


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": tool, "arguments": arguments}]}


def told(requests: list[dict[str, Any]], number: int) -> str:
    """What the author was told last before its request with this number, from 0."""
    return str(requests[number]["messages"][-1]["content"])


def add_settings(library: Library, text: str) -> None:
    path = library.path / "metier.toml"
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_an_author_writes_builds_tries_and_hands_in_without_sending_the_source_again(library: Library) -> None:
    draft = {key: value for key, value in submit()["tool_calls"][0]["arguments"].items() if key != "source"}
    outcome, requests, seen = mutate(
        library,
        call("write_source", source="def run(input)\n    return 1"),
        call("write_source", source=DRAFT["source"]),
        call("try_input", input={"n": 21}),
        call("submit_capability", **draft),
    )
    assert isinstance(outcome, Mutated)
    assert "does not build" in told(requests, 1)
    assert "SyntaxError" in told(requests, 1)
    assert "It builds" in told(requests, 2)
    assert '{"twice":42}' in told(requests, 3).replace(" ", "")
    assert library.load("double").source["capability.py"].decode() == DRAFT["source"]
    looked = [event.tool for event in seen if isinstance(event, events.AuthorLooked)]
    assert looked == ["write_source", "write_source", "try_input"]


def test_a_trial_works_on_copies_and_within_what_is_given_unasked(library: Library) -> None:
    (library.path / "data" / "secret").mkdir()
    (library.path / "metier.toml").write_text(
        '[roots]\nhr = "data"\n[policy]\nfiles = [{ root = "hr", path = "**", access = "write" }]\n'
        '[policy.unasked]\nfiles = [{ root = "hr", path = "rates.json", access = "read" }]\n',
        encoding="utf-8",
    )
    (library.path / "data" / "key.txt").write_text("hunter2", encoding="utf-8")
    overwrite = source('open("/hr/rates.json", "w").write("{}")\nreturn {"now": open("/hr/rates.json").read()}')
    outcome, requests, _ = mutate(
        library,
        call("write_source", source=overwrite),
        call("try_input", input={}, permissions={"files": [{"root": "hr", "path": "**", "access": "write"}]}),
        call("write_source", source=source('return {"key": open("/hr/key.txt").read()}')),
        call("try_input", input={}, permissions={"files": [{"root": "hr", "path": "**", "access": "write"}]}),
        call("read_data", path="hr/key.txt"),
        submit(),
    )
    assert isinstance(outcome, Mutated)
    assert '"now"' in told(requests, 2)
    assert (library.path / "data" / "rates.json").read_text(encoding="utf-8") == '{"GBP": 0.79}'
    assert "FileNotFoundError" in told(requests, 4) or "not_found" in told(requests, 4)
    assert "no file that may be granted" in told(requests, 5)
    assert "hunter2" not in json.dumps(requests)


def test_records_are_read_where_the_operator_lets_authors_see_them_and_else_the_shape(library: Library) -> None:
    _, requests, _ = mutate(library, call("read_data", path="hr/rates.json"), submit())
    assert "number" in told(requests, 1)
    assert "0.79" not in json.dumps(requests)
    add_settings(library, "samples = true\n")
    _, requests, _ = mutate(library, call("read_data", path="hr/rates.json", line=1), submit(id="triple", **times(3)))
    assert "0.79" in told(requests, 1)
    _, requests, _ = mutate(
        library, call("read_data", path="hr/rates.json", line=0), submit(id="quadruple", **times(4))
    )
    assert "line is a number from 1" in told(requests, 1)


def test_the_author_may_find_that_a_neighbour_does_it_already(library: Library) -> None:
    mutate(library, submit())
    outcome, requests, _ = mutate(
        library,
        call("read_capability", capability_id="double"),
        call("use_existing", capability_id="triple"),
        call("use_existing", capability_id="double"),
    )
    assert isinstance(outcome, Exists)
    assert outcome.capability.name == "double@1"
    assert "Returns twice a number" in requests[0]["messages"][-1]["content"]
    assert "def run" in told(requests, 1)
    assert "none of double" in told(requests, 2)
    assert [c.name for c in library.capabilities()] == ["double@1"]


def test_a_task_goes_on_with_what_exists(library: Library) -> None:
    mutate(library, submit())
    replies = [
        call("mutate_capability", task_description="twice a number"),
        call("use_existing", capability_id="double"),
        call("run_capability", capability_id="double", input={"n": 21}),
        {"content": "It is 42."},
    ]
    with Runtime.open(library.path, model=ScriptedModel(replies)) as runtime:
        answer = runtime.run_sync(TASK)
    assert (answer.text, answer.created) == ("It is 42.", ())


def test_an_author_without_end_is_stopped(library: Library) -> None:
    add_settings(library, "mutation_steps = 3\n")
    outcome, requests, _ = mutate(library, *[call("read_capability", capability_id="none")] * 9)
    assert isinstance(outcome, NotMutated)
    assert "3 requests" in outcome.reason
    assert len(requests) == 3
    assert "no capability" in told(requests, 1)


def test_an_author_that_costs_too_much_is_stopped(library: Library) -> None:
    add_settings(library, "mutation_tokens = 1\n")
    outcome, requests, _ = mutate(library, call("read_capability", capability_id="none"), submit())
    assert isinstance(outcome, NotMutated)
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("try_input", {"input": {}}, "bring the source"),
        ("write_source", {"source": 3}, "source must be a text"),
        ("write_source", {"source": "x", "language": "cobol"}, "language is one of"),
        ("read_data", {"path": "hr/../../etc/passwd"}, "no file that may be granted"),
        ("http_get", {"url": "http://127.0.0.1/"}, "there is no tool"),
        ("run_shell", {"command": "id"}, "there is no tool"),
    ],
)
def test_a_clumsy_call_is_answered_in_a_line(library: Library, tool: str, arguments: dict[str, Any], said: str) -> None:
    outcome, requests, _ = mutate(library, call(tool, **arguments), submit())
    assert isinstance(outcome, Mutated)
    assert said in told(requests, 1)
    assert "Traceback" not in told(requests, 1)


class Docs(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"the answer for {self.path} is 42".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def docs() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Docs)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_web_is_looked_at_only_where_the_operator_allows_it(library: Library, docs: str) -> None:
    add_settings(
        library,
        '[http]\nnetworks = ["127.0.0.1/32"]\n[research]\n'
        f'search = "{docs}/find?q={{query}}"\n'
        f'http = [{{ origin = "{docs}", methods = ["GET"], path = "/find" }}]\n',
    )
    _, requests, _ = mutate(
        library,
        call("web_search", query="what is & why"),
        call("http_get", url=f"{docs}/find"),
        call("http_get", url=f"{docs}/admin"),
        submit(),
    )
    assert "the answer for /find?q=what%20is%20%26%20why is 42" in told(requests, 1)
    assert "the answer for /find is 42" in told(requests, 2)
    assert "denied" in told(requests, 3)


def test_a_search_without_a_place_for_the_words_is_refused(library: Library) -> None:
    add_settings(library, '[research]\nsearch = "https://search.example/"\n')
    with pytest.raises(UsageError, match="search"):
        Runtime.open(library.path)


def test_tables_that_may_be_granted_are_shown_with_their_columns(library: Library) -> None:
    with sqlite3.connect(library.path / "company.db") as database:
        database.execute("CREATE TABLE staff (name TEXT, pay INTEGER)")
        database.execute("INSERT INTO staff VALUES ('hunter2', 1)")
    database.close()
    settings = library.path / "metier.toml"
    tables = 'sql = [{ store = "company", tables = { staff = ["select"] } }]\n'
    settings.write_text(
        f'[stores]\ncompany = "sqlite:///company.db"\n[policy]\n{tables}[policy.unasked]\n{tables}', encoding="utf-8"
    )
    _, requests, _ = mutate(library, submit())
    rules = requests[0]["messages"][0]["content"]
    assert "`company`" in rules
    assert "name, pay" in rules
    assert "hunter2" not in json.dumps(requests)


READING = {
    "effects": "read",
    "permissions": {"files": [{"root": "hr", "path": "key.txt", "access": "read"}]},
    "source": source('return {"twice": 2 * input["n"], "key": open("/hr/key.txt").read()}'),
    "output_schema": {"type": "object", "properties": {"twice": {"type": "integer"}}, "required": ["twice"]},
    "examples": [{"task": TASK, "input": {"n": 21}}, *DRAFT["examples"][:2]],
}


def test_nothing_that_a_person_has_to_allow_is_read_before(library: Library) -> None:
    (library.path / "data" / "key.txt").write_text("hunter2", encoding="utf-8")
    settings = library.path / "metier.toml"
    settings.write_text(
        '[roots]\nhr = "data"\n[policy]\nfiles = [{ root = "hr", path = "**", access = "read" }]\n', encoding="utf-8"
    )
    outcome, requests, _ = mutate(library, submit(**READING))
    assert isinstance(outcome, Waits)
    assert "hunter2" not in json.dumps(requests)
    with Runtime.open(library.path) as runtime:
        refused = runtime.mutator().approve("double", "Ada")
        assert isinstance(refused, NotMutated), "its other examples do not hold, which only shows now"
        assert "hunter2" in "".join(refused.findings)
    right = {**READING, "source": source('open("/hr/key.txt").read()\nreturn {"twice": 2 * input["n"]}')}
    outcome, _, _ = mutate(library, submit(**right))
    assert isinstance(outcome, Waits)
    with Runtime.open(library.path) as runtime:
        approved = runtime.mutator().approve("double", "Ada")
    assert isinstance(approved, Mutated)
    assert approved.capability.examples[0].output == {"twice": 42}


def test_an_author_is_told_of_the_effects_that_this_library_can_allow_and_of_no_others(library: Library) -> None:
    _, requests, _ = mutate(library, submit())
    rules = requests[0]["messages"][0]["content"]
    assert "host.call" not in rules
    assert "host.sql" not in rules
    (library.path / "metier.toml").write_text('[policy]\ncall = ["double"]\n', encoding="utf-8")
    _, requests, _ = mutate(library, submit(id="triple", **times(3)))
    rules = requests[0]["messages"][0]["content"]
    assert "host.call" in rules
    assert "call double" in rules.split("until a person has approved it")[1]


def test_a_trial_may_bring_its_source(library: Library) -> None:
    draft = {key: value for key, value in submit()["tool_calls"][0]["arguments"].items() if key != "source"}
    outcome, requests, _ = mutate(
        library,
        call("try_input", source="def run(input)", input={"n": 21}),
        call("try_input", source=DRAFT["source"], input={"n": 21}),
        call("submit_capability", **draft),
    )
    assert isinstance(outcome, Mutated)
    assert "does not build" in told(requests, 1)
    assert '{"twice":42}' in told(requests, 2).replace(" ", "")


def test_a_draft_is_mended_by_the_fields_that_change(library: Library) -> None:
    wrong = DRAFT["source"].replace("2 *", "3 *")
    outcome, requests, _ = mutate(
        library, submit(source=wrong, summary="Doubles."), call("submit_capability", source=DRAFT["source"])
    )
    assert isinstance(outcome, Mutated)
    assert outcome.capability.summary == "Doubles."
    assert "a field that you leave out stays as it was" in told(requests, 1)


def test_a_shape_tells_what_all_records_have_in_common_and_how_dates_are_written(library: Library) -> None:
    records = [
        {"name": "Ann", "since": "2024-02-29", "boss": None},
        {"name": "Bob", "since": "2025-01-01", "boss": "Ann", "car": {"year": 1}},
    ]
    (library.path / "data").mkdir(exist_ok=True)
    (library.path / "data" / "rates.json").write_text(json.dumps(records), encoding="utf-8")
    _, requests, _ = mutate(library, call("read_data", path="hr/rates.json"), submit())
    shape = (
        '[{"name": "text", "since": "date as text", "boss": "null or text", "car?": {"year": "number"}}, "… 2 in all"]'
    )
    assert shape in told(requests, 1)
    assert "Ann" not in json.dumps(requests)
    assert "try_input" in told(requests, 1)
