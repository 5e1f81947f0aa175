"""The pages, over HTTP as a browser gets them: what they show, what they change, and what they never do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest

from metier import Runtime
from metier.library import Library
from tests.conftest import ECHO, says, wat
from tests.test_mcp_server import CITY, publish
from tests.web.test_app import serving

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create(tmp_path / "capabilities")
    shown = [{"task": f"Where? {IMAGE}", "input": {"city": SCRIPT}, "output": {"city": SCRIPT}}]
    publish(library, "echo_city", "Returns the city.", ECHO, input_schema=CITY, output_schema=CITY, examples=shown)
    publish(library, "speak", f"Says {SCRIPT} {IMAGE}", says(f'{{"html": "{SCRIPT}"}}'))
    publish(library, "complain", "Complains.", says(stderr=f'{{"error": "{SCRIPT}", "kind": "{SCRIPT}"}}', status=1))
    publish(library, "abort", "Aborts.", wat('(func (export "_start") unreachable)'))
    return library


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


@pytest.fixture
def client(runtime: Runtime) -> Iterator[httpx2.Client]:
    with serving(runtime) as client:
        yield client


def page(client: httpx2.Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8"), path
    return response.text


def send(client: httpx2.Client, path: str, fields: dict[str, Any], *, origin: str | None = "") -> httpx2.Response:
    """A form as our own page sends it; with another `origin`, or with None, as somebody else would."""
    token = re.search(r'name="form-token" content="([0-9a-f]+)"', page(client, "/ui/library"))
    assert token is not None
    headers = {"origin": str(client.base_url).rstrip("/") if origin == "" else origin} if origin is not None else {}
    return client.post(path, data={"form_token": token[1], **fields}, headers=headers)


# Looking


def test_a_browser_is_led_from_the_root_to_the_pages_and_a_program_is_not(client: httpx2.Client) -> None:
    led = client.get("/", headers={"accept": "text/html,*/*"})
    assert (led.status_code, led.headers["location"]) == (303, "/ui/")
    assert client.get("/").json()["name"] == "metier"


def test_the_library_is_listed_searched_and_narrowed(client: httpx2.Client) -> None:
    assert re.findall(r"<h2><a [^>]*>(\w+)</a>", page(client, "/ui/library")) == [
        "abort",
        "complain",
        "echo_city",
        "speak",
    ]
    found = re.findall(r"<h2><a [^>]*>(\w+)</a>", page(client, "/ui/library?q=which+city"))
    assert found[0] == "echo_city"
    assert "Nothing fits" in page(client, "/ui/library?status=retired")
    assert "status is one of" in page(client, "/ui/library?status=wild", 400)


def test_the_map_has_every_live_capability_at_one_place_that_stays(client: httpx2.Client, runtime: Runtime) -> None:
    places = client.get("/ui/library/places").json()
    assert [place[0] for place in places] == ["abort", "complain", "echo_city", "speak"]
    assert client.get("/ui/library/places").json() == places
    picture = page(client, "/ui/library/map?picture=1")
    assert all(f"M{x} {y}h0" in picture for _, x, y, _ in places)
    runtime.lifecycle.set_status("abort", "retired", "by a test")
    assert [place[0] for place in client.get("/ui/library/places").json()] == ["complain", "echo_city", "speak"]


def test_an_empty_library_says_how_to_begin(tmp_path: Path) -> None:
    library = Library.create(tmp_path / "capabilities")
    with Runtime.open(library.path) as runtime, serving(runtime) as client:
        assert "Nothing here yet" in page(client, "/ui/library")
        assert page(client, "/ui/library/map?picture=1").strip() == ""
        assert "Nothing ran yet" in page(client, "/ui/runs")


def test_what_is_not_there_is_a_page_that_says_so(client: httpx2.Client) -> None:
    assert "no capability" in page(client, "/ui/capabilities/nobody", 404)
    assert "no such page" in page(client, "/ui/nowhere", 404)
    assert "has no version 9" in page(client, "/ui/capabilities/speak?version=9", 404)
    assert "no such run" in page(client, "/ui/runs/0123", 404)


# Changing


def test_a_run_from_the_page_shows_its_output_and_is_in_the_journal(client: httpx2.Client, runtime: Runtime) -> None:
    shown = send(client, "/ui/capabilities/echo_city/run", {"input.city": "Ås"}).text
    assert "&#34;city&#34;: &#34;Ås&#34;" in shown
    (run,) = runtime.journal.recent(capability="echo_city")
    assert (run["input"], run["output"]) == ({"city": "Ås"}, {"city": "Ås"})
    assert run["run_id"] in page(client, "/ui/runs")
    again = send(client, f"/ui/runs/{run['run_id']}/replay", {}).text
    assert "the same in every byte" in again


def test_a_failed_run_says_why_and_can_be_found_among_the_failed(client: httpx2.Client) -> None:
    assert "<strong>trap</strong>" in send(client, "/ui/capabilities/abort/run", {"input": "{}"}).text
    assert "capabilities/abort" in page(client, "/ui/runs?outcome=failed")
    assert "No run fits" in page(client, "/ui/runs?outcome=ran")


def test_older_runs_are_on_further_pages(client: httpx2.Client, runtime: Runtime) -> None:
    for number in range(60):
        runtime.call("echo_city", {"city": str(number)})
    first = page(client, "/ui/runs")
    older = re.search(r'href="(\?[^"]*before=[0-9a-f]+)"', first)
    assert older is not None
    second = page(client, f"/ui/runs{unescape(older[1])}")
    shown = [re.findall(r"/ui/runs/([0-9a-f]+)", text) for text in (first, second)]
    assert [len(ids) for ids in shown] == [50, 10]
    assert not set(shown[0]) & set(shown[1])


def test_a_person_pins_retires_restores_and_rolls_back(client: httpx2.Client, runtime: Runtime) -> None:
    path, library = "/ui/capabilities/speak/change", runtime.library
    for change, field, value in [
        ("pin", "pinned", True),
        ("unpin", "pinned", None),
        ("retire", "status", "retired"),
        ("restore", "status", "active"),
    ]:
        response = send(client, path, {"change": change})
        assert response.status_code == 303, response.text
        assert getattr(library.get("speak"), field) == value
        assert 'role="status"' in page(client, response.headers["location"])
    assert send(client, path, {"change": "roll_back", "version": "1"}).status_code == 303
    assert library.get("speak").version == 2
    assert "say the same" in page(client, "/ui/capabilities/speak/diff?from=1&to=2")
    assert send(client, path, {"change": "publish"}).status_code == 400


def test_examples_are_checked_once_more(client: httpx2.Client) -> None:
    assert '<p class="holds">' in send(client, "/ui/capabilities/echo_city/examples", {}).text


# What never happens


def test_nothing_that_a_capability_says_is_markup(client: httpx2.Client, runtime: Runtime) -> None:
    for id in ("speak", "complain", "echo_city"):
        send(client, f"/ui/capabilities/{id}/run", {"input": "{}", "input.city": SCRIPT})
    paths = ["library", f"library?q={SCRIPT}", f"library?q={IMAGE}", "library/map", "library/map?picture=1", "runs"]
    paths += [f"runs?capability={SCRIPT}", f"capabilities/{SCRIPT}", f"runs/{SCRIPT}"]
    paths += [f"capabilities/{id}" for id in ("speak", "complain", "echo_city")]
    paths += [f"runs/{run['run_id']}" for run in runtime.journal.recent()]
    seen = ""
    for path in paths:
        response = client.get(f"/ui/{path}")
        scripts = re.findall(r"<script[^>]*>", response.text)
        assert all(re.fullmatch(r'<script type="module" src="/ui/static/\w+\.js">', tag) for tag in scripts), path
        assert "<img" not in response.text, path
        assert "style=" not in re.sub(r">[^<]*<", "><", response.text), path
        seen += response.text
    assert seen.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 8


def test_pages_run_scripts_and_styles_of_their_own_only(client: httpx2.Client) -> None:
    for path in ("/ui/library", "/ui/static/live.js", "/ui/nowhere"):
        policy = client.get(path).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
def test_a_form_from_elsewhere_changes_nothing(client: httpx2.Client, runtime: Runtime, origin: str | None) -> None:
    response = send(client, "/ui/capabilities/speak/change", {"change": "retire"}, origin=origin)
    assert response.status_code == 403
    assert runtime.library.get("speak").live


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_form_without_the_token_of_this_server_changes_nothing(
    client: httpx2.Client, runtime: Runtime, token: str
) -> None:
    response = send(client, "/ui/capabilities/speak/change", {"change": "retire", "form_token": token})
    assert response.status_code == 403
    assert runtime.library.get("speak").live


def test_looking_changes_nothing(client: httpx2.Client, runtime: Runtime) -> None:
    assert client.get("/ui/capabilities/speak/change?change=retire").status_code == 405
    assert runtime.library.get("speak").live


# Signing in


def test_with_a_token_a_browser_signs_in_and_out(runtime: Runtime) -> None:
    with serving(runtime, token="s3cret-token") as client:
        assert client.get("/ui/library").headers["location"] == "/ui/sign-in"
        form = page(client, "/ui/sign-in")
        assert runtime.library.path.name not in form + page(client, "/ui/static/nowhere", 404)
        token = re.search(r'name="form_token" value="([0-9a-f]+)"', form)
        assert token is not None
        origin = {"origin": str(client.base_url).rstrip("/")}

        def sign_in(said: str) -> httpx2.Response:
            return client.post("/ui/sign-in", data={"form_token": token[1], "token": said}, headers=origin)

        assert sign_in("wrong").status_code == 403
        assert client.get("/ui/library").status_code == 303
        cookie = sign_in("s3cret-token").headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/ui" in cookie
        assert "s3cret" not in cookie
        assert "echo_city" in page(client, "/ui/library")
        session = client.cookies["metier_session"]
        api = client.get("/capabilities", headers={"cookie": f"metier_session={session}"})
        assert api.status_code == 401  # no cookie opens the API
        assert send(client, "/ui/sign-out", {}).status_code == 303
        assert client.get("/ui/library").status_code == 303


@pytest.mark.parametrize("session", ["", "9999999999.00.11", "9999999999..", "x", "é", "metier"])
def test_a_session_that_was_not_begun_here_opens_nothing(runtime: Runtime, session: str) -> None:
    with serving(runtime, token="s3cret-token") as client:
        cookie = f"metier_session={session}".encode()
        assert client.get("/ui/library", headers={b"cookie": cookie}).status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        *("/ui/", "/ui/library", "/ui//library", "/ui/./library", "/ui/static/..%2flibrary"),
        *("/ui/static/%2e%2e/library", "/ui/sign-in/../library", "/ui/sign-in%2f..%2flibrary"),
        *("/ui/runs?x=/ui/static/", "/ui/static/../site.py", "/ui/static/%2e%2e/site.py"),
    ],
)
def test_no_way_of_writing_an_address_gets_past_the_sign_in(runtime: Runtime, path: str) -> None:
    with serving(runtime, token="s3cret-token") as client:
        url = client.base_url.copy_with(raw_path=path.encode())
        response = client.get(url)
        assert response.status_code in (303, 404), path
        assert "echo_city" not in response.text and "import" not in response.text


def test_what_a_token_opens_is_shown_by_no_page(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-s3cret-key")
    with serving(runtime, token="s3cret-token") as client:
        client.headers["authorization"] = "Bearer s3cret-token"
        send(client, "/ui/capabilities/echo_city/run", {"input.city": "Oslo"})
        (run,) = runtime.journal.recent(1)
        for path in ("", "library", "capabilities/echo_city", "runs", f"runs/{run['run_id']}", "health", "nowhere"):
            assert "s3cret" not in client.get(f"/ui/{path}").text, path


def test_the_token_in_the_header_opens_the_pages_too(runtime: Runtime) -> None:
    with serving(runtime, token="s3cret-token") as client:
        assert client.get("/ui/library", headers={"authorization": "Bearer s3cret-token"}).status_code == 200
