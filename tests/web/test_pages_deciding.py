"""Solving, deciding and looking at figures in the browser, over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from html import unescape
from typing import Any

import httpx2
import pytest

from metier import Runtime
from metier.capability import contract_json
from metier.library import Library
from metier.testing import ScriptedModel
from tests.mutation.test_draft import DRAFT
from tests.mutation.test_mutator import WRITING, library
from tests.web.test_app import serving
from tests.web.test_pages import IMAGE, SCRIPT, page, send

__all__ = ["library"]


@pytest.fixture
def runtime(library: Library) -> Iterator[Runtime]:
    with Runtime.open(library.path) as runtime:
        yield runtime


@pytest.fixture
def client(runtime: Runtime) -> Iterator[httpx2.Client]:
    with serving(runtime) as client:
        yield client


def wait(runtime: Runtime, **changes: Any) -> None:
    """Has a draft wait for a person."""
    runtime.mutator().submit({**DRAFT, **WRITING, **changes}, None, "scripted:author", by_hand=True)
    assert [waiting.id for waiting in runtime.pending().all()] == ["double"]


def seen(client: httpx2.Client) -> str:
    found = re.search(r'name="seen" value="([0-9a-f]+)"', page(client, "/ui/approvals/double"))
    assert found is not None
    return found[1]


# Deciding


def test_a_draft_is_shown_with_what_it_asks_for_and_approved(client: httpx2.Client, runtime: Runtime) -> None:
    wait(runtime)
    assert "write hr/rates.json" in page(client, "/ui/approvals")
    shown = page(client, "/ui/approvals/double")
    assert re.search(r'<li class="more">write hr/rates.json', shown)
    assert "rates.json" in re.sub(r"<[^>]+>", "", shown.split("<h2>Source</h2>")[1])
    answer = send(client, "/ui/approvals/double", {"seen": seen(client), "decision": "approve"})
    assert answer.headers["location"] == "/ui/capabilities/double?done=approved"
    assert runtime.call("double", {"n": 4}) == {"twice": 8}
    assert "Nothing waits" in page(client, "/ui/approvals")


def test_a_draft_is_rejected(client: httpx2.Client, runtime: Runtime) -> None:
    wait(runtime)
    assert send(client, "/ui/approvals/double", {"seen": seen(client), "decision": "reject"}).status_code == 303
    assert runtime.pending().all() == []
    assert runtime.library.capabilities() == []


def test_what_took_the_place_of_the_draft_that_was_seen_is_not_approved(
    client: httpx2.Client, runtime: Runtime
) -> None:
    wait(runtime)
    before = seen(client)
    wait(runtime, source=WRITING["source"].replace("2 * ", "1 * 2 * "))
    assert send(client, "/ui/approvals/double", {"seen": before, "decision": "approve"}).status_code == 409
    assert runtime.library.capabilities() == []


def test_a_modified_draft_goes_through_the_gates_again(client: httpx2.Client, runtime: Runtime) -> None:
    wait(runtime)
    contract = contract_json(runtime.pending().get("double").release.contract)
    del contract["id"], contract["language"]
    wrong = WRITING["source"].replace("2 * ", "3 * ")
    refused = send(
        client,
        "/ui/approvals/double/modify",
        {"seen": seen(client), "source": wrong, "contract": json.dumps(contract)},
    )
    assert refused.status_code == 409
    assert "3 * input" in refused.text  # what was written is not lost
    assert runtime.pending().get("double").release.source["capability.py"] != wrong.encode()
    modest = {**contract, "effects": "pure", "permissions": {}, "examples": DRAFT["examples"]}
    kept = send(
        client,
        "/ui/approvals/double/modify",
        {"seen": seen(client), "source": DRAFT["source"], "contract": json.dumps(modest)},
    )
    assert kept.headers["location"] == "/ui/capabilities/double?done=approved"
    assert runtime.library.get("double").permissions.sentences() == []
    assert runtime.pending().all() == []


def test_nothing_in_a_draft_is_markup(client: httpx2.Client, runtime: Runtime) -> None:
    source = f"# {SCRIPT}\n{WRITING['source']}"
    examples = [{**example, "task": IMAGE} for example in WRITING["examples"]]
    wait(runtime, summary=f"Doubles. {SCRIPT}", source=source, examples=examples)
    for path in ("/ui/approvals", "/ui/approvals/double"):
        text = page(client, path)
        assert "<script>" not in text and "<img" not in text
        assert "&lt;script&gt;" in text


def test_a_source_reads_as_it_runs(client: httpx2.Client, runtime: Runtime) -> None:
    source = f"# \u202e esrever \u2066 \u200b\u00ad\n{WRITING['source']}"
    wait(runtime, summary="Doubles. \u202eylsuoires", source=source)
    text = unescape(page(client, "/ui/approvals/double"))
    assert "\\u202e esrever \\u2066 \\u200b\\u00ad" in text
    assert "\\u202eylsuoires" in text
    assert not set(text) & set("\u202e\u2066\u200b\u00ad")


# Solving


def replies(*texts: str) -> ScriptedModel:
    return ScriptedModel([{"content": text} for text in texts])


def test_a_task_is_watched_step_by_step(library: Library) -> None:
    with Runtime.open(library.path, model=replies(f"It is done. {SCRIPT}")) as runtime, serving(runtime) as client:
        form = page(client, "/ui/")
        token = re.search(r'name="form_token" value="([0-9a-f]+)"', form)
        assert token is not None
        headers = {"origin": str(client.base_url).rstrip("/"), "accept": "text/event-stream"}
        answer = client.post("/ui/solve", data={"form_token": token[1], "task": f"Do it {IMAGE}"}, headers=headers)
        assert answer.headers["content-type"].startswith("text/event-stream")
        steps = answer.text.strip().split("\n\n")
        assert all(step.startswith("event: step\ndata: <li") for step in steps)
        assert "nothing near" in steps[0]
        assert "It is done. &lt;script&gt;" in steps[-1]
        assert "<script" not in answer.text and "<img" not in answer.text


def test_whoever_leaves_ends_the_task(library: Library) -> None:
    asked = threading.Event()
    ended = threading.Event()

    class Thinking(ScriptedModel):
        async def ask(self, conversation: Any, tools: Any = ()) -> Any:
            asked.set()
            try:
                return await asyncio.Event().wait()
            finally:
                ended.set()

    with Runtime.open(library.path, model=Thinking([])) as runtime, serving(runtime) as client:
        token = re.search(r'name="form_token" value="([0-9a-f]+)"', page(client, "/ui/"))
        assert token is not None
        headers = {"origin": str(client.base_url).rstrip("/"), "accept": "text/event-stream"}
        with client.stream("POST", "/ui/solve", data={"form_token": token[1], "task": "Do it"}, headers=headers) as got:
            assert next(got.iter_lines()) == "event: step"
            assert asked.wait(30)
        assert ended.wait(30)


def test_without_scripts_the_page_comes_back_with_all_steps(library: Library) -> None:
    with Runtime.open(library.path, model=replies("It is done.")) as runtime, serving(runtime) as client:
        text = send(client, "/ui/solve", {"task": "Do it"}).text
        assert '<p class="answer">It is done.</p>' in text
        assert ">Do it</textarea>" in text


def test_a_task_that_cannot_be_solved_says_why(client: httpx2.Client) -> None:
    assert "no model is set" in send(client, "/ui/solve", {"task": "Do it"}).text
    assert "the task is empty" in send(client, "/ui/solve", {"task": " "}).text


def test_what_memory_saved_is_told(library: Library) -> None:
    run = {"tool_calls": [{"name": "run_capability", "arguments": {"capability_id": "double", "input": {"n": 21}}}]}
    model = ScriptedModel([run, {"content": "Twice 21 is 42."}])
    with Runtime.open(library.path, model=model) as runtime, serving(runtime) as client:
        runtime.mutator().submit(DRAFT, None, "hand", by_hand=True)
        assert "Asked <code>scripted</code>" in send(client, "/ui/solve", {"task": "What is twice 21?"}).text
        again = send(client, "/ui/solve", {"task": "What is twice 21?"}).text
        assert "Solved before" in again
        assert "2.0 calls" in again  # what it costs without memory
        health = page(client, "/ui/health")
        assert re.search(r'Model calls saved</dt><dd class="large">2<', health)
        assert re.search(r'From memory</dt><dd class="large">50', health)
        assert health.count("<svg") >= 4


# Figures


def test_an_empty_library_has_figures_too(client: httpx2.Client) -> None:
    text = page(client, "/ui/health")
    assert re.search(r'Live capabilities</dt><dd class="large">0<', text)
    assert "<svg" not in text
    assert page(client, "/ui/health?days=7")
    assert "days is one of" in page(client, "/ui/health?days=8", 400)
