"""Recall: a task done from memory, without a model, by three ways of decreasing certainty.

`exact` is the same task; `template` the same words with other arguments in typed slots; `semantic` other words of the
same meaning. Each serves only if every condition holds; whatever is in doubt goes to the model.
"""

from __future__ import annotations

import gc
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any, Literal

from metier import schemas
from metier.aliases import Alias, Aliases
from metier.capability import Capability
from metier.library import Library
from metier.memory import Check, Learned, Remembered, TaskMemory, task_key
from metier.outcomes import Ran
from metier.recall.conditions import Conditions, fingerprint
from metier.recall.decision import Condition, Decision, Tried, decision_json
from metier.recall.entities import AsRead, AtOnce, Entities
from metier.recall.families import Families, Fit, Solved
from metier.recall.lesson import Lesson
from metier.recall.moments import MOVING, dated, of_another_day
from metier.recall.reading import Reader
from metier.recall.semantic import Wordings
from metier.recall.templates import Induced, Unexplained, induce, same, scalars
from metier.recall.trust import Trust
from metier.recall.words import MAX_WORDS, Words, words_of

__all__ = ["Condition", "Decision", "Lesson", "Recall", "Tried", "decision_json"]

log = logging.getLogger(__name__)

MANY = 5_000
"""Solved tasks from which on taking them in is worth a full look for garbage."""


