"""Events in plain words: what a person hears of a task while it is being solved."""

from __future__ import annotations

import json
from typing import Any

from metier import events


def describe(event: events.Event) -> str:
    """An event in a line of plain words; empty for one that tells a person nothing."""
    match event:
        case events.Recalled(capability=id, version=version, input=input):
            return f"  remembered: {id}@{version} {_short(input)}"
        case events.Nearest(candidates=candidates):
            return "  nearest: " + (", ".join(f"{id} {score:.2f}" for id, score in candidates) or "none yet")
        case events.ModelAsked(role=role, model=model):
            return f"  asking {model}" + {"chat": "", "author": " to write it", "tester": " to test it"}[role]
        case events.RunEnded(capability=id, ok=ok, summary=summary, seconds=seconds):
            return f"  {id} {'→' if ok else 'failed:'} {_short(summary)} ({seconds * 1000:.1f} ms)"
        case events.MutationStarted(parent=parent):
            return f"  writing a capability{f' from {parent}' if parent else ''}"
        case events.AuthorLooked(tool=tool, told=told):
            return f"    {tool}: {_short(told)}"
        case events.DraftChecked(round=number, capability=id, findings=findings):
            problems = "".join(f"\n      {_short(f, 200)}" for f in findings)
            verdict = "passes the checks" if not findings else "sent back"
            return f"  draft {number}, {id or 'none'}: {verdict}{problems}"
        case events.Published(capability=id, version=version):
            return f"  published {id}@{version}"
        case events.WaitsForApproval(capability=id, beyond=beyond):
            return f"  {id} waits for approval: {', '.join(beyond)}"
        case events.ToolRefused(tool=tool, reason=reason):
            return f"  {tool} was not done: {_short(reason)}"
        case _:
            return ""


def _short(value: Any, length: int = 100) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= length else text[: length - 1] + "…"
