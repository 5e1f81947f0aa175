"""The tree of templates finds what comparing a task with each template by itself would."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from metier.recall.families import Families, Solved
from metier.recall.slots import Span
from metier.recall.templates import Induced, Template

WORDS = ("send", "a", "b", "3", "\0")
KINDS = ("number", "date")


def spans_at(words: Sequence[str], kind: str, begin: int) -> list[Span]:
    """A number is one word, a date one or two."""
    ends = (begin + 1,) if kind == "number" else (begin + 1, begin + 2)
    return [Span(begin, end, kind, (), "") for end in ends if end <= len(words) and words[begin] == "3"]


def compared(template: Template, words: tuple[str, ...]) -> Iterator[tuple[Span, ...]]:
    """The ways in which all words fit one template."""

    def go(index: int, slot: int, at: int) -> Iterator[tuple[Span, ...]]:
        if index == len(template.words):
            if at == len(words):
                yield ()
        elif at == len(words):
            return
        elif (word := template.words[index]) is not None:
            if word == words[at]:
                yield from go(index + 1, slot, at + 1)
        else:
            for span in spans_at(words, template.kinds[slot], at):
                for others in go(index + 1, slot + 1, span.end):
                    yield (span, *others)

    return go(0, 0, 0)


def test_every_template_that_fits_is_found_and_no_other() -> None:
    draw, families, templates = random.Random(5), Families(), set[tuple[Template, str]]()
    for number in range(400):
        words = tuple(draw.choice((*WORDS, None)) for _ in range(draw.randrange(1, 6)))
        template = Template(words, tuple(draw.choice(KINDS) for word in words if word is None))
        capability = draw.choice(("one", "other"))
        templates.add((template, capability))
        induced = Induced(template, {}, {}, ("3",) * len(template.kinds))
        families.add(Solved(capability, 1, induced, "2026-01-01", "", bytes([number % 256])))
        task = tuple(draw.choice(WORDS) for _ in range(draw.randrange(1, 6)))
        found = families.fitting(task, lambda kind, begin, task=task: spans_at(task, kind, begin))
        fits = {(fit.family.template, fit.family.capability, fit.spans) for fit in found}
        assert len(fits) == len(found) < 64
        assert fits == {(t, c, spans) for t, c in templates for spans in compared(t, task)}


def test_the_nearest_is_the_one_that_goes_furthest_with_a_task() -> None:
    families = Families()
    for words in (("send", "a", "b"), ("send", "a", "c", "d"), ("drop", "it")):
        families.add(Solved("one", 1, Induced(Template(words, ()), {}, {}, ()), "2026-01-01", "", b""))
    reached, family = families.nearest(("send", "a", "c", "x"), lambda kind, begin: [])
    assert reached == 3
    assert family is not None
    assert family.template.words == ("send", "a", "c", "d")
    assert families.nearest(("x",), lambda kind, begin: []) == (0, None)