class Recall:
    """What memory would do with a task, and what it learns from one that a model solved. Threads may share it."""

    def __init__(
        self,
        memory: TaskMemory,
        library: Library,
        aliases: Aliases,
        entities: Entities,
        trust: Trust,
        *,
        writes: bool,
        known: Callable[[str], Iterable[Capability]] | None = None,
    ) -> None:
        """`known` are the capabilities that may have to do with a task; all of the library where it is not given."""
        self._known = known or (lambda _: library.capabilities())
        self._memory, self._library, self._aliases = memory, library, aliases
        self._entities, self.trust = entities, trust
        self._writes = writes
        self._families = Families()
        self._wordings = Wordings(self._families)
        self._state = (-1, 0)
        self._lock = threading.RLock()

    # Deciding

    def decide(self, task: str, now: datetime, *, allow_writes: bool = False) -> Decision:
        """What memory would do with a task at a time. Nothing is executed, and nothing kept.

        `allow_writes` is the consent to repeat what changes data; the operator's settings may give it as well.
        """
        known = list(self._known(task))
        live = {c.id: c for c in known if c.live}
        aliases = self._aliases.among(known)
        entities = AtOnce(self._entities)
        conditions = Conditions(entities, self.trust, now, writes=allow_writes or self._writes)
        words = words_of(task)

        def read() -> Reader:
            self._refresh()
            return Reader(words, now, live, entities, self._families.choices.known)

        return self._decided(task, words, read, live, aliases, conditions)

    def _decided(
        self,
        task: str,
        words: Words,
        read: Callable[[], Reader],
        live: Mapping[str, Capability],
        aliases: Mapping[str, Alias],
        conditions: Conditions,
    ) -> Decision:
        """`read` takes in what was learned since: an exact task whose arguments stay does not wait for that."""
        remembered = self._memory.recall(task, live, aliases)
        tried: list[Tried] = []
        if remembered is not None:
            capability = self._serving(remembered)
            way, remembered = self._exact(task, read, capability, remembered, conditions)
            tried.append(way)
            if way.serves or _only_consent(way):
                return _decision(task, tried, capability, remembered)
        if len(words.words) > MAX_WORDS:
            tried.append(_abstains(f"more than {MAX_WORDS} words"))
            return _decision(task, tried)
        with self._lock:
            reader = read()
            way, fitting, found = self._template(reader, live, aliases, conditions)
        tried.append(way)
        if fitting is not None and found is not None and (way.serves or _only_consent(way)):
            return _decision(task, tried, fitting, found)
        if fitting is None:
            with self._lock:
                way, fitting, found = self._semantic(reader, live, aliases, conditions)
            tried.append(way)
            if way.serves:
                return _decision(task, tried, fitting, found)
        return _decision(task, tried)

    def _serving(self, remembered: Remembered) -> Capability:
        """The version that solved a task, or what serves in place of one that is not trusted any more."""
        capability = self._library.get(remembered.capability, remembered.version)
        if capability.live or capability.status == "superseded":
            return capability
        return self._library.get(capability.id)

    def _exact(
        self,
        task: str,
        read: Callable[[], Reader],
        capability: Capability,
        remembered: Remembered,
        conditions: Conditions,
    ) -> tuple[Tried, Remembered]:
        """The same task again, with its arguments as the clock has them now."""
        holding = [conditions.live(capability)]
        arguments, clock = self._by_the_clock(task, read, capability, remembered, conditions)
        if remembered.data is not None:
            holding.append(conditions.same_data(capability, remembered.data))
        holding += [clock, conditions.schema(capability, arguments), conditions.consent(capability)]
        way = Tried("exact", capability.id, arguments, conditions=tuple(holding), signature="exact")
        if arguments != remembered.input:
            remembered = self._memory.wording(task_key(task), task, arguments) or remembered
        return way, remembered

    def _by_the_clock(
        self,
        task: str,
        read: Callable[[], Reader],
        capability: Capability,
        remembered: Remembered,
        conditions: Conditions,
    ) -> tuple[Any, Condition]:
        """The arguments of an exact task, worked out again where what its words mean moves with the clock."""
        if remembered.day in (None, conditions.day):
            return remembered.input, Condition("by the clock", True)
        stale = [v for v in _unsaid(task, remembered) if of_another_day(v, str(remembered.day), conditions.day)]
        if stale:
            return remembered.input, Condition("by the clock", False, f"{stale[0]!r} may be of {remembered.day}")
        if MOVING.search(task) is None:
            return remembered.input, Condition("by the clock", True)
        if not _could_move(remembered.input):
            return remembered.input, Condition("by the clock", True)
        try:
            induced = Induced.of(remembered.induced or "")
            if any(_could_move(value) for value in induced.fixed.values()):
                raise Unexplained("an argument that is not in the words may be of another day")
            with self._lock:
                reader = read()
                fits = self._families.fitting(reader.words.words, reader.spans_at)
                fit = next(
                    f for f in fits if f.family.capability == capability.id and f.family.template == induced.template
                )
                return self._families.arguments(fit), Condition("by the clock", True, "worked out again")
        except Unexplained as error:
            return remembered.input, Condition("by the clock", False, str(error))
        except (ValueError, KeyError, TypeError, StopIteration):
            return remembered.input, Condition("by the clock", False, "its words mean another day now")

    def _template(
        self, reader: Reader, live: Mapping[str, Capability], aliases: Mapping[str, Alias], conditions: Conditions
    ) -> tuple[Tried, Capability | None, Remembered | None]:
        """The same words with other arguments: the one family that fits best, and what holds of it."""
        fits = _of(self._families.fitting(reader.words.words, reader.spans_at), live, aliases)
        if not fits:
            return self._no_family(reader), None, None
        return self._served("template", fits, reader, aliases, conditions)

    def _semantic(
        self, reader: Reader, live: Mapping[str, Capability], aliases: Mapping[str, Alias], conditions: Conditions
    ) -> tuple[Tried, Capability | None, Remembered | None]:
        """Other words of the same meaning: the one family that fits, and what holds of it."""
        fits = _of(self._wordings.fitting(reader.words, reader.spans_at), live, aliases)
        if not fits:
            return self._no_wording(reader), None, None
        return self._served("semantic", fits, reader, aliases, conditions)

    def _served(
        self,
        route: Literal["template", "semantic"],
        fits: Sequence[Fit],
        reader: Reader,
        aliases: Mapping[str, Alias],
        conditions: Conditions,
    ) -> tuple[Tried, Capability | None, Remembered | None]:
        """The family that fits best, and what holds of it. Of other wordings all have to say the same."""
        made = [self._made(fit) for fit in fits]
        says = [
            (fit.family.capability, problem, None if problem else schemas.canonical(arguments))
            for fit, (arguments, problem) in zip(fits, made, strict=True)
        ]
        first = max(range(len(fits)), key=lambda index: fits[index].literal)
        rivals = [
            fit
            for fit, said in zip(fits, says, strict=True)
            if (route == "semantic" or fit.literal == fits[first].literal) and said != says[first]
        ]
        arguments, problem = made[first]
        alike = [fit for fit, said in zip(fits, says, strict=True) if said == says[first]]
        best = max(alike, key=lambda fit: (self._is_trusted(route, fit, conditions), fit.literal))
        solved = best.family.latest
        capability, arguments = self._now_serving(solved, arguments, aliases)
        holding = [
            conditions.one_family(best, rivals),
            conditions.live(capability),
            conditions.goes_together(best.family),
            conditions.parsed(problem),
            conditions.trusted(route, best.family, self._families.agreed(best.family)),
            conditions.of_this_day(solved, reader.words.text),
            conditions.same_data(capability, solved.data),
        ]
        if route == "semantic":
            holding.append(conditions.changes_nothing(capability))
        if problem is None:
            holding += [conditions.schema(capability, arguments), conditions.consent(capability)]
        way = Tried(
            route,
            capability.id,
            None if problem else arguments,
            best.family.template.pattern(),
            tuple((span.kind, span.said) for span in best.spans),
            conditions=tuple(holding),
            signature=best.family.signature(),
        )
        others = [other.key for other in best.family.solved]
        return way, capability, self._memory.wording(solved.key, reader.words.text, arguments, others)

    def _is_trusted(self, route: str, fit: Fit, conditions: Conditions) -> bool:
        trusted = conditions.trusted(route, fit.family, self._families.agreed(fit.family))
        return trusted.holds and conditions.goes_together(fit.family).holds

    def _made(self, fit: Fit) -> tuple[Any, str | None]:
        """The arguments that a family makes, or why it makes none."""
        try:
            return self._families.arguments(fit), None
        except Unexplained as error:
            return None, str(error)

    def _now_serving(self, solved: Solved, arguments: Any, aliases: Mapping[str, Alias]) -> tuple[Capability, Any]:
        alias = aliases.get(solved.capability)
        if alias is not None:
            return alias.kept, alias.input(arguments)
        current = self._library.get(solved.capability)
        version = min(solved.version, current.version)
        found = self._library.get(solved.capability, version)
        return (found if found.live or found.status == "superseded" else current), arguments

    def _no_family(self, reader: Reader) -> Tried:
        """Which template the task comes nearest to, and the words that it leaves over."""
        words = reader.words.words
        reached, family = self._families.nearest(words, reader.spans_at)
        return Tried(
            "template",
            None,
            template=family.template.pattern() if family is not None else None,
            left_over=tuple(words[reached:]),
            conditions=(
                Condition("every word accounted for", False, f"no template has {' '.join(words[reached:][:8])!r} here"),
            ),
        )

    def _no_wording(self, reader: Reader) -> Tried:
        """Which solved task has most words in common with this one, and the words that only one of them has."""
        nearest = self._wordings.nearest(reader.words)
        why = "no solved task has these words in another form"
        if nearest is not None and nearest.missing:
            why += f"; the nearest also has {', '.join(map(repr, nearest.missing[:8]))}"
        return Tried(
            "semantic",
            None,
            template=nearest.family.template.pattern() if nearest is not None else None,
            left_over=nearest.left_over if nearest is not None else reader.words.words,
            conditions=(_unaccounted(why),),
        )

    # Learning

    def learn(
        self,
        task: str,
        ran: Ran,
        capability: Capability,
        answer: str,
        now: datetime,
        run_id: str,
        decision: Decision | None,
    ) -> Lesson | None:
        """Keeps a task that a model solved with one run: its words, and which of them became which argument.

        What memory would have done by itself is compared with what the model did. Returns what was learned;
        None where the operator's policy has nothing of the task kept.
        """
        if not self._memory.keeping.admits(task, json.dumps(ran.input), ran.output_text, answer):
            return None
        checks: list[Check] = []
        for way in decision.tried if decision is not None else ():
            if way.proposes() and way.capability is not None and way.signature is not None:
                agreed = way.capability == ran.capability and _same_arguments(way.input, ran.input)
                checks.append(self.trust.checked(way.judged_as, way.capability, way.signature, agreed=agreed))
        words = words_of(task)
        with self._lock:
            self._refresh()
            choices = self._families.choices.known
        reader = Reader(words, now, {capability.id: capability}, AsRead(self._entities, ran), choices)
        induced: str | None = None
        if len(words.words) <= MAX_WORDS:
            try:
                induced = induce(words.words, reader.spans_for(capability), ran.input).text()
            except (Unexplained, RecursionError):
                log.info("the words of the task of run %s make no template", run_id)
        learned = Learned(run_id, now.date().isoformat(), fingerprint(capability, self._entities), induced)
        self._memory.remember(
            task, ran.capability, ran.version, ran.input, ran.output_text, answer, capability.effects,
            output=ran.output, learned=learned,
        )  # fmt: skip
        return Lesson(learned, tuple(checks))

    def _refresh(self) -> None:
        """Takes in what was remembered since, here or by another process."""
        rewritten, latest = self._memory.state()
        if rewritten != self._state[0]:
            self._families = Families()
            self._wordings = Wordings(self._families)
            self._state = (rewritten, 0)
        if latest <= self._state[1]:
            return
        rows = self._memory.learned(self._state[1])
        with _uncollected() if len(rows) > MANY else nullcontext():
            for seq, key, capability, version, day, data, text in rows:
                self._state = (rewritten, max(seq, self._state[1]))
                try:
                    induced = Induced.of(text)
                except (ValueError, KeyError, TypeError):
                    continue
                self._families.add(Solved(capability, version, induced, day, data or "", key))
        self._state = (rewritten, latest)


