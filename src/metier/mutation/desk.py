"""The author's desk: what it may look at and try out while it writes. Nothing here reaches the library.

Every tool answers in text, also where the call is wrong, so that the author can mend it. It may look at what a draft
could be granted without a person being asked; what it tries runs on copies of the data, within the same bounds.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from metier import schemas
from metier.capability import Capability, Language, contract_json, first_problem
from metier.config import ResearchSettings
from metier.errors import BuildError, InvalidModule, LibraryError, SetupMissing
from metier.library import Library, source_text
from metier.model import Tool, ToolCall
from metier.mutation.data import outline, read_lines
from metier.outcomes import Failed, Ran
from metier.permissions import Grant, Permissions
from metier.prompts import clipped, fence
from metier.runner import Loaded, Runner
from metier.toolchains import TOOLCHAINS, Built, Files, toolchain

MAX_SHOWN: Final = 12_000
"""Characters of one answer."""


class _Mistake(Exception):
    """A call that cannot be carried out; what to tell the author."""


@dataclass(frozen=True)
class Surroundings:
    """What there is around one mutation."""

    library: Library
    runner: Runner
    build: Callable[[Language, Files], Built]
    roots: Mapping[str, Path]
    shown: Permissions
    """What a draft could be granted without a person being asked."""
    open: Permissions
    """Of which of it records may be seen; of the rest only the shape."""
    ceiling: Permissions
    """The most that a draft may have, when a person approves."""
    languages: Sequence[Language]
    neighbours: Sequence[Capability] = ()
    """The capabilities nearest to the task."""
    research: ResearchSettings = field(default_factory=ResearchSettings)


class Desk:
    """One author's desk. Its tools are called one after the other."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._built: Built | None = None
        self.source: str | None = None
        """What the author wrote since its last draft, in `language`."""
        self.language: Language = next(iter(TOOLCHAINS))
        self.existing: Capability | None = None
        """What does the task already, as the author says."""
        ways: dict[str, Callable[[Mapping[str, Any]], str]] = {
            "read_capability": self._read_capability,
            "write_source": self._write_source,
            "try_input": self._try_input,
        }
        if around.shown.files:
            ways["read_data"] = self._read_data
        if around.neighbours:
            ways["use_existing"] = self._use_existing
        if around.research.http:
            ways["http_get"] = self._http_get
            if around.research.search:
                ways["web_search"] = self._web_search
        self._ways = ways
        self._near = {capability.id: capability for capability in around.neighbours}
        self.tools: tuple[Tool, ...] = tuple(_tool(name, around.languages) for name in ways)

    def offer(self, capability: Capability) -> None:
        """Lets the author say that this one does it, besides the nearest."""
        self._near[capability.id] = capability

    def written(self) -> dict[str, Any]:
        """The source that was written since this was last asked, as fields of a draft."""
        written = {} if self.source is None else {"source": self.source, "language": self.language}
        self.source = None
        return written

    def answer(self, call: ToolCall) -> str:
        """What the author is told about one call; whatever is wrong with it, it is told that."""
        if call.arguments is None:
            return f"Not done: the arguments do not parse: {call.problem}."
        way = self._ways.get(call.name)
        if way is None:
            return f"Not done: there is no tool {call.name!r}; there are {', '.join(self._ways)}."
        try:
            return way(call.arguments)
        except _Mistake as mistake:
            return f"Not done: {mistake}."

    def _read_capability(self, arguments: Mapping[str, Any]) -> str:
        try:
            artifact = self._around.library.load(_text(arguments, "capability_id"))
        except LibraryError as error:
            raise _Mistake(str(error)) from None
        contract = json.dumps(contract_json(artifact.capability), ensure_ascii=False, indent=1)
        return fence(f"{contract}\n\n{source_text(artifact.source)}", MAX_SHOWN)

    def _read_data(self, arguments: Mapping[str, Any]) -> str:
        path = _text(arguments, "path").strip("/")
        root, _, inner = path.partition("/")
        around = self._around
        if root not in around.roots or not Grant((around.shown,)).allows_file(root, inner, "read"):
            raise _Mistake(f"{path!r} is no file that may be granted; a path begins with its root, as in hr/cars.json")
        if Grant((around.open,)).allows_file(root, inner, "read"):
            start = arguments.get("line", 1)
            if not isinstance(start, int) or start < 1:
                raise _Mistake("line is a number from 1")
            shown = read_lines(around.roots, root, inner, start, MAX_SHOWN)
        else:
            return self._outlined(root, inner)
        return fence(shown, MAX_SHOWN) if shown else f"There is no text at {path}."

    def _outlined(self, root: str, inner: str) -> str:
        shown = outline(self._around.roots, root, inner)
        if not shown:
            return f"There is no text at {root}/{inner}."
        return (
            f"Only its shape is shown; what values mean, a program says that prints them in try_input.\n{fence(shown)}"
        )

    def _write_source(self, arguments: Mapping[str, Any]) -> str:
        return self._write(arguments) or f"It builds, to {len(self._built.wasm) if self._built else 0} bytes."

    def _write(self, arguments: Mapping[str, Any]) -> str | None:
        """Keeps a source and builds it, or says why it does not build."""
        source, language = _text(arguments, "source"), arguments.get("language", self.language)
        if language not in self._around.languages:
            raise _Mistake(f"language is one of {', '.join(self._around.languages)}")
        self.source, self.language, self._built = source, language, None
        try:
            built = self._around.build(language, {toolchain(language).file_name: source.encode("utf-8")})
            self._loaded(built, Permissions())
        except SetupMissing as missing:
            raise _Mistake(f"{language} cannot be built here: {missing}") from None
        except (BuildError, InvalidModule) as error:
            return f"It does not build:\n{fence(error, MAX_SHOWN)}"
        self._built = built
        return None

    def _try_input(self, arguments: Mapping[str, Any]) -> str:
        if arguments.get("source") and (problem := self._write(arguments)):
            return problem
        if self._built is None:
            raise _Mistake("nothing is written that builds; bring the source")
        try:
            asked = schemas.compact(arguments.get("permissions") or {})
            wanted = Permissions.model_validate_json(asked)
        except (ValueError, TypeError, RecursionError) as error:
            said = first_problem(error) if isinstance(error, ValidationError) else str(error)
            raise _Mistake(f"permissions: {said}") from None
        fixtures = arguments.get("fixtures") or {}
        if not isinstance(fixtures, dict):
            raise _Mistake("fixtures is an object from path to content")
        outcome = self._around.runner.rehearse(
            self._loaded(self._built, wanted),
            arguments.get("input"),
            fixtures=fixtures,
            grant=_on_copies(self._around.shown),
        )
        return _told(outcome)

    def _loaded(self, built: Built, permissions: Permissions) -> Loaded:
        """A build on trial: any input, any output."""
        defaults = {
            name: field.get_default(call_default_factory=True) for name, field in Capability.model_fields.items()
        }
        own = {"id": "trial", "summary": "On trial.", "binary": "trial.wasm", "effects": "write"}
        capability = Capability.model_construct(**{**defaults, **own, "permissions": permissions})
        return self._around.runner.load(capability, built.wasm)

    def _use_existing(self, arguments: Mapping[str, Any]) -> str:
        id = _text(arguments, "capability_id")
        if id not in self._near:
            raise _Mistake(f"{id!r} is none of {', '.join(self._near)}")
        self.existing = self._near[id]
        return f"{id} is used; nothing new is written."

    def _http_get(self, arguments: Mapping[str, Any]) -> str:
        return self._fetched(_text(arguments, "url"))

    def _web_search(self, arguments: Mapping[str, Any]) -> str:
        assert self._around.research.search is not None
        words = urllib.parse.quote(_text(arguments, "query"), safe="")
        return self._fetched(self._around.research.search.replace("{query}", words))

    def _fetched(self, url: str) -> str:
        grant = Permissions(http=self._around.research.http)
        told = self._around.runner.observe({"op": "http.request", "method": "GET", "url": url}, grant)
        if "ok" not in told:
            raise _Mistake(f"{told['kind']}: {told['error']}")
        reply = told["ok"]
        return f"Status {reply['status']}:\n{fence(reply.get('body', ''), MAX_SHOWN)}"


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _Mistake(f"{name} must be a text")
    return value


