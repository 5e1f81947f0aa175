"""SQL statements taken apart: which tables they touch and how, or why that cannot be told.

Only what is listed in `grammar.py` is understood; any other node, argument of a node, function or type refuses the
whole. What runs is the text generated from the checked tree, in which every name is quoted and every literal text is a
bound parameter. That text is parsed once more and must give the same tree.

Names are compared as the database resolves them: SQLite ignores the case of ASCII letters, quoted or not; PostgreSQL
reads unquoted names in lower case and quoted ones as they are.
"""

from __future__ import annotations

import functools
import logging
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from metier.effects import grammar
from metier.effects.door import EffectError, base64_bytes

Dialect = Literal["sqlite", "postgresql"]
Values = Sequence[Any] | Mapping[str, Any]

MAX_STATEMENT = 20_000
MAX_TOKENS = 2_000
"""What can be understood in half a second; the time is the host's, and no deadline of a run ends it."""
MAX_POSTGRESQL_NAME = 63
"""Bytes; PostgreSQL cuts longer names off, and they become other names (NAMEDATALEN)."""
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_NUMBER = re.compile(r"\d{1,100}(\.\d{0,100})?([eE][+-]?\d{1,4})?")
_INTERVAL = re.compile(r"[-+.: 0-9A-Za-z]{1,60}")
_WORDS = re.compile(r"[A-Za-z ]{1,30}")
_BOUND = "\0"
"""Stands around the name of a parameter while text is generated; no statement may have it."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a statement makes of one row: how often a value is gone through, and what is searched for in values."""

    steps: int
    """Functions, operators and columns of the answer, each of which may make a value of its own."""
    needles: tuple[tuple[str, ...] | None, ...]
    """Texts that a search compares everywhere in another: the parameters that make one up, None for any value."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that was understood. `touched` is every (table, verb), in the words of permissions."""

    sql: str
    """With parameters as the driver writes them: `:p0` for SQLite, `%(p0)s` for PostgreSQL."""
    touched: frozenset[tuple[str, str]]
    parameters: Mapping[str, Any]
    returns_rows: bool
    returned: tuple[str, ...]
    """Names of what RETURNING gives, but for `*`."""
    local_names: frozenset[str]
    """Common table expressions, as SQLite compares names."""
    work: Work = Work(0, ())

    @property
    def writes(self) -> bool:
        return any(verb != "select" for _, verb in self.touched)


def ascii_lower(name: str) -> str:
    """The name as SQLite compares it. Only ASCII letters: `casefold` would make one of `K` and the Kelvin sign."""
    return name.translate(_LOWER)


def understood(text: str, values: Values, dialect: Dialect) -> Statement:
    """The statement in `text`, with `values` for its parameters: `?` each in order, or `:name` each by name.

    Raises:
        EffectError: it is not exactly one statement whose tables and verbs can all be told.
    """
    read = _read(text, dialect, isinstance(values, Mapping))
    return replace(read.statement, parameters={**read.statement.parameters, **_bound(read, values)})


@dataclass(frozen=True, slots=True)
class _Read:
    """A statement that was understood, before it has values for its parameters."""

    statement: Statement
    """Its parameters are the texts that stood in it."""
    places: Mapping[str, str]
    """Names of parameters that were given, by those in the generated text."""
    moments: frozenset[str]
    """Of them those that stand in a function."""


