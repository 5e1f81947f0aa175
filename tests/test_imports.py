"""The import rule: edges → runtime → mutation → parts → vocabulary, and never the other way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "metier"

FLOORS = [
    {
        "errors",
        "outcomes",
        "permissions",
        "schemas",
        "capability",
        "events",
        "narration",
        "sandbox.limits",
        "locks",
        "durable",
        "urls",
        "printable",
        "compatibility",
    },
    {"config", "prompts", "localstore", "approval"},
    {
        "library",
        "catalogue",
        "stock",
        "aliases",
        "lineage",
        "changes",
        "version_folder",
        "retrieval",
        "memory",
        "recall",
        "keeping",
        "wording",
        "grounding",
        "sandbox",
        "engines",
        "model",
        "endpoints",
    }
    | {
        "model_clients",
        "model_embeddings",
        "model_failures",
        "journal",
        "usage",
        "evidence",
        "toolchains",
        "effects",
        "runner",
        "record",
        "intents",
        "commits",
        "portable",
    },
    {"mutation", "replay", "lifecycle", "testing", "attempt", "search", "spaces"},
    {"runs", "workforce", "agent_tools", "finding", "watching", "telemetry"},
    {"runtime"},
    {"batch", "example_check", "importing", "rebuild", "tidy", "stats", "metrics", "memory_keeping"},
    {"cli", "mcp_server", "web", "__main__"},
]
"""From the ground up. A room imports from its own floor or from below."""

PEERS = {
    "library": {"version_folder", "stock"},
    "stock": {"version_folder", "catalogue"},
    "aliases": {"library"},
    "lineage": {"library", "evidence"},
    "changes": {"library"},
    "journal": {"evidence", "usage"},
    "model": {"endpoints", "model_clients", "model_embeddings", "model_failures"},
    "model_embeddings": {"endpoints", "model_clients", "model_failures"},
    "model_clients": {"endpoints", "model_failures"},
    "model_failures": {"endpoints"},
    "memory": {"wording", "grounding", "aliases", "keeping"},
    "recall": {"memory", "aliases", "library", "sandbox", "journal"},
    "keeping": {"effects"},
    "grounding": {"wording"},
    "toolchains": {"sandbox"},
    "portable": {"library", "sandbox", "toolchains", "version_folder"},
    "effects": {"sandbox", "record"},
    "record": {"sandbox"},
    "intents": {"sandbox", "journal"},
    "commits": {"intents", "sandbox", "effects", "journal"},
    "runner": {"sandbox", "effects", "record", "commits", "journal"},
    "lifecycle": {"replay"},
    "mutation": {"lifecycle"},
    "stats": {"example_check"},
    "workforce": {"runs"},
    "telemetry": {"watching"},
    "web": {"mcp_server"},
    "cli": {"mcp_server", "web"},
    "__main__": {"cli"},
}
"""Which rooms of its own floor a room may import."""


def room_of(module: str) -> str:
    """The room that a module belongs to: the longest name of FLOORS that it begins with."""
    names = [name for floor in FLOORS for name in floor if module == name or module.startswith(name + ".")]
    return max(names, key=len, default=module)


def floor_of(room: str) -> int | None:
    return next((i for i, floor in enumerate(FLOORS) if room in floor), None)


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[0] != "engines" or len(parts) < 3:  # run inside engines, or build them
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    """What a module imports of Metier, also inside functions; what only type checkers see does not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "metier":
            base = node.module.removeprefix("metier").lstrip(".")
            for alias in node.names:
                inner = SOURCE / Path(*base.split(".")) / alias.name if base else SOURCE / alias.name
                is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                yield ".".join(filter(None, (base, alias.name if is_module else "")))
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("metier.") for a in node.names if a.name.startswith("metier."))


@pytest.mark.parametrize(("module", "path"), [(m, p) for m, p in modules() if m])
def test_a_room_imports_only_from_below(module: str, path: Path) -> None:
    room = room_of(module)
    floor = floor_of(room)
    assert floor is not None, f"{module} is on no floor; say where it belongs"
    for imported in imports(path):
        other = room_of(imported)
        if other in ("", room):
            continue
        below = floor_of(other)
        assert below is not None, f"{module} imports {imported}, which is on no floor"
        allowed = below < floor or (below == floor and (floor == 0 or other in PEERS.get(room, set())))
        assert allowed, f"{module} imports {imported}"


def test_every_name_on_the_floors_is_a_room() -> None:
    found = {room_of(module) for module, _ in modules()}
    assert {name for floor in FLOORS for name in floor} <= found


def test_importing_metier_loads_nothing_heavy() -> None:
    heavy = ["numpy", "pydantic", "wasmtime", "click", "rich", "pydantic_ai", "mcp", "starlette"]
    code = f"import metier, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_there() -> None:
    import metier

    assert sorted(metier.__all__) == ["Answer", "Capability", "Library", "Runtime"]
    assert all(getattr(metier, name).__name__ == name for name in metier.__all__)
