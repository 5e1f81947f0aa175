"""The author: one conversation with a model that writes drafts and mends them by the findings."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from metier import schemas
from metier.capability import Capability, contract_json
from metier.library import Artifact, source_text
from metier.model import ChatModel, Conversation, Reply
from metier.mutation.draft import SUBMIT, Draft, NotADraft, read_draft, submit_tool
from metier.permissions import Grant, Permissions
from metier.prompts import plain, render
from metier.sandbox.files import FileError, HostFiles
from metier.toolchains import TOOLCHAINS, Toolchain, installed, template

MAX_FILES_SHOWN, MAX_FOLDERS_SHOWN = 40, 20
SAMPLE_BYTES, SAMPLE_LINES, SAMPLE_ITEMS, SAMPLE_KEYS = 1_200, 6, 2, 20
MAX_PARSED_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Written:
    """One reply of the author: a draft, or why there is none."""

    draft: Draft | None
    findings: tuple[str, ...]
    tokens: int


class Author:
    """Writes for one task. `shown` is what the author may see of the data: what a draft could be granted."""

    def __init__(
        self,
        model: ChatModel,
        task: str,
        parent: Artifact | None,
        *,
        taken: Sequence[str],
        roots: Mapping[str, Path],
        shown: Permissions,
        samples: bool = False,
    ) -> None:
        self._model = model
        self._tools = (submit_tool(installed()),)
        rules, wish = brief(task, parent, taken=taken, roots=roots, shown=shown, samples=samples)
        self._conversation = Conversation(rules)
        self._conversation.user(wish)
        self._last: Reply | None = None

    @property
    def model_name(self) -> str:
        return self._model.name

    async def write(self) -> Written:
        """The next draft.

        Raises:
            ModelError: the endpoint fails.
        """
        reply = await self._model.ask(self._conversation, self._tools)
        self._last = reply
        try:
            return Written(read_draft(reply), (), reply.tokens)
        except NotADraft as problem:
            return Written(None, tuple(problem.findings), reply.tokens)

    def mend(self, findings: Sequence[str], rounds_left: int) -> None:
        """Tells the author what was wrong with the last draft."""
        text = render("findings", findings=findings, rounds_left=rounds_left)
        calls = self._last.calls if self._last else ()
        for number, call in enumerate(calls):
            note = text if number == 0 else "only the first call of a turn is looked at"
            self._conversation.tool_result(call.id, call.name or SUBMIT, note)
        if not calls:
            self._conversation.user(text)


def brief(
    task: str,
    parent: Artifact | None,
    *,
    taken: Sequence[str],
    roots: Mapping[str, Path],
    shown: Permissions,
    hand_in: str = f"`{SUBMIT}`",
    samples: bool = False,
) -> tuple[str, str]:
    """What an author is told: the rules with the data there is, and what to write. `hand_in` names what to call.

    Records are shown of the files that the parent reads, or with `samples` of all; of the others only the shape.
    """
    capability = parent.capability if parent else None
    open_ = shown if samples else capability.permissions if capability else Permissions()
    rules = render(
        "author",
        parent=capability,
        roots=describe_roots(roots, shown, open_),
        http=shown.http,
        hand_in=hand_in,
        languages=[(t, template(t)) for t in other_languages(task, capability)],
    )
    wish = render(
        "draft",
        task=task,
        parent=capability,
        parent_contract=_contract_text(capability),
        parent_source=source_text(parent.source) if parent else "",
        neighbours=sorted(taken)[:200],
    )
    return rules, wish


_NAMES: Mapping[str, str] = {"cpp": r"C\+\+|cpp", "wat": r"WAT|WebAssembly text", "go": "Go|golang", "c": "C"}
_IN: Final = r"\b(?:in|using|with|into|to|as)\s+(?:plain\s+|idiomatic\s+)?(?:{})(?![\w+#])"


def other_languages(task: str, parent: Capability | None) -> list[Toolchain]:
    """The languages beside the first that an author should be shown: those that the task asks for ("in Rust"), and the
    parent's."""
    others = list(TOOLCHAINS.values())[1:]
    return [
        t
        for t in others
        if (parent is not None and parent.language == t.language)
        or re.search(_IN.format(_NAMES.get(t.language, t.language)), task, re.IGNORECASE)
    ]