@functools.lru_cache(maxsize=256)
def _read(text: str, dialect: Dialect, by_name: bool) -> _Read:
    from sqlglot import exp

    try:
        tree = _parsed(text, dialect, by_name)
        for node in tree.walk():
            _check(node, dialect)
        _resolve_names(tree, dialect)
        if dialect == "sqlite":
            _name_columns(tree)
        touched = frozenset(_touched(tree, dialect))
        texts, places, moments = _bind(tree)
        returning = tree.args.get("returning")
        returns_rows = type(tree).__name__ in grammar.QUERIES or returning is not None
        returned = tuple(part.alias_or_name for part in returning.expressions if not part.is_star) if returning else ()
        local_names = frozenset(ascii_lower(cte.alias) for cte in tree.find_all(exp.CTE))
        sql = _generated(tree, dialect)
        return _Read(Statement(sql, touched, texts, returns_rows, returned, local_names, _work(tree)), places, moments)
    except RecursionError:
        raise EffectError("invalid", "the statement is nested too deep") from None
    except (ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
        # A parser that trips over a statement has not understood it.
        raise EffectError("invalid", f"the statement is not understood ({type(error).__name__})") from None


def _parsed(text: str, dialect: Dialect, by_name: bool) -> Any:
    from sqlglot.errors import SqlglotError

    if len(text) > MAX_STATEMENT or "\0" in text:
        raise EffectError("invalid", f"a statement has at most {MAX_STATEMENT} characters, and no NUL")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it does not understand is refused here
    try:
        tokens = _language(dialect).tokenize(text)
        if len(tokens) > MAX_TOKENS:
            raise EffectError(
                "invalid", f"a statement has at most {MAX_TOKENS} words and signs; give values by parameters"
            )
        named = text if by_name else _named(text, tokens)
        found = [tree for tree in _language(dialect).parse(named) if tree is not None]
    except SqlglotError as error:
        raise EffectError("invalid", f"the statement does not parse: {_line(error)}") from None
    if len(found) != 1:
        raise EffectError("denied", "exactly one statement at a time")
    if type(found[0]).__name__ not in grammar.STATEMENTS:
        raise EffectError("denied", "only SELECT, INSERT, UPDATE and DELETE")
    return found[0]


def _named(text: str, tokens: Sequence[Any]) -> str:
    """The statement with its `?`, in the order of the text, as `:p0`, `:p1`…"""
    from sqlglot import TokenType

    parts, position, count = [], 0, 0
    for token, following in zip(tokens, [*tokens, None][1:], strict=True):
        if token.token_type == TokenType.COLON and following is not None and token.end + 1 == following.start:
            raise EffectError("invalid", ":name stands for a parameter of an object; the parameters are a list")
        if token.token_type == TokenType.PLACEHOLDER and token.text == "?":
            parts += [text[position : token.start], f" :p{count} "]
            position, count = token.end + 1, count + 1
    return "".join([*parts, text[position:]])


@functools.cache
def _language(dialect: Dialect) -> Any:
    """sqlglot's dialect, with functions kept as they are written instead of translated to what it knows of them."""
    from sqlglot import TokenType, exp
    from sqlglot.dialects.postgres import Postgres
    from sqlglot.dialects.sqlite import SQLite

    base: Any = SQLite if dialect == "sqlite" else Postgres

    def arrow(made: Any) -> Any:  # its path stays an expression, and is not translated
        return lambda self, this, path: self.expression(made(this=this, expression=path, only_json_types=True))

    operators = "CONCAT_OPERATORS" if dialect == "sqlite" else "JSON_OPERATORS"
    arrows = {TokenType.ARROW: arrow(exp.JSONExtract), TokenType.DARROW: arrow(exp.JSONExtractScalar)}
    own = {
        "FUNCTIONS": {},
        "LAMBDAS": {},  # -> is about JSON only
        "FUNCTION_PARSERS": {name: base.Parser.FUNCTION_PARSERS[name] for name in ("CAST", "EXTRACT")},
        "NO_PAREN_FUNCTION_PARSERS": {"CASE": base.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]},
        operators: {**getattr(base.Parser, operators), **arrows},
    }
    return type(f"Metier_{dialect}", (base,), {"Parser": type("Parser", (base.Parser,), own)})()


