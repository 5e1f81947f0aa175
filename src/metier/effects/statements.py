"""SQL statements taken apart: which tables they touch and how, or why that cannot be told.

Only what is on the lists below is understood; every other node of the parsed statement refuses the whole. What runs is
the text generated from the checked tree, with every literal text as a bound parameter, and never the text that came in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metier.effects.door import EffectError

MAX_STATEMENT = 50_000

STRUCTURE = frozenset(
    """
    Select From Join Where Group Having Order Ordered Limit Offset With CTE Subquery Union Except Intersect Table
    TableAlias Alias Column Identifier Star Literal Boolean Null Paren Tuple Between In Not Neg Exists Case If Cast
    DataType DataTypeParam Distinct Window WindowSpec Filter Insert Values Update Delete Returning OnConflict Schema
    Placeholder Collate EQ NEQ GT GTE LT LTE And Or Add Sub Mul Div IntDiv Mod Like ILike Is DPipe Escape Var
    NullSafeEQ NullSafeNEQ
    """.split()
)
FUNCTIONS = frozenset(
    """
    Count Sum Avg Min Max Abs Round Floor Ceil Lower Upper Length Trim Substring Coalesce Nullif Concat ConcatWs Replace
    RowNumber Rank DenseRank PercentRank Ntile Lag Lead FirstValue LastValue StrPosition Left Right GroupConcat Sqrt Pow
    Least Greatest Sign
    """.split()
)
"""Functions that compute and do nothing else; no clock, no randomness, no files."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that was understood. `touched` is every (table, verb); `sql` has named parameters, `:p0`."""

    sql: str
    touched: frozenset[tuple[str, str]]
    parameters: Mapping[str, Any]

    @property
    def writes(self) -> bool:
        return any(verb != "select" for _, verb in self.touched)


def understood(text: str, parameters: Sequence[Any] | Mapping[str, Any], dialect: str) -> Statement:
    """The statement in `text`.

    Raises:
        EffectError: it is not exactly one statement whose tables and verbs can all be told.
    """
    tree = _parsed(text, dialect)
    for node in tree.walk():
        name = type(node).__name__
        if name not in STRUCTURE and name not in FUNCTIONS:
            raise EffectError("denied", f"{_said(node, dialect)} is not among what statements may have")
        if node.args.get("hint") or node.args.get("locks") or node.args.get("into"):
            raise EffectError("denied", "hints, locks and INTO are not among what statements may have")
    touched = frozenset(_touched(tree))
    bound = _bind(tree, parameters)
    return Statement(tree.sql(dialect=dialect, comments=False), touched, bound)


def _parsed(text: str, dialect: str) -> Any:
    import sqlglot

    if len(text) > MAX_STATEMENT or "\0" in text:
        raise EffectError("invalid", f"a statement has at most {MAX_STATEMENT} characters, and no NUL")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it does not understand is refused here
    try:
        found = [tree for tree in sqlglot.parse(text, read=dialect) if tree is not None]
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        line = " ".join(str(error).split())[:200]
        raise EffectError("invalid", f"the statement does not parse: {line}") from None
    if len(found) != 1:
        raise EffectError("denied", "exactly one statement at a time")
    if type(found[0]).__name__ not in ("Select", "Union", "Except", "Intersect", "Insert", "Update", "Delete"):
        raise EffectError("denied", "only SELECT, INSERT, UPDATE and DELETE")
    return found[0]


def _touched(tree: Any) -> Iterator[tuple[str, str]]:
    from sqlglot import exp

    targets = {}
    for node in tree.walk():
        if isinstance(node, (exp.Insert, exp.Update, exp.Delete)):
            if node is not tree:
                raise EffectError("denied", "a change may not stand inside another statement")
            target = node.this.this if isinstance(node.this, exp.Schema) else node.this
            if not isinstance(target, exp.Table):
                raise EffectError("denied", "the table that is changed cannot be told")
            targets[id(target)] = type(node).__name__.lower()
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise EffectError("denied", "functions that give tables are not among what statements may have")
        name = ".".join(part.name for part in table.parts)
        verb = targets.get(id(table))
        if verb is None and len(table.parts) == 1 and _is_cte(table):
            continue
        yield name, verb or "select"
        if verb and tree.args.get("returning"):
            yield name, "select"
        if verb == "insert" and tree.args.get("conflict"):
            yield name, "update"


def _is_cte(table: Any) -> bool:
    """Whether a table name is that of a common table expression; refused where it could be either."""
    from sqlglot import exp

    name = table.name.casefold()
    owners = [w for w in table.root().find_all(exp.With) if any(c.alias.casefold() == name for c in w.expressions)]
    if not owners:
        return False
    if len(owners) > 1:
        raise EffectError("denied", f"{table.name} is defined more than once")
    names = [cte.alias.casefold() for cte in owners[0].expressions]
    if names.count(name) > 1 or owners[0].parent not in _ancestors(table):
        raise EffectError("denied", f"{table.name} is a name of two things")
    inside = next((i for i, cte in enumerate(owners[0].expressions) if cte in _ancestors(table)), None)
    defined = names.index(name)
    if inside is not None and not (inside > defined or (inside == defined and owners[0].args.get("recursive"))):
        raise EffectError("denied", f"{table.name} is a name of two things")
    return True


def _ancestors(node: Any) -> list[Any]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return _ById(found)


class _ById(list[Any]):
    """A list that finds by identity: two equal parts of a statement are still two."""

    def __contains__(self, wanted: object) -> bool:
        return any(item is wanted for item in self)


def _bind(tree: Any, given: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    """Names each placeholder, makes one of each literal text, and returns what they stand for."""
    from sqlglot import exp

    values: dict[str, Any] = {}
    rest = iter(given) if not isinstance(given, Mapping) else None
    used: set[str] = set()
    for node in list(tree.find_all(exp.Placeholder, exp.Literal)):
        if isinstance(node, exp.Literal) and not node.is_string:
            continue
        if isinstance(node, exp.Literal):
            value: Any = node.this
        elif rest is not None and not node.this:
            value = next(rest, _MISSING)
        elif isinstance(given, Mapping) and node.this in given:
            used.add(node.this)
            value = given[node.this]
        else:
            value = _MISSING
        if value is _MISSING or not isinstance(value, (str, int, float, bool, type(None))):
            raise EffectError("invalid", "each placeholder needs a parameter: a text, number, truth value or null")
        name = f"p{len(values)}"
        values[name] = value
        node.replace(exp.Var(this=f":{name}"))
    if (rest is not None and next(rest, _MISSING) is not _MISSING) or (
        isinstance(given, Mapping) and set(given) - used
    ):
        raise EffectError("invalid", "there are more parameters than placeholders")
    return values


_MISSING = object()


def _said(node: Any, dialect: str) -> str:
    try:
        return str(node.sql(dialect=dialect))[:60]
    except Exception:  # a generator that cannot write what it parsed must not hide the refusal
        return type(node).__name__
