"""Tasks that memory should serve: new values, politeness, other case and spaces, and days that the clock tells."""

from __future__ import annotations

import random
from datetime import timedelta
from functools import cache

from tests.recall.twins.corpus import Twin
from tests.recall.twins.solved import BY_ID, FAMILIES, TODAY, Call, Solved, lessons, unseen

POLITE = (
    "Please {0}",
    "{1}, please",
    "please {0}",
    "  {1}  ",
    "Hi, {0}",
    "{1}, thanks",
    "Could you please {0}?",
    "Can you {0}?",
)
"""A wish with {0} its words as they go on, or {1} as they begin."""


def _polite(solved: Solved, form: str) -> Twin:
    task = solved.task.rstrip("?")
    question = solved.task.endswith("?")
    if question and form.startswith(("Co", "Ca", "P", "p")):
        form = "{1}, please"
    said = form.format(task[0].lower() + task[1:], task)
    return Twin("polite", said + ("?" if question else ""), solved.call)


@cache
def positives() -> tuple[Twin, ...]:
    """All of them, the same in every process."""
    chance = random.Random("positives")
    new = [solved for family in FAMILIES for solved in unseen(family.capability, 5)]
    found = [Twin("new", solved.task, solved.call) for solved in new]
    plain = [solved for solved in lessons() if not solved.task.startswith("Please")]
    found += [_polite(solved, chance.choice(POLITE)) for solved in chance.sample(plain, 40)]
    found += [
        Twin("case", solved.task.lower(), solved.call)
        for solved in chance.sample([s for s in new if '"' not in s.task], 20)
    ]
    for word, days in (("today", 0), ("tomorrow", 1), ("yesterday", -1)):
        for later in (1, 7, 40):
            day = TODAY + timedelta(days=later)
            for wording in BY_ID["list_meetings"].wordings:
                call = Call.of("list_meetings", {"date": (day + timedelta(days=days)).isoformat()})
                found.append(Twin("clock", wording.format(date=word), call, day))
    return tuple({(twin.task, twin.day): twin for twin in found}.values())
