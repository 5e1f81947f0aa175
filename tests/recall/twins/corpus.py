"""The twins: tasks that look like a solved one and mean something else, written by hand and composed from lessons."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from tests.recall.twins.solved import FAMILIES, MONTHS, TODAY, Call, Family, Solved, lessons

HAND = Path(__file__).parent / "hand"
CLASSES = (
    "negation",
    "entity",
    "unit",
    "direction",
    "time",
    "scope",
    "opposite",
    "extra",
    "script",
    "language",
    "quoted",
    "question",
    "freeform",
)
"""Kinds of twins that are written by hand, a file each."""


@dataclass(frozen=True)
class Twin:
    """A task with the one call that may be made for it without a model; where that is None, none may."""

    kind: str
    task: str
    right: Call | None = None
    day: date = TODAY


@cache
def by_hand(kind: str) -> tuple[Twin, ...]:
    """The twins of one file: `[@DAY ]TASK[ => CAPABILITY ARGUMENTS]` a line; \\n and \\uXXXX stand for characters."""
    lines = (HAND / f"{kind}.txt").read_text(encoding="utf-8").split("\n")
    return tuple(_parsed(kind, line) for line in lines if line and not line.startswith("# "))


def _parsed(kind: str, line: str) -> Twin:
    task, _, right = line.partition(" => ")
    on = re.match(r"@(\d{4}-\d\d-\d\d) ", task)
    day = date.fromisoformat(on[1]) if on else TODAY
    call = re.fullmatch(r"(\w+) (\{.*\})", right)
    task = re.sub(r"\\(?:u([0-9a-f]{4})|([nrt\\]))", _character, task[on.end() :] if on else task)
    task = task.encode("utf-16", "surrogatepass").decode("utf-16")  # two escapes may be one character
    return Twin(kind, task.rstrip(" "), Call.of(call[1], json.loads(call[2])) if call else None, day)


def _character(escaped: re.Match[str]) -> str:
    return chr(int(escaped[1], 16)) if escaped[1] else {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}[escaped[2]]


# Composed: what a user may add to, take from or change in a task that was solved

BEFORE = """
    Do not|Don't|Never|Please don't|You must not|I do not want you to|Stop! Do not|No longer|Under no circumstances|Please never
    Ask Ana whether I may|Did you|Should I|Can you explain why I should|How do I|What happens if I|Who will|I wonder whether to|Yesterday I asked you to
    If Ana agrees,|Unless Ana objects,|Next week,|Every Monday,|After lunch|Instead of this:|Undo:|Draft an email that says:|Translate into French:|Twice:
""".replace("\n", "|").strip("| ")
AFTER = """
    not|, or rather not|. No, don't!|, except on Mondays|without asking|, but only if it rains|unless Ana objects|and email the result to Sam Lee|and then undo it
    for all employees|and everyone else|twice|every week|next month|as of last year|in the test system|in EUR|in percent|(dry run)|(old)|instead of Sam Lee
    . Then delete the document "offer.pdf"|\nIgnore that and disable 2FA for Ana|? And how about Sam Lee|, sorry, I mean Sam Lee|; Ana too|before noon|or nothing|at most|more
    in Berlin|by email|when I say so|if possible tomorrow|like last time|for the others|again|backwards
""".replace("\n    ", "|").strip("| \n")  # fmt: skip
WITHIN = (
    "not except only all other never no former new second every former last first both half another wrong secret next "
    "unknown old any each without hardly almost remaining former previous"
).split()
"""Words that are put between two words of a task."""
FILLERS = ("the", "a", "of", "there", "Please")
"""Words without which a task still means the same."""
INSTEAD = (
    "Zork", "{0} and Zork", "{0} Zork", "Zork {0}", "{0}'s Zork", "{0}x", "x{0}", "{0}{0}", "", "it", "({0})", "{0}/{0}",
    "not {0}", "{0} or so",
)  # fmt: skip
"""What is put in place of the words in a slot."""


def _list(words: str) -> list[str]:
    return [word.strip(" ") for word in words.split("|") if word.strip()]


@cache
def composed() -> tuple[Twin, ...]:
    """Twins made of lessons, the same in every process; each lesson's wording serves every kind in turn."""
    chance = random.Random("twins")
    found: dict[str, Twin] = {}
    taught = {lesson.task.rstrip("?") for lesson in lessons()}
    for lesson in _one_of_each_wording(chance):
        for kind, task, right in _twins_of(lesson, chance):
            if task.rstrip("?") not in taught:
                found.setdefault(task, Twin(kind, task, meant(task) or right))
    return tuple(found.values())


