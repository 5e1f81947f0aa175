"""Tasks that look like a solved one and mean something else: memory abstains, or does exactly the right thing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from tests.recall.twins.corpus import CLASSES, Twin, by_hand, composed
from tests.recall.twins.near import SITUATIONS, Situation, without
from tests.recall.twins.school import Desk, school, wrong
from tests.recall.twins.solved import TODAY, lessons, unseen

COMPOSED_EACH = 8
"""One composed twin of so many is put."""


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return school(tmp_path_factory.mktemp("office") / "capabilities", lessons())


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
        for lesson in lessons()[::3]:
            served = at.put(lesson.task)
            assert served.calls == (lesson.call,)
            assert wrong(Twin("lesson", lesson.task, lesson.call), served) is None


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_what_changed_since_is_not_passed_over(situation: Situation, taught: Path, tmp_path: Path) -> None:
    with desk(taught, tmp_path) as at:
        situation.change(at.runtime, at.data)
        twins = situation.twins()
        assert len(twins) >= 14
        assert [why for twin in twins if (why := wrong(twin, at.put(twin.task)))] == []


def test_somebody_who_is_gone_is_not_asked_after(taught: Path, tmp_path: Path) -> None:
    with desk(taught, tmp_path) as at:
        without("people.json", "name", lambda name: "S" in name)(at.runtime, at.data)
        tasks = [new for family in ("get_salary", "get_start_date", "list_tasks") for new in unseen(family, 12)]
        gone = [Twin("near", new.task) for new in tasks if any("S" in words for _, words in new.said)]
        assert gone
        assert [why for twin in gone if (why := wrong(twin, at.put(twin.task)))] == []
