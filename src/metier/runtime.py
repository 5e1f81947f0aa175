"""Metier in one file, top-down: recall → retrieve → decide (attempt.py) → run | mutate → answer → remember.

A task that was solved before, or of a kind that was, is answered from memory, without a model. Otherwise the nearest
capabilities are retrieved, and a model with exactly two tools runs one of them or has a new one written, until it can
answer. What one run explains is remembered, so that tomorrow such a task takes the first way.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from metier import events
from metier.aliases import Aliases
from metier.approval import Always, Approver, NoApprover
from metier.attempt import Attempt
from metier.capability import Capability
from metier.config import Settings, load_settings, root_paths
from metier.errors import (
    ApprovalPending,
    LibraryError,
    MetierError,
    RunFailed,
    SetupMissing,
    UsageError,
)
from metier.finding import Finder
from metier.grounding import ground
from metier.journal import FORGOTTEN, new_run_id
from metier.keeping import Keeping
from metier.library import Library
from metier.memory import TaskMemory, answer_from, task_key
from metier.model import ChatModel, chat_model, resolve_models
from metier.outcomes import Failed, Mutation, Ran
from metier.permissions import Permissions
from metier.recall import Decision, Lesson, Recall
from metier.recall.entities import Entities
from metier.recall.lesson import journaled
from metier.recall.trust import Trust
from metier.replay import Comparison, replay
from metier.runs import Runs
from metier.sandbox.box import Box
from metier.watching import Emit, Watcher, run_ended, told, told_of_its_end
from metier.workforce import Workforce

if TYPE_CHECKING:
    from metier.agent_tools import Framework
    from metier.mutation import Demand, Mutator, PendingDrafts

log = logging.getLogger(__name__)

MAX_TASK_CHARACTERS = 100_000

NO_MODEL = """\
memory has no answer to this task, and no model is set.
{nearest}Three ways on:
  set a key         OPENAI_API_KEY, ANTHROPIC_API_KEY, AZURE_OPENAI_… or FOUNDRY_… ; [model] in metier.toml names one
  run one yourself  metier call {id} '{{...}}'   (metier show {id} says what it takes)
  connect an agent  metier mcp   (it brings the model, this library the skills)"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a task. `text` is for the user; the rest says how it came about."""

    text: str
    run_id: str
    route: str
    """"recall" or "model"."""
    candidates: tuple[tuple[str, float], ...] = ()
    """What retrieval put before the model: (id, score), best first."""
    used: tuple[Ran, ...] = ()
    created: tuple[str, ...] = ()
    """Ids of capabilities that were written for this task."""
    waiting: tuple[str, ...] = ()
    """Ids of drafts that were written for this task and wait for approval."""
    withheld: tuple[str, ...] = ()
    """Ids of capabilities that would have changed data, and were not run because nobody had allowed it."""
    model_calls: int = 0
    tokens: int = 0
    explained_by: str | None = None
    """The run that explains it, where memory may learn from that."""
    lesson: Lesson | None = None
    """What memory learned of it."""


Result = TypeVar("Result")


