"""Values as people read them. Everything here returns plain text, or markup that Pygments made of escaped text.

What a page shows has passed `shown`: nothing in it is invisible or turns the direction of what stands beside it, so
that a source reads as it runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from metier.outcomes import Effect
from metier.printable import visible

STATES = {
    "candidate": "written, and not yet used on anything but its examples",
    "active": "in use",
    "trusted": "ran well on many different inputs",
    "quarantined": "broke its contract, and is not run",
    "superseded": "a later version serves",
    "retired": "taken out of use",
}
LEXERS = {"cpp": "cpp", "wat": "wast", "wasm": "wast"}
MAX_SHOWN = 20_000
"""Characters of one value that a page shows."""
MAX_HIGHLIGHTED = 60_000
"""Characters of a source that are coloured; a longer one is shown plain."""
MAX_DEPTH = 4


KEPT = "\n\t\u00a0\u202f\u3000\u200c\u200d"
"""Not printable by themselves, and at home in prose: line ends, spaces, and what joins letters and emoji."""


class AsIs(str):
    """Text that is shown as it is: what somebody typed comes back to them, or what has been made visible already."""

    __slots__ = ()


def shown(value: Any) -> Any:
    """What the templates write for a value: of a text, what steers the reader's eye as escapes."""
    return visible(value, keep=KEPT) if type(value) is str else value


def code(text: str) -> AsIs:
    """A piece of source: all that is not printable as escapes, but for line ends and tabs."""
    return AsIs(visible(text.replace("\r\n", "\n"), keep="\n\t"))


def pretty(value: Any) -> str:
    """JSON over several lines, cut where it is long."""
    return cut(json.dumps(value, indent=2, ensure_ascii=False), MAX_SHOWN)


def compact(value: Any, limit: int = 160) -> str:
    """JSON in one line, cut where it is long."""
    return cut(json.dumps(value, ensure_ascii=False), limit)


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} … {len(text) - limit} more characters"


def time(at: float) -> str:
    """Seconds since 1970 as a time of this machine's zone."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def day(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%A, %-d %B %Y")


def machine_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%-d %B %Y, %H:%M:%S")


def date(text: str) -> str:
    """The day of an ISO 8601 time; the text as it is where it is none."""
    try:
        return datetime.fromisoformat(text).strftime("%-d %B %Y")
    except ValueError:
        return text


def duration(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def count(number: int) -> str:
    """With thin spaces between groups of three digits."""
    return f"{number:,}".replace(",", "\u202f")


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def highlighted(text: str, language: str) -> Markup:
    """A source in colours: `span`s with the short classes of Pygments, the text itself escaped."""
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    text = code(text)
    if len(text) > MAX_HIGHLIGHTED:
        return escape(text)
    try:
        lexer = get_lexer_by_name(LEXERS.get(language, language), stripnl=False)
    except ClassNotFound:
        return escape(text)
    return Markup(highlight(text, lexer, HtmlFormatter(nowrap=True)))  # noqa: S704  # Pygments escapes


def fields(schema: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str, bool, str]]:
    """What a schema asks of an object, a row a property: name, type, whether it is required, what it is for."""
    required = schema.get("required")
    properties = schema.get("properties")
    for name, property in properties.items() if isinstance(properties, dict) else ():
        if not isinstance(property, dict):
            continue
        needed = isinstance(required, list) and name in required
        yield f"{prefix}{name}", kind(property), needed, str(property.get("description", ""))
        inner, mark = property, "."
        if isinstance(property.get("items"), dict):
            inner, mark = property["items"], "[]."
        if depth < MAX_DEPTH:
            yield from fields(inner, f"{prefix}{name}{mark}", depth + 1)


def kind(schema: Any) -> str:
    """A schema's type in a few words, with its bounds."""
    if not isinstance(schema, dict):
        return "anything" if schema is True else "nothing"
    if "const" in schema:
        return compact(schema["const"], 60)
    if isinstance(schema.get("enum"), list):
        return cut(" or ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"]), 120)
    said = schema.get("type", "anything")
    name = " or ".join(map(str, said)) if isinstance(said, list) else str(said)
    if said == "array" and isinstance(schema.get("items"), dict):
        name = f"list of {kind(schema['items'])}"
    bounds = [str(schema["format"])] if "format" in schema else []
    words = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<", "pattern": "like"}
    words |= {"minLength": "length ≥", "maxLength": "length ≤", "minItems": "items ≥", "maxItems": "items ≤"}
    bounds += [f"{word} {schema[key]}" for key, word in words.items() if key in schema]
    return ", ".join([name, *bounds])


def observation(effect: Effect) -> tuple[str, str, str]:
    """An effect in words: what was done, to what, and what came of it. The last two are what the run saw."""
    asked, told = _json(effect.request), _json(effect.answer)
    if isinstance(asked, list):
        what, about = _LOOKS.get(str(asked[0]), str(asked[0])), "/".join(map(str, asked[1:]))
    elif isinstance(asked, dict):
        what, about = _operation(asked)
    else:
        what, about = "effect", compact(asked)
    return what, cut(about, 2_000), _came(told)


_LOOKS = {
    "files.read": "read file",
    "files.stat": "looked at",
    "files.names": "listed folder",
    "call": "called",
    "clock": "read the clock",
    "random": "drew a random seed",
}


def _operation(asked: Mapping[str, Any]) -> tuple[str, str]:
    op = str(asked.get("op"))
    if op == "http.request":
        return "HTTP", f"{asked.get('method')} {asked.get('url')}"
    if op.startswith("sql."):
        return "SQL", f"{asked.get('store')}: {asked.get('statement')}"
    return op, compact({key: value for key, value in asked.items() if key != "op"}, 400)


def _came(told: Any) -> str:
    if isinstance(told, dict) and ("error" in told or "problem" in told):
        return f"refused: {told.get('error') or told.get('problem')}"
    return cut(json.dumps(told["ok"] if isinstance(told, dict) and "ok" in told else told, ensure_ascii=False), 2_000)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


FILTERS: dict[str, Callable[..., Any]] = {
    "pretty": pretty,
    "compact": compact,
    "cut": cut,
    "time": time,
    "day": day,
    "machine_time": machine_time,
    "moment": moment,
    "date": date,
    "duration": duration,
    "number": count,
    "percent": percent,
    "highlighted": highlighted,
    "as_is": AsIs,
    "code": code,
    "fields": fields,
    "kind": kind,
    "observation": observation,
}