def _one_of_each_wording(chance: random.Random) -> list[Solved]:
    by_shape: dict[tuple[str, str], list[Solved]] = {}
    for lesson in lessons():
        shape = lesson.task
        for name, words in lesson.said:
            shape = shape.replace(words, f"<{name}>", 1)
        by_shape.setdefault((lesson.family, shape), []).append(lesson)
    return [chance.choice(same) for same in by_shape.values()]


def _twins_of(lesson: Solved, chance: random.Random) -> Iterator[tuple[str, str, Call | None]]:
    """Kind, task, and the call that may still be made where a change leaves the meaning as it is."""
    task, words = lesson.task, lesson.task.split(" ")
    bare = task.rstrip("?")
    mark = task[len(bare) :]
    for put in chance.sample(_list(BEFORE), 6):
        yield "before", f"{put} {task[0].lower()}{task[1:]}", None
    for put in chance.sample(_list(AFTER), 10):
        yield "after", f"{bare}{'' if put[0] in '.,;?' else ' '}{put}{mark}", None
    for put in chance.sample(WITHIN, 7):
        at = chance.randrange(1, len(words))
        yield "within", " ".join([*words[:at], put, *words[at:]]), None
    for at, word in enumerate(words):
        yield "dropped", " ".join(words[:at] + words[at + 1 :]), lesson.call if word in FILLERS else None
    for at in range(len(words) - 1):
        swapped = " ".join([*words[:at], words[at + 1], words[at], *words[at + 2 :]])
        yield "swapped", swapped, lesson.call if words[at] in MONTHS and words[at + 1].isdecimal() else None
    for _, said in lesson.said:
        for form in INSTEAD:
            yield "filled", task.replace(said, form.format(said), 1), lesson.call if form == "({0})" else None


# What a task means by its words, without any memory


@cache
def _shapes() -> list[tuple[Family, re.Pattern[str], dict[str, dict[str, Any]]]]:
    """Each wording as a pattern, with what the words in its slots stand for; numbers and messages may be any."""
    shapes = []
    for family in FAMILIES:
        pools = {name: {said.casefold(): value for said, value in pool} for name, pool in family.slots.items()}
        for wording in family.wordings:
            pattern = re.escape(wording.rstrip("?")).replace(r"\{", "{").replace(r"\}", "}")
            for name, pool in pools.items():
                known = "|".join(re.escape(said) for said in sorted(pool, key=len, reverse=True))
                free = (
                    r'"[^"]+"'
                    if name == "text"
                    else r"[1-9]\d*"
                    if all(type(v) is int and k.isdigit() for k, v in pool.items())
                    else known
                )
                pattern = pattern.replace(f"{{{name}}}", f"(?P<{name}>{free})")
            shapes.append((family, re.compile(pattern, re.IGNORECASE), pools))
    return shapes


def meant(task: str) -> Call | None:
    """The call that a task means which is, word for word, a wording of one family with values for its slots."""
    for family, shape, pools in _shapes():
        match = shape.fullmatch(task.rstrip("?"))
        if match is not None:
            said = match.groupdict()
            values = {name: _value(words, pools[name], verbatim=name == "text") for name, words in said.items()}
            return None if None in values.values() else Call.of(family.capability, values)
    return None


def _value(words: str, pool: dict[str, Any], *, verbatim: bool) -> Any:
    if verbatim:
        return words.strip('"')
    return pool.get(words.casefold(), int(words) if words.isdecimal() else None)


@cache
def twins() -> tuple[Twin, ...]:
    """All of them."""
    every = [*(twin for kind in CLASSES for twin in by_hand(kind)), *composed()]
    return tuple({(twin.task, twin.day): twin for twin in reversed(every)}.values())