class Runtime:
    """An agent over one library. Open it with `Runtime.open`; it is a context manager, with `async with` as well."""

    def __init__(
        self,
        library: Library,
        settings: Settings,
        *,
        model: ChatModel | None,
        mutation_model: ChatModel | None,
        tester_model: ChatModel | None = None,
        embedding: str,
        box: Box,
        approver: Approver,
        workers: int = 0,
        now: datetime | None = None,
    ) -> None:
        self.library = library
        self.settings = settings
        self.model = model
        self._mutation_model = mutation_model or model
        self._tester_model = tester_model or self._mutation_model
        self._approver = approver
        self._runs = Runs(library, settings, box, now)
        self.workforce = Workforce.of(self._runs, workers) if workers else None
        self.journal, self.runner, self.lifecycle = self._runs.journal, self._runs.runner, self._runs.lifecycle
        self.load, self.now = self._runs.load, self._runs.now
        self._state = self._runs.state
        self.keeping = Keeping.of(library.path, settings)
        self.memory = TaskMemory(self._state, keeping=self.keeping, journaled=lambda: journaled(self.journal, library))
        self.aliases = Aliases(library)
        self.finder = Finder(library, self.memory, self.aliases, self._state, embedding, settings.model)
        self.recall = Recall(
            self.memory,
            library,
            self.aliases,
            Entities(root_paths(library.path, settings), settings.stores, library.path, settings.policy.ceiling),
            Trust(self.memory, settings.recall.delta, settings.recall.shadow),
            writes=settings.agent.recall_writes,
            known=self.finder.known,
        )
        self.watchers: list[Watcher] = []

    @classmethod
    def open(
        cls,
        library: str | os.PathLike[str] = "capabilities",
        *,
        model: str | ChatModel | None = None,
        approver: Approver | None = None,
        announce: Callable[[str], None] = lambda _: None,
        workers: int = 0,
        now: datetime | None = None,
    ) -> Self:
        """The runtime over the library at a path, with the operator's settings and the models of the environment.

        `model` is a name such as "openai:gpt-5", or anything that answers a conversation; it goes before metier.toml
        and the environment. `announce` is told, in a line, what will take long. With `workers`, capabilities run in so
        many processes, and one that is lost fails its run alone; a script that is started as such then needs
        `if __name__ == "__main__":` around what it does. `now` is what time it always is, to runs that may read the
        clock and to words such as "tomorrow", for data of one day; without a time zone it is UTC.

        Raises:
            UsageError: the path is no library, or its settings are wrong.
            SetupMissing: the settings want traces, and OpenTelemetry is not installed.
        """
        opened = Library.open(Path(library))
        settings = load_settings(opened.path)
        named = model if isinstance(model, str) else None
        names = resolve_models(settings.model, named, os.environ)
        given = model if model is not None and not isinstance(model, str) else None
        tester = settings.model.tester if given is None else None
        runtime = cls(
            opened,
            settings,
            model=given or (chat_model(names.chat, settings.model) if names.chat else None),
            mutation_model=chat_model(names.mutation, settings.model) if names.mutation and given is None else None,
            tester_model=chat_model(tester, settings.model) if tester else None,
            embedding=names.embedding,
            box=Box(stack_bytes=settings.limits.stack_bytes, announce=announce),
            approver=approver or NoApprover(),
            workers=workers,
            now=now.replace(tzinfo=UTC) if now is not None and now.tzinfo is None else now,
        )
        if settings.telemetry.traces:
            from metier.telemetry import spans

            runtime.watchers.append(spans(contents=settings.telemetry.contents))
        runtime.runner.recover()
        return runtime

    # Solving a task

    async def run(
        self, task: str, *, emit: Emit = lambda _: None, allow_writes: bool = False, run_id: str | None = None
    ) -> Answer:
        """Solves a task.

        `emit` hears each event as it happens. `allow_writes` lets memory repeat a task that changes data, and the model
        change data after it has seen what programs returned. A caller who may have to ask again, after a crash, names
        the task by a `run_id` of its own: what memory changed under that name is not done a second time.

        Raises:
            UsageError: the task is empty or too long.
            ApprovalPending: memory knows how, but it changes data and nobody allowed that.
            RunFailed: what memory says does not work any more, and there is no model to ask.
            SetupMissing: memory has no answer and there is no model.
            ModelError: the model's endpoint fails, or it does not come to an answer.
        """
        named, run_id, emit = run_id is not None, run_id or new_run_id(), told(emit, self.watchers)
        _check_task(task)
        emit(events.TaskStarted(run_id, task))
        try:
            decision = self.decide(task, allow_writes=allow_writes)
            answer = await self._recall(decision, run_id, emit, named=named) or await self._solve(
                task, run_id, emit, allow_writes, decision
            )
        except (MetierError, asyncio.CancelledError) as error:
            words, said = self.keeping.words(task, str(error) or "cancelled")
            self.journal.task(run_id, words or "", error=said)
            emit.watching(events.TaskFailed(run_id, type(error).__name__, str(error)))
            raise
        words, text = self.keeping.words(task, answer.text)
        self.journal.task(
            run_id,
            words or "",
            route=answer.route,
            answer=text,
            created=answer.created,
            model_calls=answer.model_calls,
            tokens=answer.tokens,
            solved_by=answer.explained_by,
            lesson=answer.lesson.text() if answer.lesson else None,
        )
        emit(_answered(answer))
        return answer

    def decide(self, task: str, *, allow_writes: bool = False) -> Decision:
        """What memory would do with a task, and why; nothing is executed."""
        return self.recall.decide(task, self.now(), allow_writes=allow_writes)

    async def _recall(self, decision: Decision, run_id: str, emit: Emit, *, named: bool) -> Answer | None:
        """The answer from memory, or None where it has none: a version that solved such a task, and no model."""
        capability, remembered, way = decision.capability, decision.remembered, decision.route
        checked = way is not None and self.model is not None and self.recall.trust.sampled()
        reason = f"{decision.reason}, and a model does it too" if checked else decision.reason
        if not self.keeping.is_never_kept(decision.task):
            _, said = self.keeping.words(decision.task, reason)
            id = capability.id if capability else None
            self.recall.trust.log(run_id, task_key(decision.task), way, id, said or "")
        if capability is None or remembered is None or checked or (way is None and self.model is not None):
            return None
        if way is None:
            raise ApprovalPending(
                f"memory knows how: {capability.id} {json.dumps(remembered.input, ensure_ascii=False)}. It changes "
                "data; repeat with --allow-writes to have it done"
            )
        emit(events.Recalled(capability.id, capability.version, remembered.input, way))
        if named and capability.effects == "write":
            done = self.journal.done(run_id, capability.id, remembered.input)
            if done is not None:
                return Answer(answer_from(remembered, done, json.loads(done)), run_id, "recall")
        outcome, asked, tokens = await self.run_or_mend(capability, remembered.input, run_id, emit)
        if isinstance(outcome, Failed):
            if self.model is None:
                raise RunFailed(outcome)
            return None
        text = answer_from(remembered, outcome.output_text, outcome.output)
        return Answer(text, run_id, "recall", used=(outcome,), model_calls=asked, tokens=tokens)

    async def _solve(
        self, task: str, run_id: str, emit: Emit, allow_writes: bool, decision: Decision | None = None
    ) -> Answer:
        """The model's way: show it the nearest capabilities, carry out what it calls for, until it answers."""
        candidates = await asyncio.to_thread(self.nearest, task, self.settings.agent.candidates)
        emit(events.Nearest(tuple((c.id, round(score, 4)) for c, score in candidates)))
        if self.model is None:
            raise SetupMissing(_no_model(candidates))
        scores = [score for _, score in candidates]
        unfit = self.finder.nothing_fits(scores)
        attempt = Attempt(self, self.model, task, run_id, [c for c, _ in candidates], emit, allow_writes, unfit)
        text = await attempt.work()
        if not (attempt.withheld or attempt.waiting) and candidates:
            self.finder.learn(scores, right=candidates[0][0].id in {run.capability for run in attempt.ran})
        explained_by, lesson = self._remember(task, text, attempt, decision)
        return Answer(
            text,
            run_id,
            "model",
            candidates=tuple((c.id, score) for c, score in candidates),
            used=tuple(attempt.ran),
            created=tuple(attempt.created),
            waiting=tuple(attempt.waiting),
            withheld=tuple(attempt.withheld),
            model_calls=attempt.model_calls,
            tokens=attempt.tokens,
            explained_by=explained_by,
            lesson=lesson,
        )

    def _remember(
        self, task: str, text: str, attempt: Attempt, decision: Decision | None
    ) -> tuple[str | None, Lesson | None]:
        """Keeps a task that one run explains: the only one, or that of a capability written for just this task.

        Which run that is, if memory may learn from it, and what it learned.
        """
        ran = attempt.ran
        if attempt.withheld or attempt.waiting:
            return None, None
        index = ground(text, [r.output for r in ran], task, inputs=[r.input for r in ran])
        if index is None:
            return None, None
        run = ran[index]
        others = [r for r in ran if r is not run]
        if others and (run.capability not in attempt.created or any(r.capability == run.capability for r in others)):
            return None, None
        if any(self.library.get(r.capability, r.version).effects == "write" for r in others):
            return None, None
        solver = self.library.get(run.capability, run.version)
        lesson = self.recall.learn(task, run, solver, text, self.now(), attempt.run_id, decision)
        return (run.run_id if lesson else None), lesson

    # One capability, without a model

    def call(self, capability: str, input: Any, *, version: int | None = None) -> Any:
        """The output of one capability for one input, as JSON values.

        Raises:
            LibraryError: there is no such capability or version, or it is retired or quarantined.
            RunFailed: the input is wrong, or the program failed; `.outcome` says how.
        """
        found = self.library.get(capability, version)
        if version is None:
            found, input = self.serving(found, input)
        outcome = self.execute_current(found, input) if version is None else self.execute(found, input)
        if isinstance(outcome, Failed):
            raise RunFailed(outcome)
        return outcome.output

    def serving(self, capability: Capability, input: Any) -> tuple[Capability, Any]:
        """The capability if it is live, else the one that answers its calls, with the input as that one takes it.

        Raises:
            LibraryError: it is retired or quarantined, and nothing answers its calls.
        """
        if capability.live:
            return capability, input
        alias = self.aliases.of(capability)
        if alias is None:
            raise LibraryError(f"{capability.name} is {capability.status}; name a version to run it all the same")
        return alias.kept, alias.input(input)

    def execute_current(self, capability: Capability, input: Any) -> Ran | Failed:
        """Runs the current version of a capability; where that breaks its contract, what takes its place has a turn."""
        outcome = self.execute(capability, input)
        if isinstance(outcome, Failed) and outcome.consequence:
            _blocking(self._mend_at_once(outcome, lambda _: None))
            if self._serves(capability):
                return self.execute(self.library.get(capability.id), input)
        return outcome

    def execute(
        self, capability: Capability, input: Any, *, grant: Permissions | None = None, task_run_id: str | None = None
    ) -> Ran | Failed:
        """Runs one version on live data, keeps the run in the journal and draws the consequence for the version's
        state. `grant` narrows what it may do.

        Raises:
            Overloaded: there are workers, and too many runs wait for them already.
        """
        if not self.watchers:
            return self._execute(capability, input, grant=grant, task_run_id=task_run_id)
        tell = told(lambda _: None, self.watchers)
        tell(events.RunStarted(capability.id, capability.version, input))
        outcome = self._execute(capability, input, grant=grant, task_run_id=task_run_id)
        tell(run_ended(outcome))
        return outcome

    def _execute(
        self, capability: Capability, input: Any, *, grant: Permissions | None = None, task_run_id: str | None = None
    ) -> Ran | Failed:
        return (self.workforce or self._runs).execute(capability, input, grant=grant, task_run_id=task_run_id)

    def _serves(self, failed: Capability) -> bool:
        """Whether another version took the place of one that only looked at things, so that nothing is done twice."""
        return failed.effects != "write" and self.library.get(failed.id).live

    def replay(self, run_id: str) -> Comparison:
        """Executes a recorded run once more, offline, and compares it with what it was.

        Raises:
            UsageError: the journal has no such run.
        """
        recorded = self.journal.recorded(run_id)
        if recorded is None:
            raise UsageError(f"the journal has no run {run_id!r}; `metier runs` lists them")
        if recorded.kind == FORGOTTEN:
            raise UsageError(f"run {recorded.run_id} was forgotten: what it took and saw is not kept any more")
        comparison = replay(self.runner, lambda id, version: self.load(self.library.get(id, version)), recorded)
        if not recorded.intact and not comparison.identical:  # which says nothing about the program
            told = f"{comparison.difference}; the record itself was changed since, see `metier runs verify`"
            return dataclasses.replace(comparison, difference=told)
        self.lifecycle.replayed(comparison)
        return comparison

    async def _run_off_loop(self, capability: Capability, input: Any, run_id: str, emit: Emit) -> Ran | Failed:
        emit(events.RunStarted(capability.id, capability.version, input))
        outcome = await asyncio.to_thread(self._execute, capability, input, task_run_id=run_id)
        emit(run_ended(outcome))
        return outcome

    async def run_or_mend(
        self, capability: Capability, input: Any, run_id: str, emit: Emit
    ) -> tuple[Ran | Failed, int, int]:
        """A run; where it breaks its contract it is mended, if the operator wants that at once, and what serves in its
        place has a turn. With the model calls and tokens that it took."""
        outcome = await self._run_off_loop(capability, input, run_id, emit)
        asked = tokens = 0
        if isinstance(outcome, Failed) and outcome.consequence:
            asked, tokens = await self._mend_at_once(outcome, emit)
            if self._serves(capability):
                outcome = await self._run_off_loop(self.library.get(capability.id), input, run_id, emit)
        return outcome, asked, tokens

    async def _mend_at_once(self, outcome: Failed, emit: Emit) -> tuple[int, int]:
        """Has a capability repaired where `[lifecycle] repair` is "auto"; what it took. No failure of it is raised."""
        wanted = self.settings.lifecycle.repair == "auto" and self._mutation_model is not None
        if wanted and self.lifecycle.moved_by(outcome):
            try:
                _, asked, tokens = await self.repair(outcome.capability, emit)
            except MetierError as error:
                emit(events.ToolRefused("repair", str(error)))
            else:
                return asked, tokens
        return 0, 0

    # Retrieval

    def nearest(self, task: str, k: int = 4) -> list[tuple[Capability, float]]:
        """The k live capabilities nearest to a task, best first, each with its score."""
        return self.finder.nearest(task, k)

    # Mutation

    @property
    def approver(self) -> Approver:
        """Who says yes to what goes beyond what is given unasked: a person, or the operator's settings for them."""
        mode = self.settings.approval.mode
        return self._approver if mode == "ask" else Always(approved=mode == "auto")

    def mutator(self) -> Mutator:
        """Makes new capabilities for this library."""
        from metier.mutation import Mutator

        return Mutator(
            self.library,
            self.runner,
            roots=root_paths(self.library.path, self.settings),
            settings=self.settings,
            approver=self.approver,
            pending=self.pending(),
            journal=self.journal,
            load=self.load,
            nearest=self.nearest,
        )

    def pending(self) -> PendingDrafts:
        """The drafts that wait for a person."""
        from metier.mutation import PendingDrafts

        return PendingDrafts(self._state)

    async def mutate(
        self, task: str, parent: str | None, emit: Emit, *, demand: Demand | None = None
    ) -> tuple[Mutation, int, int]:
        """Has a capability written for a task, and meet the demand; the outcome, with model calls and tokens spent."""
        author = self._mutation_model
        if author is None:
            raise SetupMissing("there is no model to write capabilities; set a key, or [model] in metier.toml")
        emit = told(emit, self.watchers)
        emit(events.MutationStarted(task, parent))
        artifact = await asyncio.to_thread(self.library.load, parent) if parent else None
        near = await asyncio.to_thread(self.nearest, task, self.settings.agent.candidates)
        work = self.mutator().mutate(
            author,
            task,
            artifact,
            emit,
            neighbours=[c for c, _ in near],
            tester=self._tester_model,
            demand=demand,
        )
        return await told_of_its_end(work, emit)

    async def repair(self, id: str, emit: Emit) -> tuple[Mutation, int, int]:
        """Has a capability mended that broke its contract; the outcome, with model calls and tokens spent.

        Raises:
            UsageError: nothing is known that it failed on, or a person pinned it.
            SetupMissing: there is no model.
            ModelError: the author's endpoint fails.
        """
        failures = self.journal.evidence.failures(id)
        if not failures:
            raise UsageError(f"{id} has not failed on anything that is not mended; `metier repair` lists what waits")
        current = await asyncio.to_thread(self.library.get, id)
        if current.pinned:
            raise UsageError(f"{id} is pinned; `metier pin --unpin {id}` first, then repair it")
        author = self._mutation_model
        if author is None:
            raise SetupMissing("there is no model to mend capabilities; set a key, or [model] in metier.toml")
        parent = await asyncio.to_thread(self.library.load, id, max(f.version for f in failures))
        emit = told(emit, self.watchers)
        emit(events.MutationStarted(f"repair {parent.capability.name}", parent.capability.name))
        work = self.mutator().repair(author, parent, failures, current.version, emit, tester=self._tester_model)
        return await told_of_its_end(work, emit)

    # The same for those who do not write async code

    def run_sync(
        self, task: str, *, emit: Emit = lambda _: None, allow_writes: bool = False, run_id: str | None = None
    ) -> Answer:
        """`run`, from code that is not async; also where an event loop is running already."""
        return _blocking(self.run(task, emit=emit, allow_writes=allow_writes, run_id=run_id))

    def mutate_sync(
        self, task: str, parent: str | None, emit: Emit, *, demand: Demand | None = None
    ) -> tuple[Mutation, int, int]:
        """`mutate`, from code that is not async."""
        return _blocking(self.mutate(task, parent, emit, demand=demand))

    def repair_sync(self, id: str, emit: Emit) -> tuple[Mutation, int, int]:
        """`repair`, from code that is not async."""
        return _blocking(self.repair(id, emit))

    async def stream(self, task: str, *, allow_writes: bool = False) -> AsyncGenerator[events.Event]:
        """`run`, event by event; the last one is `Answered`. What `run` raises, this raises."""
        queue: asyncio.Queue[events.Event | None] = asyncio.Queue()
        work = asyncio.create_task(self.run(task, emit=queue.put_nowait, allow_writes=allow_writes))
        work.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            await work
        finally:
            work.cancel()

    def as_tools(self, framework: Framework = "functions", *, capabilities: Sequence[str] = ()) -> list[Any]:
        """Tools for an agent of another framework, in its own types: to find, run and write capabilities, and one more
        for each id in `capabilities`. As functions, they are async, take keywords and give text.

        Raises:
            UsageError: a capability takes no object, or there is no such framework.
            LibraryError: there is no such capability, or it is not in use.
            SetupMissing: the framework is not installed.
        """
        from metier.agent_tools import as_tools

        return as_tools(self, framework, capabilities)

    def close(self) -> None:
        """Lets go of the journal and the memory, after the runs that workers have under way. What was done stays."""
        if self.workforce is not None:
            self.workforce.close()
        self._runs.close()
        self.memory.close()
        self.finder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.to_thread(self.close)


