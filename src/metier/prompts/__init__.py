"""What models are told, as templates beside this file. Text that a guest or a library wrote goes in fenced.

A template that names a value which is not given fails; nothing is filled in silently.
"""

from __future__ import annotations

import functools
import hashlib
import json
import secrets
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any

from metier.capability import Contract, contract_json
from metier.printable import visible

if TYPE_CHECKING:
    import jinja2

MAX_GUEST_TEXT = 8_000
"""Characters of one piece of guest text that reach a model; the middle of a longer one is left out."""


MAX_FIXTURES = 3_000
"""Characters of one example's files that are shown."""


def render(name: str, **values: Any) -> str:
    """The template `name` filled with `values`, with `fence` at its disposal."""
    return _environment().get_template(f"{name}.md.j2").render(**values).strip() + "\n"


def fingerprint(name: str) -> str:
    """SHA-256 of a template's text: which prompt wrote a capability."""
    return hashlib.sha256(_source(f"{name}.md.j2").encode("utf-8")).hexdigest()


def fence(text: Any, limit: int = MAX_GUEST_TEXT) -> str:
    """Guest text between two marks that it cannot have known, so that it cannot end the fence itself.

    Cut to `limit` characters; control characters other than newline and tab are made visible."""
    shown = visible(clipped(str(text), limit), keep="\n\t")
    nonce = secrets.token_hex(6)
    return f"<data-{nonce}>\n{shown}\n</data-{nonce}>"


def clipped(text: str, limit: int) -> str:
    """`text`, or its beginning and end with a note of how much is left out between."""
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit // 3
    return f"{text[:head]}\n… {len(text) - head - tail} characters left out …\n{text[-tail:]}"


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  # prompts are plain text; guest text goes through `fence`
    )
    environment.filters["fence"] = fence
    environment.filters["clipped"] = clipped
    environment.filters["plain"] = plain
    return environment


def contract_lines(contract: Contract) -> str:
    """A contract, a line a key and a line an example, without what an earlier line says already."""
    whole = contract_json(contract)
    told = {k: plain(v) if isinstance(v, dict) else json.dumps(v, ensure_ascii=False) for k, v in whole.items()}
    told["examples"] = "".join(f"\n{n}. {text}" for n, text in enumerate(_example_lines(whole["examples"]), start=1))
    return "\n".join(f"{key}: {text}" for key, text in told.items())


def _example_lines(examples: list[dict[str, Any]]) -> Iterator[str]:
    """Each example; files that an earlier one has are named by its number, of large ones only the size is told."""
    seen: dict[str, int] = {}
    for number, example in enumerate(examples, start=1):
        shown = dict(example)
        if example.get("fixtures"):
            key = json.dumps(example["fixtures"], sort_keys=True)
            sizes = {path: f"{len(json.dumps(content))} characters" for path, content in example["fixtures"].items()}
            if key in seen:
                shown["fixtures"] = f"as in {seen[key]}"
            elif len(key) > MAX_FIXTURES:
                shown["fixtures"] = sizes
            seen.setdefault(key, number)
        yield json.dumps(shown, ensure_ascii=False)


def plain(schema: dict[str, Any]) -> str:
    """A JSON Schema as one line, without what tells a model nothing."""
    return json.dumps({k: v for k, v in schema.items() if k != "$schema"}, ensure_ascii=False)