def _check(node: Any, dialect: Dialect) -> None:
    """Refuses a node that is not listed, or has an argument that is not."""
    from sqlglot import exp

    name = type(node).__name__
    known = grammar.NODES.get(name)
    present = {key: value for key, value in node.args.items() if value not in (None, False, [], "")}
    if known is None or not present.keys() <= known:
        what = "" if known is None else f" with {', '.join(sorted(present.keys() - known))}"
        raise EffectError("denied", f"{_shown(node, dialect)} ({name}{what}) is not among what statements may have")
    if isinstance(node, exp.Anonymous):
        _check_function(node, dialect)
    elif isinstance(node, exp.Literal):
        if not node.is_string and not _NUMBER.fullmatch(node.this):
            raise EffectError("denied", f"the number {node.this[:40]} is not written in digits")
    elif isinstance(node, exp.Interval):
        if not isinstance(node.this, exp.Literal) or not _INTERVAL.fullmatch(node.this.this):
            raise EffectError("denied", "an interval is a text such as '3 days'")
    elif isinstance(node, exp.DataType):
        if node.this.name not in grammar.TYPES[dialect]:
            raise EffectError("denied", f"the type {_shown(node, dialect)} is not among those that statements may name")
    elif isinstance(node, exp.Var):
        if node.name.upper() not in grammar.WORDS.get((type(node.parent).__name__, node.arg_key), ()):
            raise EffectError("denied", f"{node.name[:60]} is not among what statements may have")
    elif not isinstance(node, (exp.Identifier, exp.Placeholder)):
        texts = [value for value in present.values() if isinstance(value, str)]
        if not all(map(_WORDS.fullmatch, texts)):
            raise EffectError("denied", f"{_shown(node, dialect)} is not among what statements may have")


def _check_function(node: Any, dialect: Dialect) -> None:
    """By the name as it is written; a quoted or qualified one is refused, for it may be anyone's."""
    name = ascii_lower(node.this) if isinstance(node.this, str) else ""
    if name in grammar.CLOCKS[dialect]:
        given = [part.this.strip().lower() for part in node.expressions if part.is_string]
        if len(node.expressions) < grammar.CLOCKS[dialect][name] or "now" in given:
            raise EffectError("denied", f"{name} would tell the time; give it a date as a parameter")
    if name not in grammar.FUNCTIONS[dialect]:
        shown = node.this if isinstance(node.this, str) else node.this.name
        raise EffectError("denied", f"the function {shown[:60]} is not among those that statements may call")


def _resolve_names(tree: Any, dialect: Dialect) -> None:
    """Writes each name as the database resolves it, and quotes it."""
    from sqlglot import exp

    for name in tree.find_all(exp.Identifier):
        if dialect == "postgresql":
            if not name.args.get("quoted"):
                name.set("this", ascii_lower(name.this))
            if len(name.this.encode("utf-8", "surrogatepass")) > MAX_POSTGRESQL_NAME:
                raise EffectError("denied", f"names are longer than {MAX_POSTGRESQL_NAME} bytes")
        if not name.this or any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in name.this):
            raise EffectError("denied", "a name is empty, or has characters that no name has")
        name.set("quoted", True)


def _name_columns(tree: Any) -> None:
    """Has computed columns of the result named by what was written, as they would be, and not by what is generated."""
    from sqlglot import exp

    while isinstance(tree, (exp.SetOperation, exp.Subquery)):
        tree = tree.this
    if isinstance(tree, exp.Select):
        for part in tree.expressions:
            if not isinstance(part, (exp.Alias, exp.Column, exp.Star, exp.Subquery)):
                written = part.sql(_language("sqlite"), normalize_functions=False).replace('"', "")
                part.replace(exp.Alias(this=part.copy(), alias=exp.to_identifier(written[:100], quoted=True)))


def _touched(tree: Any, dialect: Dialect) -> Iterator[tuple[str, str]]:
    from sqlglot import exp

    changes = [node for node in tree.walk() if isinstance(node, (exp.Insert, exp.Update, exp.Delete))]
    if any(node is not tree for node in changes):
        raise EffectError("denied", "a change may not stand inside another statement")
    target = _target(tree) if changes else None
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise EffectError("denied", "functions that give tables are not among what statements may have")
        if table is target:
            for verb in _verbs(tree):
                yield _table(table, dialect), verb
        elif len(table.parts) > 1 or not _is_cte(table):
            yield _table(table, dialect), "select"


