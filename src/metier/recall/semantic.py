"""Other words of the same meaning: a task and a solved one that are the same question, asked in another form.

Two wordings count as one only where a closed list of turns makes them the same, word for word: how one asks ("tell
me", "what is"), "the", the possessive ("Ana's salary", "the salary of Ana"), an indirect question ("how many days Ana
has left"), and where a day or "in Berlin" stands. Every other word, its form and its place count. Which wordings are
looked at is a matter of the words that they share, and decides nothing.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metier.recall.families import Families, Family, Fit
from metier.recall.slots import Span
from metier.recall.templates import Template
from metier.recall.words import Words

MAX_TASK = 40
"""Words; a longer task is rarely one question."""
MAX_NOMINATED, MAX_PLACINGS = 32, 256

_REQUESTS = [
    phrase.split()
    for phrase in (
        "tell me,show me,give me,let me know,i want to know,i need to know,i would like to know,i'd like to know"
    ).split(",")
]
_ASKS = [["what", "is"], ["what", "'s"], ["what", "are"]]
_QUESTION = frozenset("how what when where which who".split())
_PLACED = frozenset("after at before during from in on since to until with".split())
"""Prepositions that stay with their slot wherever the two stand."""
_CLOSED = _QUESTION | _PLACED | frozenset(
    "a about above across against all along also always am among an and any are as back be because been before being "
    "below beside besides between beyond both but by can cannot could did do does done down each either else even ever "
    "every everybody everyone everything except excluding few fewer first for former had has have he her here hers "
    "him his i if including instead into is it its just last least less like many may me might minus mine more most "
    "much must my near neither never next no nobody none nor not nothing now of off once one only onto or other others "
    "our out outside over own past per plus previous same several shall she should some still such than that the their "
    "them then these they this those though through till together too toward towards twice under unless up upon us "
    "versus via was we were whenever whether while whom whose why will within without would yet you your 's".split()
)  # fmt: skip
"""Words that say how the others go together, which or how many; a name for what is asked has none of them."""
_TIMES = frozenset(
    "today tomorrow yesterday tonight morning noon afternoon evening night midnight soon later immediately currently "
    "monday tuesday wednesday thursday friday saturday sunday january february march april june july august september "
    "october november december day days week weeks weekend month months quarter year years hour hours minute minutes "
    "second seconds daily weekly monthly yearly".split()
)
_BOTH_WAYS = frozenset(
    "account analysis answer appraisal article attack audit award best bid bill book calendar call capture care check "
    "choice claim complaint copy credit critique cure debt defeat delay delete description document drawing email "
    "evaluation exam fear feedback file gift half hate help hire image impression interview investigation invite "
    "invoice judgement judgment kind letter list loan loss love mail majority map match memory mention message name "
    "news note number offer opinion order part payment phone photo photograph pic pick picture portrait praise "
    "present profile promise purchase question quote rating record reference release remainder report request "
    "research respect rest review role sale score search share sort statistics story study support survey test text "
    "threat top transfer treatment trial trust type update upload use video view visit vote win worst".split()
)
"""A picture of Ana is not always Ana's, and to show an e-mail is not to say it."""
_OF_A_DEED = ("tion", "tions", "sion", "sions", "ment", "ments", "ing", "ings", "ance", "ence", "al", "als")
"""Ends of nouns that may have somebody who does it and somebody it is done to."""
_NO_DEED = frozenset("department location position total balance".split())

Token = str | tuple[str, int]
"""A word, or a slot: its kind and its number in the order of the text."""
Form = tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Nominated:
    """The wording that shares most words with a task, and what stands on one side only."""

    family: Family
    left_over: tuple[str, ...]
    missing: tuple[str, ...]


class Wordings:
    """The solved wordings by their words, kept up with all families."""

    def __init__(self, families: Families) -> None:
        self._families = families
        self._taken = 0
        self._by_word: dict[str, list[tuple[Family, Form, frozenset[str]]]] = {}

    def fitting(self, words: Words, spans_at: Callable[[str, int], Sequence[Span]]) -> list[Fit]:
        """Every family of which the task is another wording, with the words in its slots."""
        if len(words.words) > MAX_TASK:
            return []
        self._catch_up()
        found = []
        said = set(words.words)
        for family, form in self._nominated(said | {_present(word) for word in said if "does" in said}):
            for spans in _placings(family.template.kinds, words, spans_at):
                if _commas_say_nothing(words, spans) and (order := _alike(own_form(words, spans), form)):
                    found.append(Fit(family, tuple(spans[at] for at in order)))
        return found

    def nearest(self, words: Words) -> Nominated | None:
        """The family that shares most words with a task, for saying why none fits."""
        self._catch_up()
        said = set(words.words)
        families = {id(f): (f, own) for word in said for f, _, own in self._by_word.get(word, ())}
        if not families:
            return None
        family, own = max(families.values(), key=lambda found: (len(found[1] & said), -len(found[1] - said)))
        return Nominated(family, tuple(w for w in words.words if w not in own), tuple(sorted(own - said)))

    def _nominated(self, said: set[str]) -> list[tuple[Family, Form]]:
        """The wordings whose words are all in a task; none where there are too many to look at all of them."""
        entries = (entry for word in said for entry in self._by_word.get(word, ()))
        found = [(family, form) for family, form, own in entries if own <= said]
        return found if len(found) <= MAX_NOMINATED else []

    def _catch_up(self) -> None:
        """Takes in the families that are new; a wording is found by the rarest of its words."""
        for family in self._families.all[self._taken :]:
            form = template_form(family.template)
            own = frozenset(t for t in form or () if isinstance(t, str) and t not in _CLOSED and t != _ASKED)
            if form is not None and own:
                rarest = min(own, key=lambda word: (len(self._by_word.get(word, ())), word))
                self._by_word.setdefault(rarest, []).append((family, form, own))
        self._taken = len(self._families.all)


