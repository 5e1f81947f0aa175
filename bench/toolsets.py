"""Sets of tools and of tasks for them, as capabilities: what bench/retrieval.py searches.

A set is a folder with tools.jsonl (id, name, summary, schema), queries.jsonl (query, relevant: ids of the right tools)
and, where there are tasks that no tool fits, negatives.jsonl.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metier.capability import Capability


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    relevant: frozenset[str]


@dataclass(frozen=True, slots=True)
class ToolSet:
    name: str
    capabilities: list[Capability]
    queries: list[Query]
    negatives: list[str]


def load(folder: Path) -> ToolSet:
    """The set in `folder`; a tool's id is its name, made one."""
    tools = lines(folder / "tools.jsonl")
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for tool in tools:
        ids[tool["id"]] = _id(tool["name"], taken)
        taken.add(ids[tool["id"]])
    queries = [
        Query(query["query"], frozenset(ids[id] for id in query["relevant"]))
        for query in lines(folder / "queries.jsonl")
    ]
    negatives = folder / "negatives.jsonl"
    return ToolSet(
        folder.name,
        [capability(tool, ids[tool["id"]]) for tool in tools],
        queries,
        [query["query"] for query in lines(negatives)] if negatives.is_file() else [],
    )


def made_up(count: int) -> tuple[list[Capability], list[str]]:
    """`count` capabilities and 200 queries, from a handful of words."""
    draw = random.Random(1)
    verbs = ("get", "list", "update", "convert", "compare", "forecast", "translate", "schedule", "validate", "export")
    things = ("salary", "invoice", "weather", "flight", "recipe", "patient", "ticket", "route", "tax", "photo", "song")
    facts = ("by country", "for one customer", "as a table", "in another currency", "with its history", "per month")
    found = []
    for number in range(count):
        verb, thing, other = draw.choice(verbs), draw.choice(things), draw.choice(things)
        summary = f"{verb.title()} the {thing} and {other} {draw.choice(facts)}, {draw.choice(facts)}, number {number}."
        schema = {"parameters": {f"{thing}_id": {"description": f"Which {thing}"}, "limit": {"description": "Rows"}}}
        found.append(capability({"summary": summary, "schema": schema}, f"{verb}_{thing}_{other}_{number}"))
    queries = [
        f"Please {draw.choice(verbs)} the {draw.choice(things)} and its {draw.choice(things)}" for _ in range(200)
    ]
    return found, queries


def corpus(data: Path | None, count: int) -> tuple[list[Capability], list[str]]:
    """`count` capabilities and 200 queries: the tools of the sets in `data`, told anew in variants where there are
    fewer; without data, made up."""
    if data is None:
        return made_up(count)
    sets = [load(folder) for folder in sorted(data.iterdir()) if (folder / "tools.jsonl").is_file()]
    tools = [capability for each in sets for capability in each.capabilities]
    found = []
    for number in range(count):
        tool, turn = tools[number % len(tools)], number // len(tools)
        summary = f"{tool.summary} (variant {turn})" if turn else tool.summary
        found.append(tool.model_copy(update={"id": f"c{number}_{tool.id}"[:63], "summary": summary}))
    queries = [query.text for each in sets for query in each.queries]
    return found, random.Random(1).sample(queries, min(200, len(queries)))


def capability(tool: dict[str, Any], id: str) -> Capability:
    properties = {name: {"description": description} for name, description in _parameters(tool.get("schema") or {})}
    return Capability(
        id=id,
        summary=tool["summary"][:1000] or id,
        binary="tool.wasm",
        version=1,
        sha256="0" * 64,
        language="wasm",
        input_schema={"properties": properties},
        output_schema={},
        effects="pure",
        permissions={},
        examples=(),
        status="active",
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _parameters(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(schema.get("parameters"), dict):
        for name, about in schema["parameters"].items():
            yield name, str(about.get("description", "")) if isinstance(about, dict) else ""
        return
    for about in [*(schema.get("required") or ()), *(schema.get("optional") or ())]:
        if isinstance(about, dict):
            yield about["name"], about.get("description") or ""


def _id(name: str, taken: set[str]) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    plain = re.sub(r"[^a-z0-9]+", "_", spaced).strip("_")[:50] or "tool"
    stem = plain if plain[0].isalpha() else f"t_{plain}"
    return next(id for id in (stem, *(f"{stem}_{n}" for n in range(2, 10_000))) if id not in taken)
