"""The oracle: a model that never errs. It takes arguments from the task's own template and writes the reference
capability of its family where the library does not offer it yet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bench.workbench.scenario import Family, Scenario, Task

from metier.testing import ScriptedModel, ScriptReply


class Oracle(ScriptedModel):
    """A `metier.model.ChatModel` for the tasks of a scenario, and the author of its capabilities."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(self._reply, name="bench:oracle")
        self._tasks = {task.text: task for task in scenario.tasks}
        self._families = scenario.families

    def _reply(self, body: dict[str, Any]) -> ScriptReply:
        messages = [str(message.get("content") or "") for message in body["messages"]]
        offered = {tool["function"]["name"] for tool in body["tools"]}
        if "run_capability" in offered:
            task = self._tasks[messages[1].removeprefix("Task: ").partition("\n")[0].strip()]
            return self._solve(task, self._families[task.family], messages[1], messages[-1])
        wish = messages[1].rpartition("The user's task: ")[2]
        task = self._tasks[wish.partition("\n")[0].strip()]
        return self._write(task, self._families[task.family], messages)

    def _solve(self, task: Task, family: Family, shown: str, last: str) -> ScriptReply:
        id = family.capability
        if last.startswith(f"{id} returned:"):
            return {"content": family.sentence(json.loads(_fenced(last)))}
        if last.startswith((f"Created `{id}`", f"Nothing had to be written: `{id}`")) or f"`{id}` (" in shown:
            return _call("run_capability", {"capability_id": id, "input": dict(task.arguments)})
        if last is shown:
            return _call("mutate_capability", {"task_description": family.draft["summary"]})
        return {"error": {"message": f"the oracle does not know what to make of {last[:2000]}"}}

    def _write(self, task: Task, family: Family, messages: list[str]) -> ScriptReply:
        if len(messages) > 2:
            return {"error": {"message": f"the gates refuse {family.capability}: {messages[-1][:2000]}"}}
        if re.search(rf"Ids that are taken: .*`{family.capability}`", messages[1]):
            return _call("use_existing", {"capability_id": family.capability})
        first = {"task": task.text, "input": dict(task.arguments)}
        draft = {**family.draft, "examples": [first, *family.draft["examples"]]}
        return _call("submit_capability", draft)


def _call(name: str, arguments: Mapping[str, Any]) -> ScriptReply:
    return {"tool_calls": [{"name": name, "arguments": dict(arguments)}]}


def _fenced(told: str) -> str:
    """The JSON between the marks around what a program returned."""
    return told[told.index("{") : told.rindex("}") + 1]