def template_form(template: Template) -> Form | None:
    """The form of a solved task's words; None where other wordings of it are not known."""
    numbers = itertools.count()
    kinds = iter(template.kinds)
    return _form([word if word is not None else (next(kinds), next(numbers)) for word in template.words])


def own_form(words: Words, spans: Sequence[Span]) -> Form | None:
    """The form of a task, with spans in the order of the text as its slots."""
    tokens: list[Token] = []
    at = 0
    for number, span in enumerate(spans):
        tokens += [*words.words[at : span.begin], (span.kind, number)]
        at = span.end
    return _form([*tokens, *words.words[at:]])


def _alike(one: Form | None, other: Form | None) -> list[int] | None:
    """Which slot of `one` stands for each of `other`, in the order of its text; None where the two differ."""
    if one is None or other is None or len(one) != len(other):
        return None
    places: dict[int, int] = {}
    for mine, theirs in zip(one, other, strict=True):
        if isinstance(mine, tuple) and isinstance(theirs, tuple) and mine[0] == theirs[0]:
            places[theirs[1]] = mine[1]
        elif mine != theirs or isinstance(mine, tuple):
            return None
    return [places[number] for number in sorted(places)] or None


def _placings(kinds: Sequence[str], words: Words, spans_at: Callable[[str, int], Sequence[Span]]) -> list[list[Span]]:
    """Every way to take as many spans of each kind out of a task as a family has; none where there are too many."""
    options: list[list[tuple[Span, ...]]] = []
    for kind, count in Counter(kinds).items():
        spans = [span for at in range(len(words.words)) for span in spans_at(kind, at)]
        if math.comb(len(spans), count) > MAX_PLACINGS:
            return []
        options.append(list(itertools.combinations(spans, count)))
    if not options or math.prod(map(len, options)) > MAX_PLACINGS:
        return []
    placings = [sorted((s for some in taken for s in some), key=_begins) for taken in itertools.product(*options)]
    return [spans for spans in placings if all(a.end <= b.begin for a, b in itertools.pairwise(spans))]


def _begins(span: Span) -> int:
    return span.begin


def _commas_say_nothing(words: Words, spans: Sequence[Span]) -> bool:
    """Whether the only comma outside words and slots, if any, ends what was put before the question."""
    inside = [(words.starts[span.begin], words.ends[span.end - 1]) for span in spans]
    inside += list(zip(words.starts, words.ends, strict=True))
    commas = [
        at
        for at, mark in enumerate(words.text)
        if mark in ",،、" and at < words.ends[-1] and not any(start <= at < end for start, end in inside)
    ]
    if not commas:
        return True
    before = sum(end <= commas[0] for end in words.ends)
    front = {at for span in spans for at in range(span.begin, span.end)}
    placed = all(at in front or words.words[at] in _PLACED for at in range(before))
    return len(commas) == 1 and before > 0 and placed and words.words[before] in _QUESTION


# Forms

_ASKED = "?"
"""At the front of a form: something is asked for by its name."""


def _form(tokens: list[Token]) -> Form | None:
    tokens = [t for t in tokens if t != "the"]
    requested = next((len(r) for r in _REQUESTS if tokens[: len(r)] == r), 0)
    tokens = tokens[requested:]
    if requested and any(_of_time(token) for token in tokens[_counted(tokens) :]):
        return None
    tokens, moved = _without_front(tokens) if not requested else (tokens, [])
    if tokens and tokens[0] in _QUESTION:
        tokens = _direct(tokens)
        asked = next((len(a) for a in _ASKS if tokens[: len(a)] == a), 0)
        if not asked:
            return _question(tokens, moved)
        tokens = tokens[asked:]
    elif not requested:
        return None
    return _named(tokens, moved)


