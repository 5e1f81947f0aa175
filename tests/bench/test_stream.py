"""A small stream, of tasks that were made up for it: its model, its judge, and what memory makes of two days."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from bench.stream import sparkline
from bench.workbench import baselines, calendar_tasks, dataset, mail_tasks, visit_tasks
from bench.workbench.play import Solved, make_library, play, shuffled
from bench.workbench.scenario import Family, Scenario, Task, Wordings, as_csv

COLUMNS = ("item", "shelf", "amount")
STOCK = [("saffron", "A", "40"), ("cumin", "B", "25"), ("clove", "B", "7"), ("mace", "C", "3"), ("sumac", "D", "18")]
PROGRAM = """
import csv

import host

STOCK = "/shop/stock.csv"


def load():
    with open(STOCK, newline="") as file:
        return list(csv.DictReader(file))


def find(rows, item):
    row = next((r for r in rows if r["item"] == item.casefold()), None)
    if row is None:
        raise host.Error(f"there is no {item}", kind="not_found")
    return row


def save(rows):
    with open(STOCK, "w", newline="") as file:
        table = csv.DictWriter(file, ["item", "shelf", "amount"], lineterminator="\\n")
        table.writeheader()
        table.writerows(rows)
"""
ADD = """
def run(input: dict) -> dict:
    rows = load()
    row = find(rows, input["item"])
    row["amount"] = str(int(row["amount"]) + input["amount"])
    save(rows)
    return {"item": row["item"], "amount": int(row["amount"])}
"""
MOVE = """
def run(input: dict) -> dict:
    rows = load()
    row = find(rows, input["item"])
    row["shelf"] = input["shelf"]
    save(rows)
    return {"item": row["item"], "shelf": row["shelf"]}
"""
COUNT = """
def run(input: dict) -> dict:
    row = find(load(), input["item"])
    return {"item": row["item"], "amount": int(row["amount"])}
