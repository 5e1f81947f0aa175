"""Tasks that look like a solved one and mean something else: memory abstains, or does exactly the right thing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metier.locks import in_turn
from tests.recall.twins.corpus import CLASSES, FILLERS, Twin, by_hand, composed, meant
from tests.recall.twins.near import SITUATIONS, Situation, without
from tests.recall.twins.positives import positives
from tests.recall.twins.school import Desk, school, wrong
from tests.recall.twins.solved import TODAY, lessons, unseen

OMISSIBLE = (*FILLERS, "please", "Hi", "thanks", "", "Could", "you", "Can")
SHARE_SERVED = 0.8
"""Of the tasks that memory should do."""
COMPOSED_EACH = 10
"""One composed twin of so many is put."""


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The school's library, taught by the first of the processes that test side by side."""
    if not hasattr(request.config, "workerinput"):
        return school(tmp_path_factory.mktemp("office") / "capabilities", lessons())
    folder = tmp_path_factory.getbasetemp().parent / "office"
    with in_turn(folder):
        return folder if folder.exists() else school(tmp_path_factory.mktemp("new") / "it", lessons()).rename(folder)


@contextmanager
def desk(taught: Path, folder: Path, day: date = TODAY) -> Iterator[Desk]:
    desk = Desk(taught, folder / f"on-{day}", day)
    yield desk
    desk.close()


def put_all(twins: list[Twin], taught: Path, folder: Path) -> list[str]:
    """What memory did wrong with these twins, each put on its day."""
    found = []
    for day in sorted({twin.day for twin in twins}):
        with desk(taught, folder, day) as at:
            found += [why for twin in twins if twin.day == day and (why := wrong(twin, at.put(twin.task)))]
    return found


@pytest.mark.parametrize("kind", CLASSES)
def test_a_twin_written_by_hand_is_never_served_wrongly(kind: str, taught: Path, tmp_path: Path) -> None:
    twins = list(by_hand(kind))
    assert len(twins) >= 100
    assert put_all(twins, taught, tmp_path) == []


def test_a_composed_twin_is_never_served_wrongly(taught: Path, tmp_path: Path) -> None:
    assert put_all(list(composed()[::COMPOSED_EACH]), taught, tmp_path) == []


def test_what_was_solved_is_served_with_figures_of_today(taught: Path, tmp_path: Path) -> None:
    with desk(taught, tmp_path) as at:
        for lesson in lessons()[::5]:
            served = at.put(lesson.task)
            assert served.calls == (lesson.call,)
            assert wrong(Twin("lesson", lesson.task, lesson.call), served) is None


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_what_changed_since_is_not_passed_over(situation: Situation, taught: Path, tmp_path: Path) -> None:
    with desk(taught, tmp_path) as at:
        situation.change(at.runtime, at.data)
        twins = situation.twins()
        assert len(twins) >= 10
        assert [why for twin in twins if (why := wrong(twin, at.put(twin.task)))] == []


def test_somebody_who_is_gone_is_not_asked_after(taught: Path, tmp_path: Path) -> None:
    with desk(taught, tmp_path) as at:
        without("people.json", "name", lambda name: "S" in name)(at.runtime, at.data)
        tasks = [new for family in ("get_salary", "get_start_date", "get_total_pay") for new in unseen(family, 12)]
        gone = [Twin("near", new.task) for new in tasks if any("S" in words for _, words in new.said)]
        assert gone
        assert [why for twin in gone if (why := wrong(twin, at.put(twin.task)))] == []


def test_what_is_alike_in_meaning_is_served(taught: Path, tmp_path: Path) -> None:
    served = []
    for day in sorted({twin.day for twin in positives()}):
        with desk(taught, tmp_path, day) as at:
            for twin in (t for t in positives() if t.day == day):
                done = at.put(twin.task)
                assert wrong(twin, done) is None
                served.append(bool(done.calls))
    assert len(served) >= 150
    assert sum(served) >= SHARE_SERVED * len(served)


# Any word more or less

WORDS = st.one_of(
    st.sampled_from("not no never all both first other last without except but old tomorrow Zork Ana 7 $5 kg".split()),
    st.text(st.characters(categories=["L", "N", "S"]), min_size=1, max_size=8),
)
SERVED = st.sampled_from([*positives(), *(Twin("lesson", lesson.task, lesson.call) for lesson in lessons())])


@pytest.fixture(scope="module")
def at_work(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(taught, tmp_path_factory.mktemp("work")) as at:
        yield at


@settings(max_examples=100, deadline=None)
@given(served=SERVED, word=WORDS, where=st.integers(0, 30))
def test_a_word_more_makes_memory_abstain_or_stay_right(at_work: Desk, served: Twin, word: str, where: int) -> None:
    words = served.task.split(" ")
    words.insert(where % (len(words) + 1), word)
    task = " ".join(words)
    assert at_work.decided(task) in (None, meant(task))


@settings(max_examples=100, deadline=None)
@given(served=SERVED, where=st.integers(0, 30))
def test_a_word_less_makes_memory_abstain_or_stay_right(at_work: Desk, served: Twin, where: int) -> None:
    words = served.task.split(" ")
    gone = words.pop(where % len(words))
    task = " ".join(words)
    allowed = (None, meant(task), served.right) if gone.strip(",?") in OMISSIBLE else (None, meant(task))
    assert at_work.decided(task) in allowed