def _without_front(tokens: list[Token]) -> tuple[list[Token], list[tuple[str, Token]]]:
    """Without a day or `in Berlin` put before the question, and that."""
    moved: list[tuple[str, Token]] = []
    while len(tokens) > 2 and tokens[0] not in _QUESTION:
        if tokens[0] in _PLACED and isinstance(tokens[1], tuple):
            moved.append((str(tokens[0]), tokens[1]))
            tokens = tokens[2:]
        elif isinstance(tokens[0], tuple) and tokens[0][0] == "date":
            moved.append(("", tokens[0]))
            tokens = tokens[1:]
        else:
            break
    return tokens, moved


def _tail(tokens: list[Token], moved: list[tuple[str, Token]]) -> tuple[list[Token], list[Token]] | None:
    """The tokens without the days and `in Berlin` at their end, and those in a fixed order; None where that is open."""
    placed = list(moved)
    while len(tokens) > 1 and isinstance(last := tokens[-1], tuple):
        before = tokens[-2]
        if before in _PLACED:
            placed.append((str(before), last))
            tokens = tokens[:-2]
        elif last[0] == "date" and (isinstance(before, tuple) or before not in _CLOSED):
            placed.append(("", last))
            tokens = tokens[:-1]
        else:
            break
    if len({word for word, _ in placed}) < len(placed):
        return None
    in_order = sorted(placed, key=lambda place: place[0])
    return tokens, [token for word, slot in in_order for token in ([word, slot] if word else [slot])]


def _named(tokens: list[Token], moved: list[tuple[str, Token]]) -> Form | None:
    """`Ana 's total pay in Berlin`, or `total pay of Ana in Berlin`, or `total pay in Berlin`."""
    split = _tail(tokens, moved)
    if split is None:
        return None
    tokens, placed = split
    owner: list[Token] = []
    if len(tokens) > 2 and isinstance(tokens[0], tuple) and tokens[1] == "'s":
        owner, tokens = [tokens[0], "'s"], tokens[2:]
    elif len(tokens) > 2 and isinstance(tokens[-1], tuple) and tokens[-2] == "of":
        owner, tokens = [tokens[-1], "'s"], tokens[:-2]
    if not tokens or not all(isinstance(token, str) and _names(token) for token in tokens):
        return None
    head = str(tokens[-1])
    if owner and head not in _NO_DEED and head.endswith(_OF_A_DEED):
        return None
    if any(str(token) in _BOTH_WAYS or str(token).removesuffix("s") in _BOTH_WAYS for token in tokens):
        return None
    return (_ASKED, *owner, *tokens, *placed)


def _of_time(token: Token) -> bool:
    """Whether "tell me … on Friday" may say when to tell it."""
    return token in _TIMES if isinstance(token, str) else token[0] in ("date", "time", "duration")


def _counted(tokens: Sequence[Token]) -> int:
    """How many tokens `how many vacation days` takes at the front."""
    if tokens[:2] not in (["how", "many"], ["how", "much"]):
        return 0
    words = itertools.takewhile(lambda t: isinstance(t, str) and t not in _CLOSED, tokens[2:])
    return 2 + len(list(words))


def _names(word: str) -> bool:
    return word not in _CLOSED and word not in _TIMES and word.isalpha()


def _question(tokens: list[Token], moved: list[tuple[str, Token]]) -> Form | None:
    split = _tail(tokens, moved)
    return None if split is None else (*split[0], *split[1])


def _direct(tokens: list[Token]) -> list[Token]:
    """An indirect question as it would be asked: `how many days Ana has left`, `who Ana 's manager is`."""
    if tokens[-1] in ("is", "are") and not {"is", "are"} & {t for t in tokens[1:-1] if isinstance(t, str)}:
        after = 2 if tokens[0] == "how" and len(tokens) > 3 and tokens[1] not in _CLOSED else 1
        if tokens[0] in ("what", "who", "when", "where") or after == 2:
            return [*tokens[:after], tokens[-1], *tokens[after:-1]]
    for at in range(1, len(tokens) - 1):
        word, slot = tokens[at], tokens[at + 1]
        following = tokens[at + 2] if at + 2 < len(tokens) else ""
        if not isinstance(slot, tuple) or following == "'s":
            continue
        if word == "does" and isinstance(following, str) and (following == "have" or _names(following)):
            return [*tokens[:at], slot, _present(following), *tokens[at + 3 :]]
        if word == "has" and tokens[:2] in (["how", "many"], ["how", "much"]) and at > 2:
            return [*tokens[:at], slot, "has", *tokens[at + 2 :]]
    return tokens


def _present(verb: str) -> str:
    """What somebody does, of what somebody may do: `earn` gives `earns`."""
    if verb == "have":
        return "has"
    if verb.endswith(("s", "sh", "ch", "x", "z", "o")):
        return verb + "es"
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + "s"