def _check_task(task: str) -> None:
    if not task.strip():
        raise UsageError("the task is empty; say what to do, as in: metier run \"What's John's salary?\"")
    if len(task) > MAX_TASK_CHARACTERS:
        raise UsageError(
            f"the task has {len(task)} characters, more than {MAX_TASK_CHARACTERS}; put data into a file under a root "
            "and name it in the task"
        )


def _no_model(candidates: list[tuple[Capability, float]]) -> str:
    lines = [f"  {c.id:32} {score:.2f}  {c.summary}" for c, score in candidates]
    nearest = "\n".join(["The nearest capabilities:", *lines, ""]) if lines else ""
    return NO_MODEL.format(nearest=nearest, id=candidates[0][0].id if candidates else "ID")


def _answered(answer: Answer) -> events.Answered:
    return events.Answered(
        answer=answer.text,
        run_id=answer.run_id,
        route="recall" if answer.route == "recall" else "model",
        candidates=tuple({"id": id, "score": round(score, 4)} for id, score in answer.candidates),
        used=tuple(
            {"id": r.capability, "version": r.version, "input": r.input, "output": r.output} for r in answer.used
        ),
        created=answer.created,
        waiting=answer.waiting,
        withheld=answer.withheld,
        model_calls=answer.model_calls,
        tokens=answer.tokens,
    )


def _blocking(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:  # carried over to the thread that waits
            failure.append(error)

    thread = threading.Thread(target=run, name="metier-run-sync")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
