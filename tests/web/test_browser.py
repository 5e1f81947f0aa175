"""The pages in a real browser: by mouse and by keyboard, wide and narrow, light and dark, and for everybody.

Needs Chromium (`apt-get install chromium`); with CI set, ./test installs it.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from metier import Runtime
from metier.library import Library
from metier.testing import ScriptedModel
from tests.conftest import ECHO
from tests.mutation.test_draft import DRAFT
from tests.mutation.test_mutator import WRITING
from tests.test_mcp_server import CITY, publish
from tests.web.test_app import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PLAYWRIGHT = importlib.util.find_spec("axe_playwright_python") is not None
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.skipif(not PLAYWRIGHT, reason="pip install axe-playwright-python playwright"),
]
SCRIPT = "<script>document.title = 'gone'</script><img src=x onerror=\"document.title = 'gone'\">"
PAGES = [
    *("/", "/library", "/library/map", "/capabilities/echo_city", "/capabilities/echo_city/diff?from=1&to=2"),
    *("/runs", "RUN", "/approvals", "/approvals/double", "/health", "/nowhere"),
]
LOOKS = [(1280, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Site:
    """A server in this process, and what lies behind it."""

    def __init__(self, runtime: Runtime, address: str) -> None:
        self.runtime = runtime
        self.address = address
        self.run_id = ""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A library with a history: runs, a second version, a draft that waits, and scripts in all texts."""
    library = Library.create(tmp_path_factory.mktemp("site") / "capabilities")
    (library.path / "data").mkdir()
    (library.path / "data" / "rates.json").write_text("{}", encoding="utf-8")
    (library.path / "metier.toml").write_text(
        '[roots]\nhr = "data"\n[policy]\nfiles = [{ root = "hr", path = "**", access = "write" }]\n'
        '[policy.unasked]\nfiles = [{ root = "hr", path = "**", access = "read" }]\n',
        encoding="utf-8",
    )
    shown = [{"task": f"Where? {SCRIPT}", "input": {"city": SCRIPT}, "output": {"city": SCRIPT}}]
    schema = {"input_schema": CITY, "output_schema": CITY}
    publish(library, "echo_city", f"Returns the city. {SCRIPT}", ECHO, examples=shown, **schema)
    publish(library, "tell_weather", "Tells the weather.", ECHO)
    model = ScriptedModel(lambda request: {"content": f"It is done. {SCRIPT}"})
    with ExitStack() as stack:
        runtime = stack.enter_context(Runtime.open(library.path, model=model))
        runtime.lifecycle.roll_back("echo_city", 1, "a test")
        runtime.call("echo_city", {"city": SCRIPT})
        runtime.run_sync("Do something.")
        runtime.mutator().submit({**DRAFT, **WRITING}, None, "scripted:author", by_hand=True)
        client = stack.enter_context(serving(runtime))
        site = Site(runtime, f"{str(client.base_url).rstrip('/')}/ui")
        site.run_id = runtime.journal.recent(1)[0]["run_id"]
        yield site


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_can_be_used_by_everybody(browser: Browser, site: Site, width: int, scheme: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page, said = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme), list[str]()
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in PAGES:
        page.goto(site.address + path.replace("RUN", f"/runs/{site.run_id}"))
        if path == "/library":
            page.wait_for_selector(".atlas")
        found = Axe().run(page).response["violations"]
        assert not found, (path, json.dumps([(v["id"], [n["html"] for n in v["nodes"]]) for v in found], indent=1))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than {width}"
        assert page.title() != "gone", path
    assert [text for text in said if "404" not in text] == []
    page.close()


def test_an_empty_library_can_be_used_by_everybody(browser: Browser, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    library = Library.create(tmp_path / "capabilities")
    with Runtime.open(library.path) as runtime, serving(runtime, token="s3cret") as client:
        page = browser.new_page(extra_http_headers={"authorization": "Bearer s3cret"})
        for path in ("/", "/library", "/runs", "/approvals", "/health", "/sign-in"):
            page.goto(f"{str(client.base_url).rstrip('/')}/ui{path}")
            assert not Axe().run(page).response["violations"], path
        page.close()


def test_a_task_is_typed_and_its_answer_arrives(page: Page, site: Site) -> None:
    page.goto(site.address)
    page.wait_for_function("document.activeElement.name === 'task'")  # without a click
    page.keyboard.type("Do it again.")
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer")
    assert "It is done. <script>" in page.inner_text(".answer")
    assert page.url == f"{site.address}/"
    assert page.title() == "Solve · Metier"


def test_the_list_follows_what_is_typed_and_the_map_too(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/library")
    page.wait_for_selector(".atlas")
    page.fill("input[name=q]", "weather")
    page.wait_for_url("**/library?q=weather*")
    assert page.inner_text(".entries li:first-child h2") == "tell_weather"
    page.wait_for_selector(".atlas")
    page.select_option("select[name=status]", "active")
    page.wait_for_url("**status=active*")
    page.click(".entries li:first-child a")
    page.wait_for_url("**/capabilities/tell_weather")
    assert page.inner_text("h1") == "tell_weather"


def test_a_capability_is_run_and_the_run_replayed_by_keyboard(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/capabilities/echo_city")
    page.wait_for_load_state()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.fill("input[name='input.city']", "Oslo")
    page.keyboard.press("Enter")
    page.wait_for_selector("#outcome pre")
    assert json.loads(page.inner_text("#outcome pre")) == {"city": "Oslo"}
    page.click("#outcome a")
    page.get_by_role("button", name="Replay").press("Enter")
    assert "the same in every byte" in page.inner_text(".verdict")


def test_a_person_signs_in_and_approves_a_draft(browser: Browser, site: Site) -> None:
    with serving(site.runtime, token="s3cret") as client:
        page = browser.new_page()
        page.goto(f"{str(client.base_url).rstrip('/')}/ui/approvals/double")
        page.wait_for_function("document.activeElement.name === 'token'")
        page.keyboard.type("s3cret")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Approvals").click()
        page.get_by_role("link", name="double").click()
        page.get_by_role("button", name="Approve").click()
        assert "Approved and published" in page.inner_text("[role=status]")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        assert page.inner_text("h1") == "Sign in"
        page.close()
    assert site.runtime.library.get("double").live
