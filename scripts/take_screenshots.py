"""Takes the pictures in docs/images of the pages in the browser: the worked example after three weeks of use.

    python scripts/take_screenshots.py [--keep DIR]

The weeks are lived through in a minute: real runs in a copy of the example, with a script in the model's place and the
clock set on. Needs Chromium (`apt-get install chromium`) and `pip install playwright pillow`. With --keep, the library
stays in DIR to be looked at with `metier serve`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.test_worked_example import DRAFT, TASK, TESTS, handed_in, submitted

from metier import Runtime
from metier.capability import contract_json
from metier.errors import MetierError
from metier.library import source_text
from metier.testing import ScriptedModel
from metier.web.server import listen, make_server

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
DAYS = 21
CONVERTED = DRAFT["id"]
PEOPLE = ("John", "Kenji", "Priya", "Ingrid", "Amara", "Camille", "Lucas", "Olivia")
TASKS = {
    "What does {} earn?": "get_salary_details",
    "Which car does {} drive?": "get_car_details",
    "How much leave has {} left?": "get_leave_balance",
    "Who is {}?": "get_employee_profile",
    "What bonus can {} get?": "get_salary_details",
}
SENTENCES = {
    "salary": "{name} earns {salary} {currency} a year.",
    "plate": "{name} drives a {make} {model}.",
    "remaining_days": "{name} has {remaining_days} days left.",
    "title": "{name} is {title} in {department}.",
}
SHOTS = {
    "solve": ("/", 1280, "light"),
    "library": ("/library", 1280, "light"),
    "capability": (f"/capabilities/{CONVERTED}", 1280, "light"),
    "changes": (f"/capabilities/{CONVERTED}/diff?from=1&to=2", 1280, "dark"),
    "runs": ("/runs", 1280, "light"),
    "approval": ("/approvals/raise_salary", 1280, "light"),
    "health": ("/health", 1280, "dark"),
}
MAX_HEIGHT = 1400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path)
    keep = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as folder:
        path = (keep or Path(folder)) / "company"
        shutil.copytree(ROOT / "examples" / "hr", path)
        with Runtime.open(path, model=ScriptedModel(answer_as_a_model, name="openai:gpt-5")) as runtime:
            live_through(runtime)
            with serving(runtime) as address:
                take(address)


def answer_as_a_model(request: dict[str, Any]) -> dict[str, Any]:
    """What a model would say: it runs what the task is about, has the conversion written, and then answers."""
    messages, tools = request["messages"], {tool["function"]["name"] for tool in request["tools"]}
    usage = {"prompt_tokens": 1400 + 3 * len(json.dumps(messages)) // 10, "completion_tokens": 60}
    if "submit_capability" in tools:
        return {**submitted(), "usage": usage}
    if "submit_tests" in tools:
        return {**handed_in(TESTS), "usage": usage}
    task = next(m["content"] for m in messages if m["role"] == "user")
    said = [m for m in messages if m["role"] == "tool"]
    if CONVERTED in json.dumps(messages) and "GBP" in task and said:
        return (
            {**called("run_capability", capability_id=CONVERTED, input={"name": "John", "currency": "GBP"})}
            if ("67150" not in said[-1]["content"])
            else {"content": "John earns 67150 GBP a year.", "usage": usage}
        )
    if "GBP" in task:
        order = {"task_description": "Convert a salary into another currency.", "parent_capability_id": TASKS[FIRST]}
        return {**called("mutate_capability", **order), "usage": usage}
    if said:
        return {"content": sentence(said[-1]["content"]), "usage": usage}
    for words, id in TASKS.items():
        person = next((p for p in PEOPLE if words.format(p) in task), None)
        if person is not None:
            return {**called("run_capability", capability_id=id, input={"name": person}), "usage": usage}
    return {"content": "There is nothing that I could say to that.", "usage": usage}


def sentence(told: str) -> str:
    """An answer out of what a run returned."""
    found = re.search(r"\{.*\}", told, re.DOTALL)
    with suppress(ValueError, KeyError):
        output = json.loads(found[0]) if found else {}
        output |= output.pop("car", None) or {}
        said = (words.format(**output) for key, words in SENTENCES.items() if key in output)
        return next(said, NOTHING)
    return NOTHING


FIRST = next(iter(TASKS))
NOTHING = "That cannot be said."


def called(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def live_through(runtime: Runtime) -> None:
    """Three weeks: ever more tasks, ever more of them known; a capability that is written, and a draft that waits."""
    chance, begin, clock = random.Random(7), time.time() - DAYS * 86_400, time.time
    try:
        for day in range(DAYS):
            for number in range(chance.randint(2, 4 + day // 2)):
                at = begin + day * 86_400 + 3_000 * number
                time.time = lambda at=at: at  # type: ignore[misc]
                words, person = chance.choice(list(TASKS)), chance.choice(PEOPLE)
                with suppress(MetierError):
                    runtime.run_sync(words.format(person))
            if day == DAYS // 2:
                runtime.run_sync(TASK)
                improve(runtime)
            if day % 6 == 4:
                with suppress(MetierError):
                    runtime.call("get_car_details", {"name": "Nobody"})
    finally:
        time.time = clock  # type: ignore[misc]
    wait(runtime)


def improve(runtime: Runtime) -> None:
    """A second version of what was written, by a person."""
    parent = runtime.library.load(CONVERTED)
    fields = {k: v for k, v in contract_json(parent.capability).items() if k in DRAFT}
    source = source_text(parent.source).replace("no rate for", "there is no rate for")
    runtime.mutator().submit({**fields, "source": source}, parent, "ada", by_hand=True)


def wait(runtime: Runtime) -> None:
    """A draft that asks to write, and so waits for a person."""
    parent = runtime.library.load("update_employee_salary")
    contract = contract_json(parent.capability)
    schema = json.loads(json.dumps(contract["input_schema"]))
    schema["properties"]["percent"] = {"type": "number", "description": "By how many percent", "minimum": 0.1}
    for name in ("new_salary", "currency"):
        del schema["properties"][name]
    source = source_text(parent.source)
    for old, new in (
        ('"""Set an employee\'s salary."""', '"""Raise an employee\'s salary by a percentage."""'),
        ('whole(input["new_salary"])', 'whole(round(row["salary"] * (1 + input["percent"] / 100), 2))'),
        ('    row["currency"] = input.get("currency", row["currency"])\n', ""),
    ):
        source = source.replace(old, new)
    examples = [
        {
            "task": "Raise John's salary by 4 percent",
            "input": {"name": "John", "percent": 4},
            "output": {
                "employee_id": "EMP001",
                "name": "John Smith",
                "pay_period": "year",
                "before": {"salary": 85000, "currency": "USD"},
                "after": {"salary": 88400, "currency": "USD"},
            },
        },
        {
            "task": "Give Nobody 3 percent more",
            "input": {"name": "Nobody", "percent": 3},
            "error": {"kind": "not_found"},
        },
    ]
    fields = {
        "id": "raise_salary",
        "summary": "Raise one employee's salary by a percentage; writes the change, returns salary before and after.",
        "input_schema": schema,
        "output_schema": contract["output_schema"],
        "effects": "write",
        "permissions": contract["permissions"],
        "examples": examples,
        "source": source,
    }
    outcome = runtime.mutator().submit(fields, parent, "openai:gpt-5", by_hand=True)
    print(f"raise_salary: {type(outcome).__name__}", getattr(outcome, "findings", ""), file=sys.stderr)


@contextmanager
def serving(runtime: Runtime) -> Iterator[str]:
    with listen("127.0.0.1", 0, token=None) as listening:
        server = make_server(runtime, listening)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/ui"
        finally:
            server.should_exit = True
            thread.join()


def take(address: str) -> None:
    """Writes the pictures."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (path, width, scheme) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(address + path, wait_until="networkidle")
            if name == "solve":
                page.fill("textarea", "What's John's salary?")
                page.keyboard.press("Enter")
                page.wait_for_selector(".answer")
            shot = Path(folder) / f"{name}.png"
            page.screenshot(path=shot, full_page=True)
            with Image.open(shot) as image:
                cut = image.crop((0, 0, image.width, min(image.height, MAX_HEIGHT)))
                cut.resize((image.width * 3 // 4, cut.height * 3 // 4)).save(IMAGES / f"{name}.webp", quality=80)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
