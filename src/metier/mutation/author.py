"""The author: one conversation with a model that looks, tries, writes drafts and mends them by the findings."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from metier import events
from metier.capability import Capability, contract_json
from metier.library import Artifact, source_text
from metier.model import ChatModel, Conversation, Reply, ToolCall
from metier.mutation.data import describe_roots, describe_stores
from metier.mutation.desk import Desk, Surroundings
from metier.mutation.draft import SUBMIT, Draft, NotADraft, completed, draft_of, fields_of, submit_tool
from metier.prompts import clipped, contract_lines, render
from metier.toolchains import TOOLCHAINS, Found, Toolchain, reference, template

Emit = Callable[[events.Event], None]


@dataclass(frozen=True, slots=True)
class Written:
    """What the author came to: a draft, or a capability that does it already, or why neither."""

    draft: Draft | None = None
    findings: tuple[str, ...] = ()
    existing: Capability | None = None
    spent: bool = False
    """It has used up the requests or tokens that it may have."""


class Author:
    """Writes for one task, within so many requests and tokens."""

    def __init__(
        self,
        model: ChatModel,
        task: str,
        parent: Artifact | None,
        around: Surroundings,
        *,
        taken: Sequence[str],
        steps: int,
        tokens: int,
        emit: Emit,
        kept: Capability | None = None,
    ) -> None:
        """`kept` is whose contract holds where a draft says nothing else."""
        self._model = model
        self._desk = Desk(around)
        self._tools = (submit_tool(around.languages, source_may_be_kept=True), *self._desk.tools)
        rules, wish = brief(task, parent, around, taken=taken)
        self._conversation = Conversation(rules)
        self._conversation.user(wish)
        self._last: Reply | None = None
        self._handed_in: dict[str, Any] = contract_json(kept) if kept else {}
        """The fields of the last draft."""
        self._steps = steps
        self._tokens = tokens
        self._emit = emit
        self.asked = 0
        """Requests made."""
        self.tokens = 0
        """Tokens that they took."""

    @property
    def model_name(self) -> str:
        return self._model.name

    async def write(self) -> Written:
        """The next draft, after as many looks and trials as the author wants before it.

        Raises:
            ModelError: the endpoint fails.
        """
        while self.asked < self._steps and self.tokens < self._tokens:
            reply = await self._ask()
            if not reply.calls or any(call.name == SUBMIT for call in reply.calls):
                return self._read(reply)
            for call in reply.calls:
                await self._look(call)
            if self._desk.existing is not None:
                return Written(existing=self._desk.existing)
        return Written(spent=True)

    async def _ask(self) -> Reply:
        self._emit(events.ModelAsked("author", self._model.name))
        reply = await self._model.ask(self._conversation, self._tools)
        self._emit(events.ModelAnswered("author", reply.tokens))
        self.asked, self.tokens, self._last = self.asked + 1, self.tokens + reply.tokens, reply
        return reply

    async def _look(self, call: ToolCall) -> None:
        said = await asyncio.to_thread(self._desk.answer, call)
        self._emit(events.AuthorLooked(call.name, clipped(said, 300)))
        self._conversation.tool_result(call.id, call.name, said)

    def _read(self, reply: Reply) -> Written:
        """The draft in a reply. What it leaves out is as in the one before; its source the one written last."""
        try:
            fields, call_id = fields_of(reply)
            self._handed_in = completed(fields, {**self._handed_in, **self._desk.written()})
            return Written(draft_of(self._handed_in, call_id))
        except NotADraft as problem:
            return Written(findings=tuple(problem.findings))

    def mend(self, findings: Sequence[str], rounds_left: int, existing: Capability | None = None) -> None:
        """Tells the author what was wrong with the last draft, and lets it use what does the same, if there is that."""
        if existing is not None:
            self._desk.offer(existing)
        text = render("findings", findings=findings, rounds_left=rounds_left)
        calls = self._last.calls if self._last else ()
        read = next((call for call in calls if call.name == SUBMIT), calls[0] if calls else None)
        for call in calls:
            note = text if call is read else "not done: one call a turn where a capability is handed in"
            self._conversation.tool_result(call.id, call.name or SUBMIT, note)
        if not calls:
            self._conversation.user(text)


def brief(
    task: str,
    parent: Artifact | None,
    around: Surroundings,
    *,
    taken: Sequence[str],
    hand_in: str | None = None,
) -> tuple[str, str]:
    """What an author is told: the rules with the data there is, and what to write. `hand_in` names what an author
    outside has to call; it has no desk."""
    capability = parent.capability if parent else None
    rules = render(
        "author",
        parent=capability,
        roots=describe_roots(around.roots, around.shown, around.open),
        stores=describe_stores(around.runner, around.shown),
        http=around.shown.http,
        hand_in=hand_in or f"`{SUBMIT}`",
        has_desk=hand_in is None,
        may={what: bool(getattr(around.ceiling, what)) for what in ("http", "sql", "call")}
        | {"clock": around.ceiling.clock == "recorded"},
        on_approval=around.ceiling.beyond(around.shown),
        languages=[_described(t) for t in other_languages(task, capability)],
    )
    wish = render(
        "draft",
        task=task,
        parent=capability,
        parent_contract=contract_lines(capability) if capability else "",
        parent_source=source_text(parent.source) if parent else "",
        near=[c for c in around.neighbours if capability is None or c.id != capability.id],
        has_desk=hand_in is None,
        taken=sorted(taken)[:200],
    )
    return rules, wish


_NAMES: Final[Mapping[str, str]] = {
    "cpp": r"C\+\+|cpp",
    "wat": r"WAT|WebAssembly text",
    "go": r"(?-i:Go)|golang",
    "c": r"(?-i:C)(?=\W*$| code| program)",
}
_IN: Final = r"\b(?:in|using|with|into|as)\s+(?:plain\s+|idiomatic\s+)?(?:{})(?![\w+#-])"
"""How a task says it. "go" and "C" have other meanings, so they count only where they look like the language;
an author that is shown one too many still chooses itself."""


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


def _described(toolchain: Toolchain) -> tuple[Toolchain, str, str, str]:
    """A language for the prompt: what a program in it looks like, what its SDK offers, and which version there is."""
    found = toolchain.found()
    return toolchain, template(toolchain), reference(toolchain), found.name if isinstance(found, Found) else "missing"
