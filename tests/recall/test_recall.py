"""What memory does without a model, and what it leaves to one."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from metier import Runtime
from metier.errors import SetupMissing
from metier.memory import FILE_NAME, TaskMemory
from metier.testing import ScriptedModel
from tests.recall.conftest import TODAY, Office, learn, said

STRING = {"type": "string"}
NUMBER = {"type": "integer"}


@pytest.fixture
def runtime(office: Office) -> Runtime:
    """Knows how to find meetings with somebody on a day."""
    office.publish("find_meetings", name=STRING, day=STRING)
    runtime = office.open()
    learn(runtime, "Find my meetings with kofi on December 6", "find_meetings", name="kofi", day="2023-12-06")
    learn(runtime, "Find my meetings with yuki on December 13", "find_meetings", name="yuki", day="2023-12-13")
    return runtime


# What is served


def test_the_same_words_with_other_values_are_done_with_those(runtime: Runtime) -> None:
    assert said(runtime, "find My meetings with  kofi, on December 20.") == {"name": "kofi", "day": "2023-12-20"}
    answer = runtime.run_sync("can you find my meetings with yuki on December 21?")
    assert (answer.route, answer.model_calls) == ("recall", 0)
    assert [ran.output for ran in answer.used] == [{"name": "yuki", "day": "2023-12-21"}]
    assert "kofi" not in answer.text
    assert "2023-12-13" not in answer.text


def test_it_is_still_known_in_the_next_process(office: Office, runtime: Runtime) -> None:
    runtime.close()
    assert said(office.open(), "Find my meetings with yuki on December 7") == {"name": "yuki", "day": "2023-12-07"}


def test_what_another_process_learned_is_known_at_once(office: Office, runtime: Runtime) -> None:
    other = office.open()
    assert said(other, "Show me when yuki is here on December 8") is None
    learn(runtime, "Show me when kofi is here on December 6", "find_meetings", name="kofi", day="2023-12-06")
    assert said(other, "Show me when yuki is here on December 8") == {"name": "yuki", "day": "2023-12-08"}


def test_an_agreement_counts_for_other_words_of_the_same_capability(office: Office) -> None:
    office.publish("find_meetings", name=STRING)
    runtime = office.open()
    learn(runtime, "Meetings with kofi", "find_meetings", name="kofi")
    assert said(runtime, "Meetings with yuki") is None  # one task could be chance
    learn(runtime, "When do I meet yuki?", "find_meetings", name="yuki")
    assert said(runtime, "Meetings with yuki") == {"name": "yuki"}


@pytest.mark.parametrize(
    ("words", "values", "other", "then"),
    [
        ("remind me in {} minutes", (("5", 5), ("12", 12)), "90", 90),
        ("block {} for me", (("30 minutes", 30), ("1.5 hours", 90), ("1 hour", 60)), "2 hours", 120),
        ("spend {} on lunch", (("$20", 20), ("$1,250", 1250)), "$99", 99),
        ("raise it by {}", (("5%", 5), ("10 %", 10)), "7%", 7),
    ],
)
def test_numbers_durations_money_and_shares_are_slots(
    office: Office, words: str, values: Any, other: str, then: int
) -> None:
    office.publish("act", amount=NUMBER)
    runtime = office.open()
    for text, amount in values:
        learn(runtime, words.format(text), "act", amount=amount)
    assert said(runtime, words.format(other)) == {"amount": then}


def test_quotations_addresses_and_choices_are_slots(office: Office) -> None:
    kinds = {"type": "string", "enum": ["total_visits", "page_views"]}
    office.publish("send", to=STRING, text=STRING, about=kinds)
    runtime = office.open()
    task = "Mail {} saying '{}' about {}"
    learn(
        runtime,
        task.format("a@b.com", "Hello", "total visits"),
        "send",
        to="a@b.com",
        text="Hello",
        about="total_visits",
    )
    learn(runtime, task.format("c@d.org", "Bye", "page views"), "send", to="c@d.org", text="Bye", about="page_views")
    served = said(runtime, task.format("x@y.net", "It's 'Y' & I'm in", "total visits"))
    assert served == {"to": "x@y.net", "text": "It's 'Y' & I'm in", "about": "total_visits"}
    assert said(runtime, task.format("x@y.net", "Hi' and not 'Bye", "page views")) is None


def test_words_for_a_value_are_learned_where_nothing_else_differs(office: Office) -> None:
    office.publish("plot", metric={"type": "string", "enum": ["user_engaged", "visits"]}, since=STRING)
    runtime = office.open()
    learn(runtime, "Plot engaged users since 2023-10-01", "plot", metric="user_engaged", since="2023-10-01")
    learn(runtime, "Plot visits since 2023-10-02", "plot", metric="visits", since="2023-10-02")
    learn(runtime, "Draw visits from 2023-10-04", "plot", metric="visits", since="2023-10-04")
    assert said(runtime, "Draw engaged users from 2023-11-05") == {"metric": "user_engaged", "since": "2023-11-05"}
    assert said(runtime, "Draw engaged people from 2023-11-05") is None


# What is not


@pytest.mark.parametrize(
    "twin",
    [
        "Find all my meetings with kofi on December 20",
        "Find my meetings without kofi on December 20",
        "Do not find my meetings with kofi on December 20",
        "Find my meetings with kofi before December 20",
        "Find my meetings with kofi on December 20 except the first",
        "Find my meetings with kofi and yuki on December 20",
        "Find my meetings with anna on December 20",
        "Find my meeting with kofi on December 20",
        "Find my meetings with kofi on December 32",
        "Find my meetings with kofi on January 5",  # of this year or of the next one
        "Find my meetings with kofi on Wednesday",
        "Unfind my meetings with kofi on December 20",
    ],
)
def test_every_word_counts_and_what_is_open_is_left_to_the_model(runtime: Runtime, twin: str) -> None:
    decision = runtime.decide(twin)
    assert decision.serves is None
    assert decision.reason
    with pytest.raises(SetupMissing):
        runtime.run_sync(twin)


def test_the_direction_counts(office: Office) -> None:
    office.publish("move", start=STRING, end=STRING)
    runtime = office.open()
    learn(runtime, "Move it from kofi to yuki", "move", start="kofi", end="yuki")
    learn(runtime, "Move it from yuki to kofi", "move", start="yuki", end="kofi")
    assert said(runtime, "Move it from mary to yuki") == {"start": "mary", "end": "yuki"}
    assert said(runtime, "Move it to mary from yuki") is None


def test_a_value_that_explains_two_arguments_waits_for_a_task_that_tells_them_apart(office: Office) -> None:
    office.publish("book", people=NUMBER, days=NUMBER)
    runtime = office.open()
    learn(runtime, "Book a room for 3 people and 3 days", "book", people=3, days=3)
    learn(runtime, "Book a room for 5 people and 5 days", "book", people=5, days=5)
    assert said(runtime, "Book a room for 2 people and 4 days") is None
    learn(runtime, "Book a room for 6 people and 7 days", "book", people=6, days=7)
    learn(runtime, "Book a room for 9 people and 8 days", "book", people=9, days=8)
    assert said(runtime, "Book a room for 2 people and 4 days") == {"people": 2, "days": 4}


def test_a_time_of_day_is_open_until_tasks_say_how_it_is_meant(office: Office) -> None:
    office.publish("set", at=STRING)
    runtime = office.open()
    learn(runtime, "Set it at 10", "set", at="10:00")
    learn(runtime, "Set it at 11", "set", at="11:00")
    assert said(runtime, "Set it at 3:30") is None
    learn(runtime, "Set it at 4:30", "set", at="16:30")
    assert said(runtime, "Set it at 3:30") == {"at": "15:30"}


def test_two_capabilities_for_the_same_words_are_a_tie(office: Office, runtime: Runtime) -> None:
    office.publish("list_meetings", name=STRING, day=STRING)
    learn(runtime, "Find my meetings with yuki on December 14", "list_meetings", name="yuki", day="2023-12-14")
    decision = runtime.decide("Find my meetings with kofi on December 20")
    assert decision.serves is None
    assert "one family with a margin" in decision.reason


def test_changed_data_or_a_quarantined_version_serves_nothing(office: Office, runtime: Runtime) -> None:
    task = "Find my meetings with kofi on December 20"
    assert said(runtime, task)
    office.people.write_text("name,mail,team\nkofi,kofi@x.com,a\n", encoding="utf-8")
    assert "permissions and data" in runtime.decide(task).reason
    runtime.lifecycle.set_status("find_meetings", "quarantined", "for the test")
    assert runtime.decide(task).serves is None


def test_somebody_new_in_the_data_is_known_at_once(office: Office, runtime: Runtime) -> None:
    task = "Find my meetings with ama on December 20"
    assert said(runtime, task) is None
    office.people.write_text(office.people.read_text("utf-8") + "ama,ama.boateng@atlas.com\n", encoding="utf-8")
    assert said(runtime, task) == {"name": "ama", "day": "2023-12-20"}


# The clock


def test_relative_days_are_worked_out_by_the_clock_of_the_run(office: Office) -> None:
    office.publish("agenda", day=STRING)
    runtime = office.open()
    learn(runtime, "My agenda for tomorrow", "agenda", day="2023-12-01")
    learn(runtime, "My agenda for today", "agenda", day="2023-11-30")
    later = office.open(TODAY + timedelta(days=7))
    assert said(later, "My agenda for tomorrow") == {"day": "2023-12-08"}
    assert said(later, "My agenda for yesterday") == {"day": "2023-12-06"}


def test_a_day_that_does_not_follow_from_the_words_is_of_its_own_day_only(office: Office) -> None:
    office.publish("report", start=STRING, end=STRING)
    runtime = office.open()
    learn(runtime, "Report since November 21", "report", start="2023-11-21", end="2023-11-29")
    learn(runtime, "Report since November 22", "report", start="2023-11-22", end="2023-11-29")
    assert said(runtime, "Report since November 23") == {"start": "2023-11-23", "end": "2023-11-29"}
    later = office.open(TODAY + timedelta(days=1))
    assert said(later, "Report since November 23") is None
    assert said(later, "Report since November 21") is None


# Trust


def test_one_disagreement_takes_trust_from_every_wording_and_agreements_give_it_back(runtime: Runtime) -> None:
    learn(runtime, "Who meets kofi on December 6", "find_meetings", name="kofi", day="2023-12-06")
    task = "Find my meetings with kofi on December 20"
    learn(runtime, task, "find_meetings", runtime.decide(task), name="kofi", day="2023-12-21")
    assert "a model did something else" in runtime.decide("Who meets yuki on December 7").reason
    for day in range(10, 15):
        task = f"Who meets yuki on December {day}"
        learn(runtime, task, "find_meetings", runtime.decide(task), name="yuki", day=f"2023-12-{day}")
    assert said(runtime, "Who meets kofi on December 7") == {"name": "kofi", "day": "2023-12-07"}


def test_a_sample_of_what_memory_could_do_goes_to_the_model_and_is_compared(office: Office, runtime: Runtime) -> None:
    office.settings(shadow=1.0)
    input = {"name": "kofi", "day": "2023-12-20"}
    call = {"name": "run_capability", "arguments": {"capability_id": "find_meetings", "input": input}}
    model = ScriptedModel([{"tool_calls": [call]}, {"content": "There they are."}])
    checking = office.open(model=model)
    assert checking.run_sync("Find my meetings with kofi on December 20").route == "model"
    assert checking.recall.trust.wrong_rate("template") == 0


# Changes of data


def test_a_change_is_repeated_with_consent_only_and_once_for_a_run_id(office: Office) -> None:
    office.publish("cancel", "write", permissions={}, name={"enum": ["kofi", "yuki", "mary"]})
    runtime = office.open()
    learn(runtime, "Cancel it with kofi", "cancel", name="kofi")
    learn(runtime, "Cancel it with yuki", "cancel", name="yuki")
    assert runtime.decide("Cancel it with mary").waits
    first = runtime.run_sync("Cancel it with mary", allow_writes=True, run_id="mine")
    again = runtime.run_sync("Cancel it with mary", allow_writes=True, run_id="mine")
    assert (len(first.used), len(again.used), again.text) == (1, 0, first.text)


# What is kept


def test_every_decision_is_kept_with_its_reason_and_without_the_task(office: Office, runtime: Runtime) -> None:
    runtime.run_sync("Find my meetings with yuki on December 21")
    with pytest.raises(SetupMissing):
        runtime.run_sync("Where is yuki?")
    rows = runtime.memory.store.read("SELECT route, capability, reason FROM decisions ORDER BY seq")
    assert rows[0] == ("template", "find_meetings", "template: every condition holds")
    assert rows[1][:2] == (None, None)
    assert "no template" in rows[1][2]


def test_memory_of_an_earlier_layout_is_kept(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute(
            "CREATE TABLE solved (task_sha256 BLOB PRIMARY KEY, task TEXT NOT NULL, capability TEXT NOT NULL,"
            " version INTEGER NOT NULL, input TEXT NOT NULL, output TEXT NOT NULL, answer TEXT NOT NULL, template TEXT,"
            " effects TEXT NOT NULL, at REAL NOT NULL)"
        )
        connection.execute("INSERT INTO solved VALUES (x'00', 't', 'c', 1, '{}', '{}', 'a', NULL, 'read', 0.0)")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    memory = TaskMemory(tmp_path)
    assert memory.count() == 1
    assert memory.state() == (0, 0)
    memory.close()
