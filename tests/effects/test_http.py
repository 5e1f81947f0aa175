"""Requests go where the permission says, to the address that was checked, and bring no secret back."""

from __future__ import annotations

import base64
import ipaddress
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from metier.effects import INSIDE, OUTSIDE, Context, Door, HttpService
from metier.outcomes import Failed, Ran
from metier.permissions import Grant, Permissions
from metier.record import LiveRecord, ReplayedRecord
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.files import FileSystem, HostFiles
from metier.sandbox.limits import Limits
from metier.toolchains import python
from tests.conftest import capability

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A server on loopback that answers as `answer` says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Answer = lambda handler: reply(handler, 200, b'{"ok": true}')
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.command, self.path, dict(self.headers.items()), body))
                outer.answer(self)

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self.handle_any
                raise AttributeError(name)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


class Plenty:
    seconds = 10.0

    def fuel_left(self) -> int:
        return 1_000_000

    def burn(self, fuel: int) -> None:
        pass

    def seconds_left(self) -> float:
        return self.seconds


class Client:
    """Asks through a door: names resolve to loopback."""

    def __init__(self, server: Server, **options: Any) -> None:
        self.origin = f"http://api.example:{server.port}"
        self.permissions = options.pop("http", None) or [
            {"origin": self.origin, "methods": ["GET", "POST", "PUT", "HEAD"], "path": "/v1/**", "secrets": ["KEY"]}
        ]
        options = {"networks": LOOPBACK, "resolver": lambda *_: ["127.0.0.1"], **options}
        self.service = HttpService(secrets={"KEY": lambda: "s3cr3t/value"}, **options)
        self.record = LiveRecord()

    def __call__(self, url: str, *, method: str = "GET", budget: Plenty | None = None, **request: Any) -> Any:
        limits = Limits(effect_bytes=100_000)
        grant = Grant((Permissions.model_validate({"http": self.permissions}),))
        files = FileSystem(HostFiles({}, 0), grant, limits)
        context = Context(files, grant, limits, self.record, None, self.service)
        whole = url if "://" in url else self.origin + url
        asked = {"op": "http.request", "method": method, "url": whole, **request}
        answer = json.loads(Door(INSIDE, OUTSIDE, context).call(json.dumps(asked), budget or Plenty()))
        return answer.get("ok", answer.get("kind"))


def test_a_request_that_is_allowed_is_made(server: Server) -> None:
    answer = Client(server)("/v1/a?b=c", headers={"X-Mine": "1"})
    assert (answer["status"], answer["body"], answer["url"].endswith("/v1/a?b=c")) == (200, '{"ok": true}', True)
    method, path, headers, _ = server.seen[0]
    assert (method, path, headers["Host"], headers["X-Mine"]) == ("GET", "/v1/a?b=c", f"api.example:{server.port}", "1")


def test_a_body_is_sent_and_bytes_come_back(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 201, b"\xff\x00")
    answer = Client(server)("/v1/a", method="POST", body='{"a": "ä"}', headers={"Content-Type": "application/json"})
    assert (answer["status"], answer["base64"]) == (201, "/wA=")
    assert server.seen[0][3] == '{"a": "ä"}'.encode()


@pytest.mark.parametrize(
    ("url", "method", "kind"),
    [
        ("/v2/a", "GET", "denied"),
        ("/v1/../v2/a", "GET", "denied"),
        ("/v1/%2e%2e/v2/a", "GET", "denied"),
        ("/v1/..%2fv2", "GET", "invalid"),
        ("/v1/a", "DELETE", "denied"),
        ("/v1/a", "TRACE", "invalid"),
        ("http://other.example/v1/a", "GET", "denied"),
        ("https://api.example/v1/a", "GET", "denied"),
        ("http://api.example/v1/a", "GET", "denied"),
        ("ftp://api.example/v1/a", "GET", "invalid"),
    ],
)
def test_what_is_not_allowed_is_not_asked_for(server: Server, url: str, method: str, kind: str) -> None:
    assert Client(server)(url, method=method) == kind
    assert server.seen == []