@contextmanager
def _uncollected() -> Iterator[None]:
    """While nothing but what is kept is made, garbage is looked for once, at the end."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


def _unsaid(task: str, remembered: Remembered) -> list[Any]:
    """The arguments of a solved task that none of its words say."""
    try:
        return list(Induced.of(remembered.induced or "").fixed.values())
    except (ValueError, KeyError, TypeError):
        words = task.casefold()
        return [leaf for _, leaf in scalars(remembered.input) if str(leaf).casefold() not in words]


def _same_arguments(one: Any, other: Any) -> bool:
    """Whether two calls say the same; 40.0 is 40."""
    ours, theirs = dict(scalars(one)), dict(scalars(other))
    return ours.keys() == theirs.keys() and all(same(value, theirs[path]) for path, value in ours.items())


def _could_move(value: Any) -> bool:
    """Whether a value may be worked out from the clock: a day, a time or a number in it."""
    return any(
        dated(leaf) or (isinstance(leaf, (int, float)) and not isinstance(leaf, bool)) or _numeral(leaf)
        for _, leaf in scalars(value)
    )


def _numeral(leaf: Any) -> bool:
    return isinstance(leaf, str) and leaf[:1].isdigit()


def _of(fits: Sequence[Fit], live: Mapping[str, Capability], aliases: Mapping[str, Alias]) -> list[Fit]:
    """Those of capabilities that are in use, or that one in use answers for."""
    return [fit for fit in fits if fit.family.capability in live or fit.family.capability in aliases]


def _only_consent(way: Tried) -> bool:
    failing = [condition for condition in way.conditions if not condition.holds]
    return [c.name for c in failing] == ["changes nothing unasked"]


def _abstains(why: str) -> Tried:
    return Tried("template", None, conditions=(_unaccounted(why),))


def _unaccounted(why: str) -> Condition:
    return Condition("every word accounted for", False, why)


def _decision(
    task: str, tried: Sequence[Tried], capability: Capability | None = None, remembered: Remembered | None = None
) -> Decision:
    last = tried[-1]
    serves = last if last.serves and capability is not None else None
    if serves is not None:
        reason = f"{serves.route}: every condition holds"
    else:
        reason = "; ".join(f"{way.route}: {way.reason}" for way in tried)
    waits = capability is not None and serves is None
    return Decision(task, serves, tuple(tried), capability, remembered, reason, waits)
