"""What servers, names and programs try in order to get at secrets, at addresses inside, or at the host's time."""

from __future__ import annotations

import base64
import datetime
import gzip
import html
import ipaddress
import json
import re
import socket
import ssl
import threading
import time
import tracemalloc
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metier.effects import INSIDE, OUTSIDE, Context, Door, EffectError, HttpService
from metier.effects.addresses import is_open
from metier.effects.exchange import decoded
from metier.effects.secrets import Secrets, Veil
from metier.outcomes import Ran
from metier.permissions import Grant, Permissions
from metier.record import LiveRecord
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.files import FileSystem, HostFiles
from metier.sandbox.limits import Limits
from metier.toolchains import python
from metier.urls import parse_url
from tests.conftest import capability

SECRET = 's3cr3t/"välue&<x>'
ASCII_SECRET = 's3cr3t/"value&<x>'
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
Play = Callable[[socket.socket, bytes], None]


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every connection is seen here; one to anywhere but loopback fails the test."""
    connected: list[str] = []
    real = socket.create_connection

    def watched(address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
        connected.append(address[0])
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise OSError("not from a test")
        return real(address, *arguments, **options)

    monkeypatch.setattr(socket, "create_connection", watched)
    yield connected
    assert all(ipaddress.ip_address(address).is_loopback for address in connected)


class Scripted:
    """A server on loopback that plays one piece for each connection, and keeps what it was sent."""

    def __init__(self, play: Play, tls: ssl.SSLContext | None = None) -> None:
        self.play, self.tls = play, tls
        self.seen: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            try:
                if self.tls is not None:
                    connection = self.tls.wrap_socket(connection, server_side=True)
                self.seen.append(request_from(connection))
                self.play(connection, self.seen[-1])
                connection.close()
            except OSError:
                pass

    def close(self) -> None:
        self._listener.close()


def request_from(connection: socket.socket) -> bytes:
    data = connection.recv(1_000_000)
    head, _, body = data.partition(b"\r\n\r\n")
    size = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    if size > 50_000:  # for a server that does not read
        return data
    while len(body) < size:
        body += connection.recv(1_000_000)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def serve() -> Iterator[Callable[..., Scripted]]:
    servers: list[Scripted] = []

    def start(play: Play, tls: ssl.SSLContext | None = None) -> Scripted:
        servers.append(Scripted(play, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def says(answer: bytes) -> Play:
    return lambda connection, _: connection.sendall(answer)


class Left:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def fuel_left(self) -> int:
        return 1

    def burn(self, fuel: int) -> None:
        pass

    def seconds_left(self) -> float:
        return self.seconds


class Client:
    def __init__(self, *permissions: dict[str, Any], **options: Any) -> None:
        self.secrets: dict[str, str | None] = {"KEY": ASCII_SECRET}
        self.permissions = Permissions.model_validate({"http": permissions})
        readers = {"KEY": lambda: self.secrets["KEY"]}
        options = {"networks": LOOPBACK, "resolver": lambda *_: ["127.0.0.1"], "secrets": readers, **options}
        self.service = HttpService(**options)
        self.record = LiveRecord()

    def __call__(self, url: str, *, method: str = "GET", seconds: float = 5.0, **asked: Any) -> Any:
        """The value that was answered; the kind of an error, with its words after a colon."""
        grant, limits = Grant((self.permissions,)), Limits(effect_bytes=100_000)
        files = FileSystem(HostFiles({}, 0), grant, limits)
        context = Context(files, grant, limits, self.record, None, self.service)
        request = json.dumps({"op": "http.request", "method": method, "url": url, **asked})
        answer = json.loads(Door(INSIDE, OUTSIDE, context).call(request, Left(seconds)))
        return answer["ok"] if "ok" in answer else f"{answer['kind']}: {answer['error']}"


def client(server: Scripted, **options: Any) -> tuple[Client, str]:
    """One that may ask `server` under the name api.example with a secret, and its origin."""
    origin = f"http://api.example:{server.port}"
    may = {"origin": origin, "methods": ["GET", "POST"], "path": "/v1/**", "secrets": ["KEY"]}
    return Client(may, **options), origin


# Where a request goes

SPELLINGS = """
http://2130706433/ http://017700000001/ http://0x7f000001/ http://0x7f.1/ http://127.1/ http://127.0.1/ http://0177.1/
http://127.0.0.01/ http://0x7f.0x0.0x0.0x1/ http://0/ http://0x/ http://00000000000000000000000000000177.0.0.1/
http://127.0.0.1.1/ http://1.1.1.1.1/ http://a.1/ http://a.0x7f/ http://4294967296/ http://256.256.256.256/
http://127.0.0.1%00/ http://127.0.0.1%2f/ http://%31%32%37.0.0.1/ http://127%2e0%2e0%2e1/ http://[::1%25lo]/
http://[::1%lo]/ http://[::1 http://[]/ http://[::g]/ http://[127.0.0.1]/ http://::1/ http://[::1]x/ http://[::1]:x/
http://[::ffff:127.0.0.1.1]/ http://user@127.0.0.1/ http://user:pw@api.example/ http://@api.example/
http://api.example@127.0.0.1/ http://api.example:80@127.0.0.1/ http://127.0.0.1:80:80/ http://api.example:/
http://api.example:-1/ http://api.example:65536/ http://api.example:0/ http://api.example:+80/ http://api.example:8_0/
http://api..example/ http://.api.example/ http://api.example../ http://-api.example/ http://api-.example/
http://xn--a.example/ http://a‍b.example/ http://api.example⁠.evil/ http://a*b.example/ http://a,b.example/
http:api.example/ http:/api.example/ http:///api.example/ //api.example/ api.example/v1 javascript:alert(1)
file:///etc/passwd ftp://api.example/ gopher://127.0.0.1/ ws://api.example/ http+unix://x/ HTTP\\://api.example/
http://api.example/v1/%2e%2e%2f http://api.example/v1/..%5cx http://api.example/v1/%252e%252e/
http://api.example/v1/%252fx http://api.example/v1/%25252f http://api.example/v1/..;/x http://api.example/v1/.;/x
http://api.example/v1//x http://api.example//v1 http://api.example/v1/%00 http://api.example/v1/%
""".split()


@pytest.mark.parametrize(
    "url", [*SPELLINGS, "http://api.example\u3000/", "http://api.example/\u2028", "http://a\u00a0b/"]
)
def test_a_url_with_another_reading_is_refused_and_nothing_is_asked(
    url: str, nothing_leaves_this_machine: list[str]
) -> None:
    resolved: list[str] = []
    may = {"origin": "http://api.example", "methods": ["GET"]}
    asking = Client(may, resolver=lambda host, port: resolved.append(host) or ["127.0.0.1"])  # type: ignore[func-returns-value]  # append
    assert asking(url).startswith("invalid: ")
    assert resolved == nothing_leaves_this_machine == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://１２７.０.０.１/",
        "http://127。0。0。1/",
        "http://①②⑦.⓪.⓪.①/",
        "http://127.0.0.1./",
        "http://[::1]/",
        "http://[0:0::0:1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::169.254.169.254]/",
        "http://[2002:7f00:1::]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://168.63.129.16/",
        "http://100.100.100.200/",
        "http://[fd00:ec2::254]/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://255.255.255.255/",
    ],
)
def test_an_address_inside_is_denied_also_where_a_manifest_asks_for_it(url: str) -> None:
    origin = parse_url(url).origin
    asking = Client({"origin": origin, "methods": ["GET"]}, networks=[], resolver=lambda host, port: [host])
    assert asking(url).startswith("denied: ")
    assert Client(networks=LOOPBACK)(url).startswith("denied: ")


@pytest.mark.parametrize(
    ("address", "open_"),
    [
        ("93.184.215.14", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::808:808", False),
        ("192.88.99.1", False),
        ("192.0.0.192", False),
        ("198.19.255.255", False),
        ("223.255.255.255", True),
        ("2001:1ff:ffff::1", False),
        ("2001:200::1", True),
        ("2002:808:808::1", False),
        ("3fff::1", False),
        ("4000::1", False),
        ("5f00::1", False),
        ("100::1", False),
    ],
)
def test_only_what_is_public_by_the_registries_is_open(address: str, open_: bool) -> None:
    assert is_open(ipaddress.ip_address(address), []) is open_


@given(st.ip_addresses())
def test_nothing_is_open_that_python_knows_to_be_inside(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_open(address, []) and address not in ipaddress.ip_network("64:ff9b::/96"):
        assert address.is_global
        assert not (address.is_multicast or address.is_loopback or address.is_link_local or address.is_reserved)


def test_a_name_inside_fails_in_the_words_of_one_that_does_not_exist() -> None:
    def no_such_name(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name")

    may = {"origin": "http://api.example", "methods": ["GET"]}
    answers = {
        Client(may, resolver=resolver)("http://api.example/")
        for resolver in (no_such_name, lambda *_: [], lambda *_: ["10.0.0.1"], lambda *_: ["fe80::1%eth0"])
    }
    assert len(answers) == 1
    assert answers.pop().startswith("unreachable: api.example has no address that may be reached")


def test_a_name_that_changes_its_mind_is_resolved_once_and_the_checked_address_is_connected_to(
    nothing_leaves_this_machine: list[str],
) -> None:
    told = iter([["93.184.215.14"], ["127.0.0.1"], ["127.0.0.1"]])
    asking = Client({"origin": "http://api.example", "methods": ["GET"]}, networks=[], resolver=lambda *_: next(told))
    assert asking("http://api.example/").startswith("unreachable: ")
    assert nothing_leaves_this_machine == ["93.184.215.14"]  # the connection itself is held back
    assert next(told) == ["127.0.0.1"]
    nothing_leaves_this_machine.clear()


def test_a_name_that_turns_inward_at_a_redirect_is_refused(serve: Any) -> None:
    server = serve(says(ok(b"", "Location: /v1/b", status="302 Found")))
    told = iter([["127.0.0.1"], ["169.254.169.254"]])
    asking, origin = client(server, resolver=lambda *_: next(told))
    assert asking(f"{origin}/v1/a").startswith("unreachable: ")
    assert len(server.seen) == 1


def test_the_next_address_is_tried_when_one_does_not_answer(serve: Any) -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        pass  # nobody listens there any more
    assert other is not None
    server = serve(says(ok(b"here")))
    asking, origin = client(server, resolver=lambda *_: ["127.0.0.2", "127.0.0.1"])
    assert asking(f"{origin}/v1/a")["body"] == "here"


def test_a_resolver_that_hangs_costs_no_more_than_the_time_that_is_left() -> None:
    hanging = threading.Event()
    asking = Client({"origin": "http://api.example", "methods": ["GET"]}, resolver=lambda *_: [str(hanging.wait(20))])
    began = time.monotonic()
    assert asking("http://api.example/", seconds=0.2).startswith("timeout: ")
    assert time.monotonic() - began < 5
    hanging.set()


# Redirects


@pytest.mark.parametrize(
    "location",
    [
        "http://10.9.8.7/admin",
        "http://[fd00::1234]/",
        "http://169.254.169.254/latest/meta-data/",
        "//10.9.8.7/admin",
        "http://0x0a090807/",
        "http://user@10.9.8.7/",
        "http://[::1",
        "\\\\10.9.8.7\\x",
        "/v1/..;/admin",
        "/v1/%2e%2e/admin",
        "gopher://10.9.8.7/_",
        "data:text/plain,x",
        "/v1/\xff\xfe",
    ],
)
def test_a_redirect_to_elsewhere_is_refused_without_naming_an_address(serve: Any, location: str) -> None:
    server = serve(says(ok(b"", f"Location: {location}", status="307 Temporary Redirect")))
    asking, origin = client(server)
    said = asking(f"{origin}/v1/a")
    assert said.split(":")[0] in ("denied", "invalid")
    assert len(server.seen) == 1
    assert "10.9.8.7" not in said
    assert "fd00" not in said


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (303, "PUT", "GET"),
        (302, "PUT", "PUT"),
        (303, "HEAD", "HEAD"),
        (301, "GET", "GET"),
    ],
)
def test_methods_change_at_a_redirect_as_in_browsers(serve: Any, status: int, method: str, then: str) -> None:
    def play(connection: socket.socket, data: bytes) -> None:
        first = b"/v1/a " in data.split(b"\r\n")[0]
        connection.sendall(ok(b"", "Location: /v1/b", status=f"{status} Moved") if first else ok(b""))

    server = serve(play)
    origin = f"http://api.example:{server.port}"
    asking = Client({"origin": origin, "methods": ["GET", "HEAD", "POST", "PUT"]})
    body = {} if method in ("GET", "HEAD") else {"body": "some", "headers": {"Content-Type": "text/plain"}}
    assert asking(f"{origin}/v1/a", method=method, **body)["status"] == 200
    second = server.seen[1]
    assert second.startswith(f"{then} /v1/b ".encode())
    assert (b"Content-Type" in second) == (b"some" in second) == bool(body and then == method)


def test_a_redirect_needs_the_permission_for_its_own_method(serve: Any) -> None:
    server = serve(says(ok(b"", "Location: /v1/b", status="303 See Other")))
    origin = f"http://api.example:{server.port}"
    assert Client({"origin": origin, "methods": ["POST"]})(f"{origin}/v1/a", method="POST").startswith("denied: GET")
    assert len(server.seen) == 1


def test_other_statuses_are_answers_even_with_a_location(serve: Any) -> None:
    for status in ("300 Multiple", "304 Not Modified", "305 Use Proxy", "201 Created"):
        asking, origin = client(serve(says(ok(b"", "Location: http://10.0.0.1/", status=status))))
        assert asking(f"{origin}/v1/a")["status"] == int(status[:3])


def test_a_secret_that_comes_back_in_a_location_stays_with_its_origin(serve: Any) -> None:
    quoted = urllib.parse.quote(ASCII_SECRET, safe="")

    def play(connection: socket.socket, data: bytes) -> None:
        line = data.split(b"\r\n")[0]
        away = b"away" in line
        place = f"http://other.example:{server.port}/v1/c?k={quoted}" if away else f"/v1/b?k={quoted}"
        done = b"/v1/b" in line or b"/v1/c" in line
        connection.sendall(ok(b"done") if done else ok(b"", f"Location: {place}", status="302 Found"))

    server = serve(play)
    permissions = [
        {"origin": f"http://{host}.example:{server.port}", "methods": ["GET"], "secrets": ["KEY"]}
        for host in ("api", "other")
    ]
    asking, origin = Client(*permissions), f"http://api.example:{server.port}"
    answer = asking(f"{origin}/v1/a?k={{{{secret:KEY}}}}")
    assert (answer["body"], answer["url"]) == ("done", f"{origin}/v1/b?k={{{{secret:KEY}}}}")
    assert quoted.encode() in server.seen[1]
    assert (
        asking(f"{origin}/v1/away?k={{{{secret:KEY}}}}") == "denied: a redirect would take a secret to another origin"
    )
    assert len(server.seen) == 3
    assert ASCII_SECRET not in repr(asking.record.effects)
    assert quoted not in repr(asking.record.effects)


# Secrets

ECHOES = {
    "as it is": lambda s: s.encode(),
    "in JSON": lambda s: json.dumps({"k": s}).encode(),
    "in JSON with letters kept": lambda s: json.dumps({"k": s}, ensure_ascii=False).encode(),
    "in JSON as PHP writes it": lambda s: json.dumps(s).replace("/", "\\/").encode(),
    "in a query": lambda s: urllib.parse.urlencode({"k": s}).encode(),
    "in a query in lower case": lambda s: re.sub("%..", lambda found: found[0].lower(), urllib.parse.quote(s)).encode(),
    "in HTML": lambda s: html.escape(s).encode(),
    "in base64": lambda s: base64.b64encode(s.encode()),
    "in base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()),
    "as basic credentials": lambda s: b"Basic " + base64.b64encode(b"user:" + s.encode()),
    "in base64, two bytes off": lambda s: base64.b64encode(b"ab" + s.encode() + b"more"),
    "in hex": lambda s: s.encode().hex().encode(),
    "in UTF-16": lambda s: s.encode("utf-16"),
    "compressed": None,
}


def tell_tale(data: bytes) -> bool:
    """Whether more of the secret shows than some letters."""
    text = data.decode("latin-1")
    forms = [
        SECRET[:9],
        ASCII_SECRET[:9],
        SECRET.encode().hex()[:16],
        SECRET.encode("utf-16-le").decode("latin-1")[:16],
    ]
    forms += [base64.b64encode(b"\0" * n + SECRET.encode())[4:12].decode() for n in range(3)]
    return any(form in text for form in forms)


@pytest.mark.parametrize("echo", ECHOES)
def test_a_secret_is_hidden_in_what_comes_back(serve: Any, echo: str) -> None:
    encode = ECHOES[echo]
    if encode is None:
        answer = ok(gzip.compress(SECRET.encode()), "Content-Encoding: gzip")
    else:
        answer = ok(b"before " + encode(SECRET) + b" after")
    asking, origin = client(serve(says(answer)))
    asking.secrets["KEY"] = SECRET
    value = asking(f"{origin}/v1/a?k={{{{secret:KEY}}}}")
    body = value["body"].encode() if "body" in value else base64.b64decode(value["base64"])
    assert b"***" in body
    assert not tell_tale(body)
    assert "content-length" not in value["headers"]


def test_a_secret_is_hidden_in_headers_their_names_and_the_record(serve: Any) -> None:
    def echo(connection: socket.socket, data: bytes) -> None:
        connection.sendall(
            ok(b"x", f"X-Echo: {SECRET}", "Set-Cookie: k=plain-secret-token; x", "plain-secret-token: 1")
        )

    asking, origin = client(serve(echo))
    asking.secrets["KEY"] = "plain-secret-token"
    value = asking(f"{origin}/v1/a", headers={"X-Key": "{{secret:KEY}}"})
    assert "plain-secret-token" not in repr(value) + repr(asking.record.effects)
    assert value["headers"]["***"] == "1"


def test_a_secret_that_an_earlier_request_left_there_is_hidden_as_well(serve: Any) -> None:
    asking, origin = client(serve(says(ok(ASCII_SECRET.encode()))))
    assert asking(f"{origin}/v1/a")["body"] == "***"


@pytest.mark.parametrize("name", ["Range", "if-range"])
def test_a_secret_cannot_be_had_in_slices(serve: Any, name: str) -> None:
    server = serve(says(ok(ASCII_SECRET.encode()[:4], status="206 Partial Content")))
    asking, origin = client(server)
    assert asking(f"{origin}/v1/a", headers={name: "bytes=0-3"}).startswith("denied: ")
    assert server.seen == []


@pytest.mark.parametrize(
    "value", [None, "", "1234567", "passwörter-€", "with\r\nInjected: yes", "with\0nul-inside", "not-utf8-\udcff"]
)
def test_a_secret_that_cannot_be_used_is_named_and_not_told(serve: Any, value: str | None) -> None:
    server = serve(says(ok(b"")))
    asking, origin = client(server)
    asking.secrets["KEY"] = value
    said = asking(f"{origin}/v1/a", headers={"X-Key": "{{secret:KEY}}"})
    assert said.startswith("unavailable: the secret KEY ")
    assert not value or value not in said
    assert server.seen == []


@pytest.mark.parametrize(
    ("content_type", "body", "sent"),
    [
        ("application/json; charset=utf-8", '{"k": "{{secret:KEY}}"}', json.dumps({"k": ASCII_SECRET})),
        ("application/x-www-form-urlencoded", "k={{secret:KEY}}", urllib.parse.urlencode({"k": ASCII_SECRET})),
        ("text/plain", "k={{secret:KEY}}", f"k={ASCII_SECRET}"),
    ],
)
def test_a_secret_is_escaped_as_the_body_needs_it(serve: Any, content_type: str, body: str, sent: str) -> None:
    server = serve(says(ok(b"")))
    asking, origin = client(server)
    asking(f"{origin}/v1/a", method="POST", body=body, headers={"content-type": content_type})
    assert server.seen[0].endswith(
        f"Content-Length: {len(sent)}\r\ncontent-type: {content_type}\r\n\r\n{sent}".encode()
    )


def test_a_placeholder_in_a_query_may_be_url_encoded(serve: Any) -> None:
    server = serve(says(ok(b"")))
    asking, origin = client(server)
    asking(f"{origin}/v1/a?{urllib.parse.urlencode({'k': '{{secret:KEY}}'})}")
    assert server.seen[0].startswith(f"GET /v1/a?k={urllib.parse.quote(ASCII_SECRET, safe='')} HTTP".encode())


def test_a_program_can_say_which_placeholders_are_meant(serve: Any) -> None:
    server = serve(says(ok(b"")))
    asking, origin = client(server)
    asking(f"{origin}/v1/a", method="POST", body="text of a user: {{secret:KEY}}", secrets=[])
    assert server.seen[0].endswith(b"text of a user: {{secret:KEY}}")
    assert asking(f"{origin}/v1/a", secrets="KEY").startswith("invalid: ")


def test_a_placeholder_elsewhere_is_no_placeholder(serve: Any) -> None:
    server = serve(says(ok(b"")))
    asking, origin = client(server)
    for url in (f"{origin}/v1/{{{{secret:KEY}}}}", f"{origin}/v1/%7B%7Bsecret%3AKEY%7D%7D"):
        assert asking(url).startswith("invalid: a secret may stand in")
    assert asking(f"{origin}/v1/a", headers={"{{secret:KEY}}": "x"}).startswith("invalid: ")
    assert asking("http://{{secret:KEY}}.example/").startswith("invalid: ")
    assert server.seen == []


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=8, max_size=40), st.binary(max_size=9))
def test_nothing_of_a_value_survives_its_veil(value: str, before: bytes) -> None:
    veil = Veil({"KEY": value})
    for data in (before + value.encode(), json.dumps(value).encode(), urllib.parse.quote(value).encode()):
        assert value.encode() not in veil.hide(data)
    raw = value.encode()
    hidden = veil.hide(base64.b64encode(before + raw))
    assert base64.b64encode(raw) not in hidden
    assert len(hidden) <= len(base64.b64encode(before)) + 3 + 8


def test_a_secret_that_no_operator_named_is_not_looked_for() -> None:
    with pytest.raises(EffectError, match="OTHER is not set"):
        Secrets({}).value("OTHER")


# Servers that do not end, or say too much


def endless(start: bytes, more: bytes, pause: float = 0.0) -> Play:
    def play(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(more)
            time.sleep(pause)

    return play


@pytest.mark.parametrize(
    ("play", "kinds"),
    [
        (endless(b"", b"", 0.05), ["timeout"]),
        (endless(b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.0003), ["timeout", "unreachable"]),
        (endless(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 10_000), ["unreachable"]),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100), ["unreachable"]),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50), ["timeout", "too_large"]),
        (endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.001), ["timeout"]),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000), ["too_large"]),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.001), ["timeout"]),
        (endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"e" * 999 + b"\r\nx\r\n"),
         ["timeout", "too_large"]),
        (endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"T: x\r\n" * 100), ["unreachable"]),
        (endless(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"", 0.05), ["timeout"]),
    ],
)  # fmt: skip
def test_a_server_that_does_not_end_is_left_in_time(serve: Any, play: Play, kinds: list[str]) -> None:
    asking, origin = client(serve(play))
    began = time.monotonic()
    said = asking(f"{origin}/v1/a", seconds=0.7)
    assert said.split(":")[0] in kinds, said
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("play", "bound"),
    [
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50), 100_000 + 2**20),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000), 100_000),
    ],
)
def test_a_flood_ends_at_its_size_and_not_only_at_its_time(serve: Any, play: Play, bound: int) -> None:
    asking, origin = client(serve(play))
    assert asking(f"{origin}/v1/a", seconds=60.0) == f"too_large: the answer is larger than {bound} bytes"


def test_a_bomb_is_not_unpacked() -> None:
    packed = bomb(50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(EffectError, match="larger than 1000 bytes"):
            decoded(packed, {"content-encoding": "gzip"}, 1000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_server_that_does_not_read_is_left_in_time(serve: Any) -> None:
    deaf = serve(lambda connection, _: time.sleep(5))
    asking, origin = client(deaf)
    began = time.monotonic()
    said = asking(f"{origin}/v1/a", method="POST", body="x" * 90_000, seconds=0.5)
    assert said.startswith("timeout: ")
    assert time.monotonic() - began < 4


def bomb(size: int, wbits: int = 31) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return packer.compress(b"\0" * size) + packer.flush()


@pytest.mark.parametrize(
    ("body", "coding", "kind"),
    [
        (bomb(50_000_000), "gzip", "too_large"),
        (bomb(50_000_000, 15), "deflate", "too_large"),
        (bomb(1000) + b"more", "gzip", "unreachable"),
        (bomb(1000)[:-4], "gzip", "unreachable"),
        (b"no gzip", "gzip", "unreachable"),
        (b"x", "br", "unreachable"),
        (bomb(1000), "gzip, gzip", "unreachable"),
        (b"\xff" * 90_000, "identity", "too_large"),  # larger than the limit once it is base64
        (b"\x01" * 90_000, "identity", "too_large"),
        (b"x" * 100_001, "identity", "too_large"),
    ],
)
def test_an_answer_is_bounded_in_every_form(serve: Any, body: bytes, coding: str, kind: str) -> None:
    asking, origin = client(serve(says(ok(body, f"Content-Encoding: {coding}"))))
    assert asking(f"{origin}/v1/a").startswith(f"{kind}: ")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00" * 100,
        bytes(range(256)) * 10,
    ],
)
def test_what_is_no_http_is_unreachable(serve: Any, answer: bytes) -> None:
    asking, origin = client(serve(says(answer)))
    assert asking(f"{origin}/v1/a").startswith("unreachable: ")


# What a program may say


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": {"hOsT": "x"}},
        {"headers": {"Content_Length": "1"}},
        {"headers": {"TE": "trailers"}},
        {"headers": {"Upgrade": "h2c"}},
        {"headers": {"Expect": "100-continue"}},
        {"headers": {"Keep-Alive": "1"}},
        {"headers": {"Accept-Encoding": "gzip"}},
        {"headers": {"Proxy-Connection": "close"}},
        {"headers": {"X-HTTP-Method-Override": "DELETE"}},
        {"headers": {"X_Original_URL": "/admin"}},
        {"headers": {"a": "1", "A": "2"}},
        {"headers": {"": "x"}},
        {"headers": {"a b": "x"}},
        {"headers": {"a:": "x"}},
        {"headers": {"ä": "x"}},
        {"headers": {"a": "x\ny"}},
        {"headers": {"a": "x\0"}},
        {"headers": {"a": "\x85"}},
        {"headers": {"a": None}},
        {"headers": "a: b"},
        {"body": {"a": 1}},
        {"body": "x", "method": "GET"},
        {"body": "x", "base64": "eA=="},
        {"base64": "no base64!"},
        {"base64": 5},
        {"method": "CONNECT"},
        {"method": "GET / HTTP/1.1\r\nX: y\r\n"},
        {"method": None},
        {"url": None},
        {"url": "http://a.example:" + "9" * 5000},
        {"url": "http://" + "a." * 200 + "example/"},
        {"secrets": [1]},
        {"timeout": 5},
        {"proxy": "http://127.0.0.1:1"},
    ],
)
def test_a_request_that_is_not_for_programs_is_invalid_and_nothing_is_sent(serve: Any, asked: dict[str, Any]) -> None:
    server = serve(says(ok(b"")))
    asking, origin = client(server)
    request = {"method": "POST", "url": f"{origin}/v1/a", **asked}
    assert asking(request.pop("url"), **request).startswith("invalid: ")
    assert server.seen == []


@given(st.text(max_size=60))
def test_no_url_breaks_the_door(url: str) -> None:
    for whole in (url, f"http://{url}", f"http://api.example/{url}", f"http://api.example:{url}"):
        assert Client(resolver=lambda *_: [])(whole.encode("utf-8", "replace").decode()).split(":")[0] in (
            "invalid",
            "denied",
        )


def test_bytes_can_be_sent(serve: Any) -> None:
    server = serve(says(ok(b"")))
    asking, origin = client(server)
    asking(f"{origin}/v1/a", method="POST", base64=base64.b64encode(b"\xff\0").decode())
    assert server.seen[0].endswith(b"\r\n\r\n\xff\0")


def test_nothing_of_this_machine_goes_along(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine api.example login me password mine\ndefault login me password mine\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server = serve(says(ok(b"", "Set-Cookie: a=b")))
    asking, origin = client(server)
    for _ in range(2):
        assert asking(f"{origin}/v1/a")["headers"]["set-cookie"] == "a=b"
    for data in server.seen:
        lines = data.split(b"\r\n")
        assert lines[0] == b"GET /v1/a HTTP/1.1"
        assert sorted(lines[1:-2]) == [b"Accept-Encoding: identity", f"Host: api.example:{server.port}".encode()]


# Certificates


class Authority:
    """Makes certificates for names, signed by one root."""

    def __init__(self, folder: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._signed("Test root", self._key, None)
        self.trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.trusting.load_verify_locations(cadata=self._pem(self._root).decode())

    def server(self, name: str, *, days: int = 1) -> ssl.SSLContext:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self._folder / f"{name.replace(':', '_')}{days}.pem"
        path.write_bytes(private + self._pem(self._signed(name, key, name, days)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(self, common: str, key: Any, name: str | None, days: int = 1) -> Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

        now = datetime.datetime.now(datetime.UTC)
        usage = x509.KeyUsage(True, False, False, False, False, name is None, name is None, False, False)
        built = (
            x509.CertificateBuilder(named("Test root"), named(common), key.public_key(), x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=min(0, days) - 2))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=name is None, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if name is not None:
            one = x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
            built = built.add_extension(x509.SubjectAlternativeName([one]), critical=False)
        return built.sign(self._key, hashes.SHA256())

    def _pem(self, certificate: Any) -> bytes:
        from cryptography.hazmat.primitives import serialization

        pem: bytes = certificate.public_bytes(serialization.Encoding.PEM)
        return pem


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def over_tls(server: Scripted, tls: ssl.SSLContext | None, host: str = "api.example") -> Any:
    origin = f"https://{host}:{server.port}"
    return Client({"origin": origin, "methods": ["GET"]}, tls=tls)(f"{origin}/v1/a")


def test_the_certificate_is_checked_for_the_name_and_the_name_is_sent(serve: Any, authority: Authority) -> None:
    told: list[str | None] = []
    context = authority.server("api.example")
    context.sni_callback = lambda socket, name, context: told.append(name)
    server = serve(says(ok(b"hello")), context)
    assert over_tls(server, authority.trusting)["body"] == "hello"
    assert told == ["api.example"]
    assert f"Host: api.example:{server.port}".encode() in server.seen[0]


def test_the_certificate_of_an_address_is_checked_as_well(serve: Any, authority: Authority) -> None:
    server = serve(says(ok(b"hello")), authority.server("127.0.0.1"))
    assert over_tls(server, authority.trusting, "127.0.0.1")["body"] == "hello"


@pytest.mark.parametrize(("name", "days"), [("other.example", 1), ("127.0.0.1", 1), ("api.example", -1)])
def test_a_certificate_for_another_name_or_time_is_refused(
    serve: Any, authority: Authority, name: str, days: int
) -> None:
    server = serve(says(ok(b"hello")), authority.server(name, days=days))
    assert over_tls(server, authority.trusting).startswith("tls: api.example ")
    assert server.seen == []


def test_a_root_that_is_not_trusted_is_refused(serve: Any, authority: Authority) -> None:
    server = serve(says(ok(b"hello")), authority.server("api.example"))
    assert over_tls(server, None).startswith("tls: ")
    assert server.seen == []


def test_a_server_without_tls_is_no_https_server(serve: Any, authority: Authority) -> None:
    assert over_tls(serve(says(b"HTTP/1.1 200 OK\r\n\r\n")), authority.trusting).split(":")[0] == "tls"


def test_a_handshake_that_hangs_is_left_in_time(serve: Any, authority: Authority) -> None:
    server = serve(lambda connection, _: time.sleep(5))
    origin = f"https://api.example:{server.port}"
    began = time.monotonic()
    asking = Client({"origin": origin, "methods": ["GET"]}, tls=authority.trusting)
    assert asking(f"{origin}/", seconds=0.4).startswith("timeout: ")
    assert time.monotonic() - began < 4


# In a run

POSTS = """
import host

def run(input: dict) -> dict:
    try:
        return {"status": host.http_request(input["method"], input["url"], body=input.get("body"))["status"]}
    except host.Error as error:
        return {"refused": error.kind}
"""


def test_a_rehearsal_reads_and_sends_nothing_else(serve: Any, box: Box) -> None:
    server = serve(says(ok(b"")))
    asking, origin = client(server)
    runner = Runner(box, roots={}, policy=asking.permissions, limits=Limits(), http=asking.service)
    tried = capability(permissions=asking.permissions, effects="write")
    loaded = runner.load(tried, python.build(POSTS, box))

    def output(work: Callable[..., Any], method: str) -> Any:
        outcome = work(loaded, {"method": method, "url": f"{origin}/v1/a", "body": None if method == "GET" else "x"})
        assert isinstance(outcome, Ran), outcome
        return outcome.output

    assert output(runner.rehearse, "POST") == {"refused": "denied"}
    assert server.seen == []
    assert output(runner.rehearse, "GET") == output(runner.run, "POST") == {"status": 200}
    assert [data[:4] for data in server.seen] == [b"GET ", b"POST"]