def _target(tree: Any) -> Any:
    """The table that a statement changes."""
    from sqlglot import exp

    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if not isinstance(target, exp.Table):
        raise EffectError("denied", "the table that is changed cannot be told")
    return target


def _verbs(tree: Any) -> Iterator[str]:
    """What a change does to its table. As PostgreSQL counts: who reads columns to change them needs `select` too, or
    the count of changed rows would tell what is in them."""
    from sqlglot import exp

    yield type(tree).__name__.lower()
    conflict = tree.args.get("conflict")
    if conflict is not None and conflict.text("action").upper() != "DO NOTHING":
        yield "update"
    kept = [tree.args.get(key) for key in ("where", "returning", "from_", "using", "conflict")]
    parts = [part for some in kept for part in (some if isinstance(some, list) else [some])]
    if isinstance(tree, exp.Update):
        if not all(isinstance(change, exp.EQ) for change in tree.expressions):
            raise EffectError("denied", "what is set cannot be told")
        parts += [change.expression for change in tree.expressions]
    if tree.args.get("returning") or any(
        part.find(exp.Column, exp.Identifier) for part in parts if isinstance(part, exp.Expression)
    ):
        yield "select"


def _table(table: Any, dialect: Dialect) -> str:
    parts = [part.name for part in table.parts]
    if any("." in part for part in parts):  # permissions join schema and table with one
        raise EffectError("denied", f"{parts[-1][:60]} has a dot in its name")
    folded = [ascii_lower(part) for part in parts]
    foreign = folded[:-1] not in ([], ["main"]) if dialect == "sqlite" else folded[0] == "information_schema"
    if foreign or any(part.startswith(grammar.SYSTEM_NAMES[dialect]) for part in folded):
        raise EffectError("denied", f"{'.'.join(parts)[:100]} is one of the database's own tables")
    return ".".join(folded if dialect == "sqlite" else parts)


def _is_cte(table: Any) -> bool:
    """Whether a table name is that of a common table expression; refused where it could be either."""
    from sqlglot import exp

    name = ascii_lower(table.name)
    owners = [w for w in table.root().find_all(exp.With) if any(ascii_lower(c.alias) == name for c in w.expressions)]
    if not owners:
        return False
    names = [ascii_lower(cte.alias) for cte in owners[0].expressions]
    above = _ancestors(table)
    inside = next((i for i, cte in enumerate(owners[0].expressions) if id(cte) in above), len(names))
    defined = names.index(name)
    itself = inside == defined and bool(owners[0].args.get("recursive"))
    unique = len(owners) == 1 and names.count(name) == 1
    if not unique or id(owners[0].parent) not in above or not (inside > defined or itself):
        raise EffectError("denied", f"{table.name[:60]} is the name of two things")
    return True


def _ancestors(node: Any) -> set[int]:
    """By identity: two equal parts of a statement are still two."""
    found = set()
    while node.parent is not None:
        node = node.parent
        found.add(id(node))
    return found


def _bind(tree: Any) -> tuple[dict[str, str], dict[str, str], frozenset[str]]:
    """Names each parameter, and makes one of each literal text; see _Read."""
    from sqlglot import exp

    texts: dict[str, str] = {}
    names: dict[str, str] = {}
    moments = set()
    for node in list(tree.find_all(exp.Placeholder, exp.Literal)):
        if isinstance(node, exp.Placeholder):
            key = names.setdefault(node.this or "?", f"p{len(names) + len(texts)}")
            if isinstance(node.parent, exp.Anonymous):
                moments.add(key)
        elif node.is_string and not isinstance(node.parent, exp.Interval):
            # The same text is the same parameter, so that PostgreSQL still sees GROUP BY repeat a column.
            key = texts.setdefault(node.this, f"p{len(names) + len(texts)}")
        else:
            continue
        node.replace(exp.Placeholder(this=key))
    turned = ({key: name for name, key in some.items()} for some in (texts, names))
    return next(turned), next(turned), frozenset(moments)