def test_every_layer_must_allow() -> None:
    a = Permissions.model_validate({"http": [{"origin": "http://a.example", "methods": ["GET"], "secrets": ["K"]}]})
    b = Permissions.model_validate({"http": [{"origin": "http://a.example", "methods": ["GET"], "path": "/x"}]})
    assert Grant((a,)).http_secrets("http://a.example", "GET", "/y") == frozenset({"K"})
    assert Grant((a, b)).http_secrets("http://a.example", "GET", "/x") == frozenset()
    assert Grant((a, b)).http_secrets("http://a.example", "GET", "/y") is None
    assert Grant((a, Permissions())).http_secrets("http://a.example", "GET", "/x") is None
    assert (Grant((a,)).secrets, Grant((a, b)).secrets, Grant(()).secrets) == ({"K"}, set(), set())


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil"},
        {"Content-Length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"Proxy-Authorization": "x"},
        {"X": "a\r\nHost: evil"},
        {"X\r\nY": "a"},
        {"X": "ą"},
        {"X": 1},
        {"X": "a" * 10_000},
        {f"X{n}": "1" for n in range(100)},
        ["X"],
    ],
)
def test_headers_that_are_not_for_programs_are_refused(server: Server, headers: Any) -> None:
    assert Client(server)("/v1/a", headers=headers) == "invalid"
    assert server.seen == []


def test_a_name_is_resolved_once_and_the_connection_goes_there(server: Server) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"], ["10.0.0.1"]])
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    assert Client(server, resolver=rebinding)("/v1/a")["status"] == 200
    assert asked == ["api.example"]


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["127.0.0.1", "169.254.169.254"], ["::ffff:127.0.0.1"]])
def test_a_name_that_leads_inside_is_denied(server: Server, addresses: list[str]) -> None:
    assert Client(server, resolver=lambda *_: addresses)("/v1/a") == "unreachable"
    assert server.seen == []


def test_loopback_is_denied_unless_the_operator_named_it(server: Server) -> None:
    assert Client(server, networks=[])("/v1/a") == "unreachable"


def redirect(location: str, status: int = 302, first: int = 1) -> Answer:
    counted = iter(range(100))
    return lambda h: reply(h, status, b"", Location=location) if next(counted) < first else reply(h, 200, b"there")


def test_a_redirect_is_followed_within_the_permission(server: Server) -> None:
    server.answer = redirect("/v1/b?x=1")
    answer = Client(server)("/v1/a", method="POST", body="x")
    assert (answer["body"], server.seen[1][:2]) == ("there", ("GET", "/v1/b?x=1"))


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("/v2/b", "denied"),
        ("http://169.254.169.254/v1/a", "denied"),
        ("http://evil.example/v1/a", "denied"),
        ("file:///etc/passwd", "invalid"),
        ("//user@evil.example/", "invalid"),
        ("/v1/%2e%2e/v2", "denied"),
        ("/v1/b?k={{secret:KEY}}", "denied"),
    ],
)
def test_a_redirect_goes_through_every_check_again(server: Server, location: str, kind: str) -> None:
    server.answer = redirect(location)
    assert Client(server)("/v1/a") == kind
    assert len(server.seen) == 1


def test_redirects_come_to_an_end(server: Server) -> None:
    server.answer = redirect("/v1/a", first=100)
    assert Client(server)("/v1/a") == "unreachable"
    assert len(server.seen) == 6


def test_credentials_do_not_follow_to_another_origin(server: Server) -> None:
    other = Server()
    try:
        http = [
            {"origin": f"http://{host}:{port}", "methods": ["GET"], "secrets": ["KEY"]}
            for host, port in (("api.example", server.port), ("b.example", other.port))
        ]
        server.answer = redirect(f"http://b.example:{other.port}/v1/b")
        client = Client(server, http=http)
        client("/v1/a", headers={"Authorization": "Bearer x", "X-Key": "{{secret:KEY}}", "X-Plain": "1"})
        assert server.seen[0][2]["X-Key"] == "s3cr3t/value"
        received = other.seen[0][2]
        assert received["X-Plain"] == "1"
        assert not {"Authorization", "X-Key"} & set(received)
        server.answer = redirect(f"http://b.example:{other.port}/v1/b", status=307)
        assert client("/v1/a", body="{{secret:KEY}}", method="POST") == "denied"
        assert len(other.seen) == 1
    finally:
        other.close()


