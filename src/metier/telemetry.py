"""Tasks, models' answers, runs and mutations as OpenTelemetry spans, by the conventions for generative AI.

https://opentelemetry.io/docs/specs/semconv/gen-ai/: `invoke_agent` for a task, `chat` for a request to a model,
`execute_tool` for a run or a mutation. Only the API is used: where spans go is up to the SDK that the process sets up.
Without `contents`, no span holds a task, an input, an output, a finding or an error's words.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from metier import events
from metier.errors import SetupMissing
from metier.schemas import compact
from metier.watching import Emit, Watcher

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

NAME = "metier"


def spans(*, contents: bool) -> Watcher:
    """What makes spans of the events of each task, and of each call outside of tasks.

    Raises:
        SetupMissing: OpenTelemetry's API is not installed.
    """
    try:
        from opentelemetry.trace import get_tracer
    except ImportError:
        raise SetupMissing("traces need OpenTelemetry: pip install 'metier[otel]'") from None
    tracer = get_tracer(NAME)

    def watch() -> Emit:
        return _Trace(tracer, contents)

    return watch


class _Trace:
    """The spans of one task. What is under way beside each other, runs of one step, ends in the order that it began."""

    def __init__(self, tracer: Tracer, contents: bool) -> None:
        self._tracer = tracer
        self._contents = contents
        self._task: Span | None = None
        self._mutation: Span | None = None
        self._models: dict[str, Span] = {}
        self._runs: defaultdict[str, list[Span]] = defaultdict(list)

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.TaskStarted(run_id=run_id, task=task):
                about = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": NAME, "metier.run.id": run_id}
                self._task = self._begun(f"invoke_agent {NAME}", about, {"metier.task": task})
            case events.Recalled(capability=id, version=version):
                self._noted("metier.recalled", {"metier.capability.id": id, "metier.capability.version": version})
            case events.Nearest(candidates=candidates):
                self._noted("metier.nearest", {"metier.candidates": [id for id, _ in candidates]})
            case events.ModelAsked(role=role, model=model):
                self._asked(role, model)
            case events.ModelAnswered(role=role, tokens=tokens):
                span = self._models.pop(role, None)
                if span is not None:
                    span.set_attribute("metier.usage.tokens", tokens)
                    span.end()
            case events.RunStarted():
                self._runs[event.capability].append(self._run(event))
            case events.RunEnded():
                self._ran(event)
            case events.MutationStarted(task=task, parent=parent):
                about = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "mutate_capability"}
                about |= {"metier.capability.parent": parent} if parent else {}
                self._mutation = self._begun("execute_tool mutate_capability", about, {"metier.task": task})
            case events.DraftChecked(round=number, capability=id, findings=findings):
                noted: dict[str, Any] = {"metier.round": number, "metier.findings": len(findings)}
                noted |= {"metier.capability.id": id} if id else {}
                told = {"metier.findings.text": list(findings)} if self._contents else {}
                self._noted("metier.draft_checked", noted | told)
            case events.MutationEnded(outcome=outcome, capability=id):
                self._mutated(outcome, id)
            case events.ToolRefused(tool=tool, reason=reason):
                self._noted("metier.refused", {"gen_ai.tool.name": tool} | self._told("metier.reason", reason))
            case events.Answered():
                self._answered(event)
            case events.TaskFailed(kind=kind, error=error):
                self._closed()
                self._ended(self._task, failed=kind, words=error)
            case _:
                pass

    def _asked(self, role: str, model: str) -> None:
        provider, _, name = model.rpartition(":")
        about = {"gen_ai.operation.name": "chat", "gen_ai.request.model": name, "metier.role": role}
        about |= {"gen_ai.provider.name": provider} if provider else {}
        self._ended(self._models.pop(role, None), failed="no_answer")
        self._models[role] = self._begun(f"chat {name}", about)

    def _run(self, event: events.RunStarted) -> Span:
        about = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": event.capability,
            "gen_ai.tool.type": "function",
            "metier.capability.id": event.capability,
            "metier.capability.version": event.version,
        }
        given = {"gen_ai.tool.call.arguments": _text(event.input)} if self._contents else {}
        return self._begun(f"execute_tool {event.capability}", about, given)

    def _ran(self, event: events.RunEnded) -> None:
        under_way = self._runs[event.capability]
        if not under_way:
            return
        span = under_way.pop(0)
        if event.ok:
            span.set_attributes(self._told("gen_ai.tool.call.result", event.summary))
            self._ended(span)
        else:
            self._ended(span, failed="failed", words=event.summary)

    def _mutated(self, outcome: str, id: str | None) -> None:
        span, self._mutation = self._mutation, None
        for left in (self._models.pop(role, None) for role in ("author", "tester")):
            self._ended(left, failed="no_answer")
        if span is not None:
            span.set_attributes({"metier.outcome": outcome} | ({"metier.capability.id": id} if id else {}))
            self._ended(span, failed="" if outcome in ("published", "exists", "waits") else outcome)

    def _answered(self, event: events.Answered) -> None:
        self._closed()
        if self._task is not None:
            about = {
                "metier.route": event.route,
                "metier.model_calls": event.model_calls,
                "metier.usage.tokens": event.tokens,
                "metier.used": [f"{run['id']}@{run['version']}" for run in event.used],
                "metier.created": list(event.created),
            }
            self._task.set_attributes(about | self._told("metier.answer", event.answer))
            self._ended(self._task)

    def _begun(self, name: str, about: dict[str, Any], contents: dict[str, Any] | None = None) -> Span:
        """A span below what is under way: a mutation, a task, or what the caller's context has."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        above = self._mutation or self._task
        kind = SpanKind.CLIENT if about["gen_ai.operation.name"] == "chat" else SpanKind.INTERNAL
        attributes = about | (contents or {} if self._contents else {})
        context = set_span_in_context(above) if above is not None else None
        return self._tracer.start_span(name, context, kind, attributes)

    def _noted(self, name: str, about: dict[str, Any]) -> None:
        above = self._mutation or self._task
        if above is not None:
            above.add_event(name, about)

    def _ended(self, span: Span | None, *, failed: str = "", words: str = "") -> None:
        from opentelemetry.trace import StatusCode

        if span is None:
            return
        if failed:
            span.set_attribute("error.type", failed)
            span.set_status(StatusCode.ERROR, words if self._contents else None)
        span.end()

    def _closed(self) -> None:
        """Ends what is left open, because it was given up."""
        left = [*self._models.values(), *(span for spans in self._runs.values() for span in spans)]
        for span in left:
            self._ended(span, failed="given_up")
        if self._mutation is not None:
            self._mutated("failed", None)
        self._models.clear()
        self._runs.clear()

    def _told(self, name: str, value: str) -> dict[str, Any]:
        return {name: value} if self._contents else {}


def _text(value: Any) -> str:
    try:
        return compact(value)
    except (ValueError, TypeError, RecursionError):
        return "not JSON"