def describe_roots(roots: Mapping[str, Path], shown: Permissions, samples: Permissions) -> list[dict[str, Any]]:
    """What can be granted, for the prompt: each root with its files, with records of those in `samples`."""
    grant, open_ = Grant((shown,)), Grant((samples,))
    return [
        {"name": name, "files": _files(HostFiles({name: roots[name]}, 64 * 2**20), name, grant, open_)}
        for name in grant.roots()
        if name in roots
    ]


def _files(host: HostFiles, root: str, grant: Grant, open_: Grant) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    folders = [""]
    for folder in folders:
        for name in _names(host, root, folder):
            path = f"{folder}/{name}" if folder else name
            item = host.stat(root, path)
            if item is None or len(found) >= MAX_FILES_SHOWN:
                continue
            if item.kind == "directory":
                if grant.may_hold_files(root, path, "read") and len(folders) < MAX_FOLDERS_SHOWN:
                    folders.append(path)
            elif grant.allows_file(root, path, "read"):
                sample = _sample(host, root, path, whole=open_.allows_file(root, path, "read"))
                writable = grant.allows_file(root, path, "write")
                found.append({"path": path, "size": item.size, "writable": writable, "sample": sample})
    return found


def _names(host: HostFiles, root: str, folder: str) -> list[str]:
    try:
        return host.names(root, folder)
    except FileError:
        return []


def _sample(host: HostFiles, root: str, path: str, *, whole: bool) -> str:
    """What a file looks like: the first records or lines, or without `whole` only keys and kinds, or the first line."""
    try:
        data = host.read(root, path)
    except FileError:
        return ""
    if path.endswith(".json") and len(data) <= MAX_PARSED_BYTES:
        with contextlib.suppress(schemas.InvalidJson):
            value = schemas.parse(data, what=path)
            return json.dumps(_shortened(value) if whole else _shape(value), ensure_ascii=False)
    lines = data[:SAMPLE_BYTES].decode("utf-8", "replace").splitlines()[: SAMPLE_LINES if whole else 1]
    return "" if "\0" in "".join(lines) else "\n".join(lines)


def _shortened(value: Any) -> Any:
    """The same JSON with only the first items of each list of objects, and a word on how many there are."""
    if isinstance(value, list):
        shown = [_shortened(item) for item in value[:SAMPLE_ITEMS]]
        left_out = len(value) - len(shown)
        return [*shown, f"… and {left_out} more"] if left_out else shown
    if isinstance(value, dict):
        items = list(value.items())
        shown_keys = {key: _shortened(item) for key, item in items[:SAMPLE_KEYS]}
        left_out = len(items) - len(shown_keys)
        return {**shown_keys, "…": f"and {left_out} more keys"} if left_out else shown_keys
    return value


def _shape(value: Any) -> Any:
    """The keys of a JSON value and the kinds of what they hold, of a list its first item's; no value of it."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in list(value.items())[:SAMPLE_KEYS]}
    if isinstance(value, list):
        return [_shape(value[0]), f"… {len(value)} in all"] if value else []
    kinds = {bool: "true or false", int: "number", float: "number", str: "text"}
    return "null" if value is None else kinds[type(value)]


def _contract_text(capability: Capability | None) -> str:
    if capability is None:
        return ""
    keys = contract_json(capability).items()
    return "\n".join(
        f"{key}: {plain(value) if isinstance(value, dict) else json.dumps(value, ensure_ascii=False)}"
        for key, value in keys
    )