def test_a_secret_is_put_in_at_the_edge_and_masked_wherever_it_comes_back(server: Server) -> None:
    value = "s3cr3t/value"

    def echo(handler: BaseHTTPRequestHandler) -> None:
        encoded = base64.b64encode(value.encode()).decode()
        text = f"{handler.headers['X-Key']} {handler.path} {encoded} {value.encode().hex()}"
        reply(handler, 200, text.encode(), X_Echo=value)

    server.answer = echo
    client = Client(server)
    answer = client("/v1/a?k={{secret:KEY}}", method="POST", headers={"X-Key": "{{secret:KEY}}"}, body="{{secret:KEY}}")
    _, path, headers, body = server.seen[0]
    assert (path, headers["X-Key"], body.decode()) == ("/v1/a?k=s3cr3t%2Fvalue", value, value)
    kept = json.dumps([answer, [[e.request, e.answer] for e in client.record.effects]])
    for form in (value, "s3cr3t%2Fvalue", base64.b64encode(value.encode()).decode().rstrip("="), value.encode().hex()):
        assert form not in kept
    assert "***" in answer["body"]


@pytest.mark.parametrize(
    ("url", "headers", "kind"),
    [
        ("/v1/a", {"X": "{{secret:OTHER}}"}, "denied"),
        ("/v1/{{secret:KEY}}", {}, "invalid"),
    ],
)
def test_a_secret_goes_only_where_it_is_allowed(server: Server, url: str, headers: dict[str, str], kind: str) -> None:
    assert Client(server)(url, headers=headers) == kind
    assert server.seen == []


def test_a_secret_that_is_not_set_is_named(server: Server) -> None:
    client = Client(server)
    client.service = HttpService(networks=LOOPBACK, resolver=lambda *_: ["127.0.0.1"], secrets={"KEY": lambda: None})
    assert client("/v1/a", headers={"X": "{{secret:KEY}}"}) == "unavailable"


def test_an_endless_body_is_cut_off(server: Server) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(10_000):
                handler.wfile.write(b"x" * 10_000)
        except OSError:
            pass
        handler.close_connection = True

    server.answer = endless
    assert Client(server)("/v1/a") == "too_large"


def test_a_server_that_drips_is_given_up(server: Server) -> None:
    stop = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not stop.wait(0.05):
                handler.wfile.write(b"x")
                handler.wfile.flush()
        except OSError:
            pass
        handler.close_connection = True

    server.answer = drip
    budget = Plenty()
    budget.seconds = 0.4
    began = time.monotonic()
    assert Client(server)("/v1/a", budget=budget) == "timeout"
    stop.set()
    assert time.monotonic() - began < 10  # it would drip for ever


def test_a_server_that_is_not_there_is_unreachable(server: Server) -> None:
    client = Client(server)
    server.close()
    assert client("/v1/a") == "unreachable"


def test_the_proxies_of_the_environment_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert Client(server)("/v1/a")["status"] == 200


SOURCE = """
import json, host

def run(input: dict) -> dict:
    try:
        answer = host.http_get(input["url"], {"X-Key": "{{secret:KEY}}"})
    except host.Error as error:
        return {"refused": error.kind}
    return {"status": answer["status"], "body": json.loads(answer["body"])}
"""


def test_a_capability_asks_and_its_run_replays_without_the_server(server: Server, box: Box) -> None:
    permissions = Permissions.model_validate(
        {"http": [{"origin": f"http://api.example:{server.port}", "methods": ["GET"], "secrets": ["KEY"]}]}
    )
    service = HttpService(networks=LOOPBACK, resolver=lambda *_: ["127.0.0.1"], secrets={"KEY": lambda: "s3cr3t/value"})
    runner = Runner(box, roots={}, policy=permissions, limits=Limits(), http=service)
    loaded = runner.load(capability(permissions=permissions, effects="read"), python.build(SOURCE, box))
    value = {"url": f"http://api.example:{server.port}/v1/a"}
    ran = runner.run(loaded, value)
    assert isinstance(ran, Ran), ran
    assert ran.output == {"status": 200, "body": {"ok": True}}
    assert "s3cr3t" not in json.dumps([[e.request, e.answer] for e in ran.effects])
    server.close()
    again = runner.replay(loaded, value, ran.grant, ReplayedRecord(ran.effects, ran.blobs))
    assert not isinstance(again, Failed)
    assert (again.output_text, again.fuel) == (ran.output_text, ran.fuel)
    denied = runner.run(loaded, {"url": "http://other.example/"})
    assert isinstance(denied, Ran)
    assert denied.output == {"refused": "denied"}