"""
ITEM = {"type": "string", "minLength": 1, "maxLength": 60}
SHELF = {"enum": ["A", "B", "C", "D", "E"]}
AMOUNT = {"type": "integer", "minimum": 1, "maximum": 1000}


def stock(**changes: tuple[str, str]) -> str:
    return as_csv(COLUMNS, [(item, *changes.get(item, rest)) for item, *rest in STOCK])


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def draft(
    id: str, summary: str, own: str, input: Any, output: Any, access: str, examples: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "id": id,
        "summary": summary,
        "language": "python",
        "source": PROGRAM + "\n" + own,
        "input_schema": record(**input),
        "output_schema": record(**output),
        "effects": access,
        "permissions": {"files": [{"root": "shop", "path": "stock.csv", "access": access}]},
        "fixtures": {"shop/stock.csv": stock()},
        "examples": [*examples, {"input": {**examples[0]["input"], "item": "tar"}, "error": {"kind": "not_found"}}],
    }


FAMILIES = [
    Family(
        "add",
        draft(
            "add_to_stock",
            "Adds an amount of an item to the stock, and returns how much there is now.",
            ADD,
            {"item": ITEM, "amount": AMOUNT},
            {"item": ITEM, "amount": AMOUNT},
            "write",
            [
                {
                    "input": {"item": "mace", "amount": 4},
                    "output": {"item": "mace", "amount": 7},
                    "after": {"shop/stock.csv": stock(mace=("C", "7"))},
                }
            ],
        ),
        lambda output: f"There are {output['amount']} of {output['item']} now.",
    ),
    Family(
        "move",
        draft(
            "move_to_shelf",
            "Moves an item to another shelf, and returns where it is.",
            MOVE,
            {"item": ITEM, "shelf": SHELF},
            {"item": ITEM, "shelf": SHELF},
            "write",
            [
                {
                    "input": {"item": "mace", "shelf": "E"},
                    "output": {"item": "mace", "shelf": "E"},
                    "after": {"shop/stock.csv": stock(mace=("E", "3"))},
                }
            ],
        ),
        lambda output: f"{output['item']} is on shelf {output['shelf']}.",
    ),
    Family(
        "count",
        draft(
            "count_item",
            "Returns how much of an item the stock has.",
            COUNT,
            {"item": ITEM},
            {"item": ITEM, "amount": AMOUNT},
            "read",
            [{"input": {"item": "clove"}, "output": {"item": "clove", "amount": 7}}],
        ),
        lambda output: f"There are {output['amount']} of {output['item']}.",
    ),
]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    files = {"stock.csv": stock()}
    bare = Scenario("shop", files, {}, {family.name: family for family in FAMILIES}, (), datetime(2024, 3, 1))
    tasks = []
    for number, (item, shelf, amount) in enumerate(STOCK, start=3):
        added, moved = (shelf, str(int(amount) + number)), ("E", amount)
        for family, text, arguments, change in (
            ("add", f"Add {number} of {item} to the stock", {"item": item, "amount": number}, {item: added}),
            ("move", f"Please move {item} to shelf E", {"item": item, "shelf": "E"}, {item: moved}),
            ("count", f"How much {item} do we have?", {"item": item}, {}),
        ):
            expected = bare.state_of({"stock.csv": stock(**change)})
            tasks.append(Task(text, family, text, "shop", arguments, expected))
    return Scenario("shop", files, {}, bare.families, tasks, bare.now)


@pytest.fixture(scope="module")
def days(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> list[list[Solved]]:
    library = make_library(tmp_path_factory.mktemp("stream") / "library", scenario)
    with (library / "metier.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n[recall]\nshadow = 0\n")  # or chance would send a task to the model to check it
    return [play(library, scenario, shuffled(scenario.tasks, 1, day)) for day in (1, 2)]


def test_every_task_comes_out_right_whoever_answers_it(days: list[list[Solved]]) -> None:
    assert [solved for day in days for solved in day if not solved.right or solved.route == "failed"] == []


def test_a_model_writes_each_capability_once_and_is_not_asked_on_the_second_day(days: list[list[Solved]]) -> None:
    first, second = days
    for family in FAMILIES:
        met = [solved for solved in first if solved.family == family.name]
        assert met[0].route == "model"
        assert [solved.model_calls for solved in met if solved.model_calls > 2] == [4]  # it says, writes, runs, answers
    assert {solved.route for solved in second} == {"recall"}
    assert sum(solved.model_calls for solved in second) == 0


def test_tasks_of_a_kind_need_no_model_once_two_of_them_were_solved(days: list[list[Solved]]) -> None:
    for family in FAMILIES:
        met = [solved for solved in days[0] if solved.family == family.name]
        assert [solved.route for solved in met] == ["model", "model", "recall", "recall", "recall"]


def test_the_second_day_calls_what_the_first_one_did(days: list[list[Solved]]) -> None:
    first, second = ({solved.task: (solved.capability, solved.input, solved.answer) for solved in day} for day in days)
    assert first == second


def test_what_caches_serve_wrongly_is_counted(scenario: Scenario) -> None:
    """The nearest of three families is often the right one, and its arguments are those of another task."""
    known = {baselines.call_of(scenario, task): task.expected for task in scenario.tasks}
    order = shuffled(scenario.tasks, 1, 1)
    dense = baselines.SemanticCache("dense", baselines.Embedded(), -1.0)
    (routed,) = baselines.follow(dense, scenario, [order], known.get)
    assert sum(r.recalled for r in routed) == len(order) - 1
    assert sum(r.recalled and not r.right for r in routed) > len(order) // 2
    (exact,) = baselines.follow(baselines.ExactCache(), scenario, [order + order], known.get)
    assert [r.recalled for r in exact] == [False] * len(order) + [True] * len(order)
    assert all(r.right for r in exact)


def test_a_bare_template_fills_what_stands_in_the_task() -> None:
    bare = baselines.BareTemplates(2024)
    call = ("plan", json.dumps({"who": "ann", "on": "2024-03-08", "minutes": 90}))
    bare.learn("Meet ann on March 8 for 1.5 hours", call)
    routed = bare.route("Meet bob on April 12 for 2 hours")
    assert routed is not None
    assert json.loads(routed[1]) == {"who": "bob", "on": "2024-04-12", "minutes": 120}
    assert bare.route("Do not meet bob on April 12") is None


def test_the_judge_carries_out_the_calls_of_an_answer() -> None:
    files = calendar_tasks.calendar(1, 2) | mail_tasks.mailbox(1, 5)
    files[visit_tasks.PLOTS] = as_csv(visit_tasks.PLOT_COLUMNS, [])
    tables = {path.removeprefix("office/"): text for path, text in files.items()}
    scenario = Scenario("office", tables, dataset.KEYS, {}, (), dataset.NOW)
    state = dataset.after(
        scenario,
        [
            'calendar.delete_event.func(event_id="00000001")',
            'calendar.update_event.func(event_id="00000002", field="event_name", new_value="talk")',
            'email.forward_email.func(email_id="00000001", recipient="bo.lund@example.com")',
            'email.reply_email.func(email_id="00000001", body="Two\\nlines")',
            'analytics.create_plot.func(time_min="2023-11-1", time_max="2023-11-2", value_to_plot="x", plot_type="b")',
        ],
    )
    sent = dataset.SENT
    new = [
        ("9", "outbox", mail_tasks.BO, "FW: Budget", sent, "Draft."),
        ("8", "outbox", mail_tasks.ANA, "Budget", sent, "Two\\nlines"),
    ]
    expected = calendar_tasks.calendar(calendar_tasks.changed(2, event_name="talk")) | mail_tasks.mailbox(5, *new, 1)
    expected[visit_tasks.PLOTS] = as_csv(visit_tasks.PLOT_COLUMNS, [("2023-11-1", "2023-11-2", "x", "b")])
    assert state == scenario.state_of({path.removeprefix("office/"): text for path, text in expected.items()})
    assert state != scenario.state_of(tables)


def test_slots_are_read_from_the_template_that_a_text_was_made_from() -> None:
    wordings = Wordings({"side": ("before", "after")})
    assert wordings.slots("Is {x} {side} {time} on {x}?", "Is it or not after 3 on it or not?") == {
        "x": "it or not",
        "side": "after",
        "time": "3",
    }
    with pytest.raises(ValueError, match="was not made from"):
        wordings.slots("Is {x} {side}?", "Is it now?")


def test_a_share_is_drawn_as_bars() -> None:
    assert sparkline([False] * 16 + [True] * 16) == " " * 16 + "█" * 16