def _work(tree: Any) -> Work:
    """Of a tree whose literal texts are parameters."""
    from sqlglot import exp

    needles: list[tuple[str, ...] | None] = []
    steps = 0
    for node in tree.walk():
        returned = node.arg_key == "expressions" and isinstance(node.parent, (exp.Select, exp.Returning))
        steps += returned or isinstance(node, (exp.Anonymous, exp.Binary, exp.Cast, exp.Star))
        if isinstance(node, (exp.Like, exp.ILike, exp.Glob)):
            needles.append(_needle(node.expression))
        elif isinstance(node, exp.Anonymous) and (place := grammar.NEEDLES.get(ascii_lower(node.this))) is not None:
            needles += [_needle(needle) for needle in node.expressions[place : place + 1]]
    return Work(steps, tuple(needles))


def _needle(node: Any) -> tuple[str, ...] | None:
    from sqlglot import exp

    simple = (exp.Placeholder, exp.Literal, exp.Null, exp.DPipe, exp.Paren, exp.Escape)
    if not all(isinstance(part, simple) for part in node.walk()):
        return None
    return tuple(part.this for part in node.find_all(exp.Placeholder))


def _bound(read: _Read, given: Values) -> dict[str, Any]:
    named = given if isinstance(given, Mapping) else {f"p{number}": value for number, value in enumerate(given)}
    values = {}
    for key, name in read.places.items():
        if name not in named:
            raise EffectError("invalid", f"there is no parameter for {name if isinstance(given, Mapping) else '?'}")
        values[key] = _parameter(named[name])
        if key in read.moments and values[key] == "now":
            raise EffectError("denied", "'now' would tell the time; give it a date as a parameter")
    if len(named) > len(values):
        raise EffectError("invalid", "there are more parameters than places for them (? or :name)")
    return values


def _parameter(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, float)):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
        return base64_bytes(value["base64"])
    raise EffectError(
        "invalid", 'a parameter is a text, a number of at most 64 bits, a truth value, null or {"base64": …}'
    )


def _generated(tree: Any, dialect: Dialect) -> str:
    """The text of the checked tree, after it was seen to mean that tree again."""
    from sqlglot.errors import SqlglotError

    plain = _text(tree, dialect, ":", "")
    try:
        again = _language(dialect).parse(plain)
    except SqlglotError:
        again = []
    if len(again) != 1 or again[0] != tree or _text(again[0], dialect, ":", "") != plain:
        raise EffectError("denied", "the statement can be read in more than one way; write it in plainer SQL")
    if dialect == "sqlite":
        return plain
    marked = _text(tree, dialect, _BOUND, _BOUND).replace("%", "%%")
    return re.sub(f"{_BOUND}(p\\d+){_BOUND}", r"%(\1)s", marked)


def _text(tree: Any, dialect: Dialect, before: str, after: str) -> str:
    from sqlglot import exp
    from sqlglot.errors import ErrorLevel, SqlglotError

    copy = tree.copy()
    quote = "`" if dialect == "sqlite" else '"'  # SQLite takes an unknown name in double quotes for a text
    for node in list(copy.find_all(exp.Identifier, exp.Placeholder)):
        if isinstance(node, exp.Placeholder):
            node.replace(exp.Var(this=f"{before}{node.this}{after}"))
        elif node.arg_key != "expression" or not isinstance(node.parent, exp.Collate):
            node.replace(exp.Var(this=quote + node.this.replace(quote, quote * 2) + quote))
    try:
        sql = copy.sql(
            dialect=_language(dialect), comments=False, normalize_functions=False, unsupported_level=ErrorLevel.RAISE
        )
    except SqlglotError as error:
        raise EffectError("invalid", f"the statement cannot be run here: {_line(error)}") from None
    return str(sql)


def _line(error: Exception) -> str:
    return " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())[:200]


def _shown(node: Any, dialect: Dialect) -> str:
    try:
        return str(node.sql(dialect=_language(dialect), comments=False))[:60]
    except Exception:  # a generator that cannot write what it parsed must not hide the refusal
        return type(node).__name__


__all__: Final = ["Dialect", "Statement", "ascii_lower", "understood"]