def _on_copies(shown: Permissions) -> Permissions:
    """The same with leave to write: what is written goes into a copy that is thrown away."""
    return shown.model_copy(update={"files": tuple(f.model_copy(update={"access": "write"}) for f in shown.files)})


def _told(outcome: Ran | Failed) -> str:
    debris = f"\n\nstderr:\n{clipped(outcome.stderr.strip(), 2_000)}" if outcome.stderr.strip() else ""
    if isinstance(outcome, Ran):
        return f"It returned:\n{fence(outcome.output_text + debris, MAX_SHOWN)}"
    return f"It failed ({outcome.code or outcome.kind}):\n{fence(outcome.error + debris, MAX_SHOWN)}"


def _tool(name: str, languages: Sequence[Language]) -> Tool:
    free: dict[str, Any] = {"type": "object", "additionalProperties": True}
    text: dict[str, Any] = {"type": "string"}
    description, properties, required = {
        "read_capability": (
            "Read a stored capability: its contract, examples and source.",
            {"capability_id": text},
            ["capability_id"],
        ),
        "read_data": (
            "Read a file of data that may be granted, from a line on; of some files only the shape is shown.",
            {"path": {**text, "description": "such as hr/employees.json"}, "line": {"type": "integer", "minimum": 1}},
            ["path"],
        ),
        "write_source": (
            "Keep the whole source file of your draft and build it, without running it; compiler messages come back.",
            {"source": text, "language": {"enum": [*languages]}},
            ["source"],
        ),
        "try_input": (
            "Build a source and run it on an input, on a copy of the data; see output or error, and what it printed.",
            {
                "input": free,
                "source": {**text, "description": "the whole source file; leave it out to try what you wrote before"},
                "language": {"enum": [*languages]},
                "permissions": {
                    **free,
                    "description": "what it needs, as in the contract",
                },
                "fixtures": {**free, "description": 'files in place of the live ones: {"hr/employees.json": content}'},
            },
            ["input"],
        ),
        "use_existing": (
            "Write nothing, because a listed capability does all of this already, for any input that it could get.",
            {"capability_id": text},
            ["capability_id"],
        ),
        "http_get": ("Get a URL that the operator allows you to look at.", {"url": text}, ["url"]),
        "web_search": ("Search the web.", {"query": text}, ["query"]),
    }[name]
    return Tool(
        name,
        description,
        {"type": "object", "properties": properties, "required": required, "additionalProperties": False},
    )
