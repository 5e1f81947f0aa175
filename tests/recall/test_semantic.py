"""Other words of the same meaning are served; words that only look like it are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from tests.recall.conftest import FILES, Office, learn

TEXT = {"type": "string"}
CITY = {"type": "string", "enum": ["Berlin", "Paris", "Rome", "Oslo"]}
PEOPLE = "name,manager\nAna Silva,Bob Reed\nBob Reed,Cleo Marsh\nCleo Marsh,Dora Klein\nDora Klein,Ana Silva\n"
NAMES = ("Ana Silva", "Bob Reed", "Cleo Marsh")
TAUGHT = {
    "salary": ("What is {name}'s salary?", "How much does {name} earn?"),
    "total_pay": ("What is the total pay of {name}?",),
    "vacation": ("How many vacation days does {name} have left?",),
    "manager": ("Who is {name}'s manager?", "Who does {name} report to?"),
    "reports": ("Who reports to {name}?",),
    "team": ("Which team does {name} manage?",),
    "seniority": ("How old is {name}'s contract?",),
    "whereabouts": ("Where is {name}'s desk?",),
    "meetings": ("How many meetings does {name} have on {date}?",),
    "visits": ("How many visits were there in {city} on {date}?",),
    "temperature": ("What is the temperature in {city}?",),
    "distance": ("How far is it from {origin} to {target}?",),
    "replacement": ("Who is {name}'s replacement?",),
}
CITIES, DAYS = ("Berlin", "Paris", "Rome"), ("2023-12-06", "2023-12-11", "2023-12-13")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """An office whose memory knows three tasks of each wording."""
    office = Office(tmp_path_factory.mktemp("office"))
    office.people.write_text(PEOPLE, encoding="utf-8")
    runtime = None
    for id, wordings in TAUGHT.items():
        named = [n for n in ("name", "date", "city", "origin", "target") if any(f"{{{n}}}" in w for w in wordings)]
        kinds = {n: CITY if n in ("city", "origin", "target") else TEXT for n in named}
        office.publish(id, "write" if id == "replacement" else "read", FILES, **kinds)
    runtime = office.open()
    for id, wordings in TAUGHT.items():
        for wording in wordings:
            for at in range(3):
                values = {
                    "name": NAMES[at], "date": DAYS[at], "city": CITIES[at],
                    "origin": CITIES[at], "target": CITIES[(at + 1) % 3],
                }  # fmt: skip
                input = {n: v for n, v in values.items() if f"{{{n}}}" in wording}
                learn(runtime, wording.format(**values), id, **input)
    yield runtime
    runtime.close()


def served(runtime: Runtime, task: str) -> tuple[str, dict[str, Any]] | None:
    """What memory would run; None where a model is asked."""
    decision = runtime.recall.decide(task, runtime.now(), allow_writes=True)
    if decision.serves is None or decision.capability is None or decision.remembered is None:
        return None
    return decision.capability.id, decision.remembered.input


def cases(name: str) -> list[tuple[str, str]]:
    """The lines of a list: `capability | task`; of twins, what stands first is why memory must not serve it."""
    text = (Path(__file__).parent / "semantic" / f"{name}.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    return [(of.strip(), task.strip()) for of, _, task in (line.partition("|") for line in lines)]


def meant(id: str, task: str) -> dict[str, Any]:
    """What a paraphrase of the list says: Dora, the 18th and Oslo are new, in Rome and from Rome to Oslo."""
    values: dict[str, dict[str, Any]] = {
        "meetings": {"name": "Dora Klein", "date": "2023-12-18"},
        "visits": {"city": "Oslo", "date": "2023-12-18"},
        "temperature": {"city": "Oslo"},
        "distance": {"origin": "Rome", "target": "Oslo"},
    }
    return values.get(id, {"name": "Dora Klein"})


def test_other_words_of_the_same_meaning_are_served(taught: Runtime) -> None:
    paraphrases = cases("paraphrases")
    assert len(paraphrases) >= 60
    missed = [task for id, task in paraphrases if served(taught, task) != (id, meant(id, task))]
    assert missed == []
    routes = [taught.recall.decide(task, taught.now()).route for _, task in paraphrases]
    assert routes == ["semantic"] * len(paraphrases)


def test_what_only_looks_like_it_is_not_served(taught: Runtime) -> None:
    twins = cases("twins")
    assert len(twins) >= 120
    assert [(why, task, found) for why, task in twins if (found := served(taught, task)) is not None] == []


def test_what_changes_data_is_not_done_for_other_words(taught: Runtime) -> None:
    assert served(taught, "Who is Dora Klein's replacement?") is not None
    decision = taught.recall.decide("Tell me who Dora Klein's replacement is", taught.now(), allow_writes=True)
    assert decision.route is None
    assert "changes nothing" in decision.reason


def test_why_shows_the_nearest_wording_and_the_words_that_differ(taught: Runtime) -> None:
    way = taught.recall.decide("Tell me the net salary of Dora Klein", taught.now()).tried[-1]
    assert way.route == "semantic"
    assert way.template is not None
    assert "net" in way.left_over
    found = taught.recall.decide("Tell me the salary of Dora Klein", taught.now()).tried[-1]
    assert found.slots == (("entity salary", "Dora Klein"),)
    assert all(condition.holds for condition in found.conditions)


def test_one_solved_task_more_is_not_enough_for_other_words(office: Office) -> None:
    office.publish("salary", name=TEXT)
    runtime = office.open()
    learn(runtime, "What is kofi's salary?", "salary", name="kofi")
    learn(runtime, "What is yuki's salary?", "salary", name="yuki")
    assert served(runtime, "What is Mary Major's salary?") is not None
    assert served(runtime, "Tell me the salary of Mary Major") is None
    learn(runtime, "What is Mary Major's salary?", "salary", name="Mary Major")
    assert served(runtime, "Tell me the salary of Mary Major") is not None


def test_two_capabilities_with_one_wording_leave_it_to_a_model(office: Office) -> None:
    runtime = office.open()
    for id, wording in (("salary", "What is {}'s salary?"), ("pay", "Give me the salary of {}")):
        office.publish(id, name=TEXT)
        for name in ("kofi", "yuki", "Mary Major"):
            learn(runtime, wording.format(name), id, name=name)
    assert served(runtime, "Tell me kofi's salary") is None


def test_a_model_that_does_something_else_takes_the_trust_of_other_words_too(office: Office) -> None:
    office.publish("salary", name=TEXT)
    office.publish("bonus", name=TEXT)
    runtime = office.open()
    for name in ("kofi", "yuki", "Mary Major"):
        learn(runtime, f"What is {name}'s salary?", "salary", name=name)
    task = "Tell me the salary of kofi"
    decision = runtime.decide(task)
    assert decision.route == "semantic"
    learn(runtime, task, "bonus", decision, name="kofi")
    assert served(runtime, "Tell me the salary of yuki") is None


@pytest.mark.parametrize("noun", ["picture", "review", "reviews", "opinion", "invitation", "sales", "email", "half"])
def test_what_may_be_done_by_somebody_or_to_somebody_keeps_its_words(office: Office, noun: str) -> None:
    office.publish("it", name=TEXT)
    runtime = office.open()
    for name in ("kofi", "yuki", "Mary Major"):
        learn(runtime, f"What is {name}'s {noun}?", "it", name=name)
    assert served(runtime, f"What is the {noun} of kofi?") is None
