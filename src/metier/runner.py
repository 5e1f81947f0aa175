"""One run of one version, held to its contract: input checked, program executed, output checked, effects committed."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from metier import schemas
from metier.capability import Capability
from metier.commits import Commits, NotKept, Unsettled
from metier.effects import INSIDE, OUTSIDE, Context, Door, EffectError, HttpService, SqlSession, SqlStores
from metier.errors import InvalidModule, MetierError
from metier.journal import Journal, new_run_id
from metier.locks import exclusive
from metier.outcomes import Effect, Failed, FailureKind, Ran
from metier.permissions import Grant, Permissions
from metier.printable import visible
from metier.record import LiveRecord, Record, RecordedFiles, ReplayedRecord
from metier.sandbox.box import Box, Budget, Execution, Program
from metier.sandbox.files import Backing, FileSystem, HostFiles
from metier.sandbox.limits import MIB, Limits
from metier.sandbox.nesting import OuterFiles, adopt
from metier.sandbox.shipped import PYTHON, SHIPPED
from metier.sandbox.wasi import Clock, Process, RandomStream

log = logging.getLogger(__name__)
FIXED_TIME_NS = 946_684_800 * 10**9
"""Where wall time starts for a run without a recorded clock: 2000-01-01T00:00:00Z."""
ANOTHER_TIME_NS = 2_573_551_696 * 10**9
"""Another one, later than the days in most data: 2051-07-21T11:28:16Z. Month, day, weekday and hour differ as well."""

DATA_LOCK = "data.lock"
LOCK_SECONDS = 60.0
"""How long a run that writes waits for another one."""
BROKEN: Mapping[str, FailureKind] = {"steps": "check", "time": "time"}
"""What kind of failure a check is that was not finished."""
KIND = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
"""What a program may call the kind of its error: a name, since it is shown without the fence of other guest text."""
LEVELS_BYTES = 3 * MIB
"""Stack of runs in each other on one native stack, one at least. Each takes some more, and a thread may have as little
as 8 MiB, so the next one goes on in a thread of its own."""
STACK_OF_LEVELS = 16 * 2**20
"""Bytes of native stack of such a thread."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version whose program is ready."""

    capability: Capability
    program: Program


class Runner:
    """Runs capabilities of one library with its operator's roots, policy and limits.

    `state` is the library's state folder, where several changes are made one; `checkpoint` hears each step of that.
    `journal` gets the record of a run that changed something, in the same step; the others are the caller's to keep.
    `resolve` finds a version of an id (None: the live one), for calls between capabilities; without it they are denied.
    `clock` is what time it is to runs with a recorded clock, in nanoseconds since 1970.
    """

    def __init__(
        self,
        box: Box,
        *,
        roots: Mapping[str, Path],
        policy: Permissions,
        limits: Limits,
        state: Path | None = None,
        checkpoint: Callable[[str], None] = lambda _: None,
        resolve: Callable[[str, int | None], Loaded] | None = None,
        http: HttpService | None = None,
        stores: SqlStores | None = None,
        journal: Journal | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.box = box
        self.limits = limits
        self._roots = roots
        self._policy = policy
        self._state = state
        self._journal = journal
        self._commits = Commits(state, roots, stores, journal, checkpoint)
        self._resolve = resolve
        self._clock = clock
        self._fixed_ns, self._salt = FIXED_TIME_NS, b""
        self._http = http
        self._stores = stores

    def on(self, box: Box) -> Runner:
        """The same on another back end; calls between capabilities are denied there."""
        return Runner(
            box,
            roots=self._roots,
            policy=self._policy,
            limits=self.limits,
            state=self._state,
            http=self._http,
            stores=self._stores,
            journal=self._journal,
            clock=self._clock,
        )

    def another_day(self, *, clock: bool, random: bool) -> Runner:
        """The same, where wall time starts elsewhere, and other random numbers are drawn, for runs that do not ask for
        the real ones."""
        other = copy.copy(self)
        if clock:
            other._fixed_ns = ANOTHER_TIME_NS
        if random:
            other._salt = b"another day"
        return other

    @functools.cached_property
    def portable(self) -> Runner:
        """The same on the portable interpreter, an independent back end."""
        return self.on(self.box.portable())

    def load(self, capability: Capability, wasm: bytes) -> Loaded:
        """The version, ready to run.

        Raises:
            InvalidModule: its wasm is not admitted, or it was built for another engine.
        """
        if capability.engine is not None and capability.engine not in {engine.pin for engine in SHIPPED}:
            here = next((e for e in SHIPPED if capability.language == e.language.lower()), PYTHON)
            raise InvalidModule(
                f"{capability.id}: built for the engine {capability.engine[:24]}…, and this Metier has "
                f"{here.pin[:24]}…; rebuild it: metier add {capability.id}/src/{here.source}"
            )
        try:
            return Loaded(capability, self.box.load(wasm, self.limits))
        except InvalidModule as error:
            raise InvalidModule(f"{capability.id}: {error}") from None

    def run(
        self,
        loaded: Loaded,
        value: Any,
        *,
        grant: Permissions | None = None,
        task_run_id: str | None = None,
        run_id: str | None = None,
    ) -> Ran | Failed:
        """Runs it on live data and commits what it wrote, if it ended well. `grant` narrows what it may do; `run_id`
        is what the journal is to know the run by, if it is kept there.

        Raises:
            LibraryError: other runs that write take too long.
        """
        run = self._prepared(loaded, value, narrowed=(grant,) if grant else ())
        if isinstance(run, Failed):
            return run
        with run, ExitStack() as turn:
            try:
                self._take_turn(run, turn)
            except (OSError, NotKept) as error:
                return _not_run(loaded.capability, value, error)
            if run.writes:
                return self._committed(run, task_run_id, run_id)
            return run.outcome()

    def recover(self) -> list[Unsettled]:
        """Brings to an end what a crash broke off; what cannot be is logged and returned, and kept from the runs it
        concerns."""
        try:
            unsettled = self._commits.settle()
        except MetierError as error:
            log.warning("%s", error)
            return []
        for left in unsettled:
            log.warning("%s", left)
        return unsettled

    def _take_turn(self, run: Run, turn: ExitStack) -> None:
        """Two runs that change the same data take turns, or the later would undo the earlier.

        Raises:
            NotKept: an earlier run was broken off, and this one could see half of what it did.
            OSError: the state folder cannot be written.
        """
        if run.writes and self._state is not None:
            turn.enter_context(exclusive(self._state / DATA_LOCK, timeout=LOCK_SECONDS))
        self._commits.must_be_settled(run.grant)

    def rehearse(
        self,
        loaded: Loaded,
        value: Any,
        *,
        fixtures: Mapping[str, Any] | None = None,
        grant: Permissions | None = None,
        record: Record | None = None,
    ) -> Ran | Failed:
        """The same against a copy of the data, with `fixtures` laid over it; nothing that it writes is kept.

        What is outside is told from a `record`, where one is given.

        Raises:
            Diverged: it asks for what is not in the record.
        """
        laid = _fixture_files(fixtures)
        narrowed = (grant,) if grant else ()
        run = self._prepared(loaded, value, narrowed=narrowed, record=record, fixtures=laid)
        if isinstance(run, Failed):
            return run
        with run:
            try:
                self._commits.must_be_settled(run.grant)
            except NotKept as error:
                return _not_run(loaded.capability, value, error)
            outcome = run.outcome()
            if isinstance(outcome, Ran):
                try:
                    changes = run.files.changes()
                except OSError as error:
                    return _failed(outcome, "effects", f"what it wrote could not be kept: {error}")
                changed: dict[str, bytes | None] = {path[1:]: None for path in laid if not run.files.exists(path)}
                changed |= {f"{c.root}/{c.path}": c.content for c in changes if not c.directory}
                return dataclasses.replace(outcome, changed=changed)
            return outcome

    def observe(self, request: Mapping[str, Any], grant: Permissions) -> dict[str, Any]:
        """What the effect door answers to one request at a grant, without a program: `{"ok": …}`, or error and kind.

        The grant is the operator's word, not within the policy for programs. As in a rehearsal nothing is changed.
        """
        allowed = Grant((grant,))
        files = FileSystem(HostFiles(self._roots, self.limits.effect_bytes), allowed, self.limits)
        http = self._http.only_reading if self._http is not None else None
        with closing(self._stores.session(writes=False)) if self._stores is not None else nullcontext() as sql:
            context = Context(files, allowed, self.limits, LiveRecord(), None, http, sql)
            door = Door(INSIDE, OUTSIDE, context)
            told: dict[str, Any] = json.loads(door.call(schemas.compact(dict(request)), _Spare(self.limits.seconds)))
        return told

    def replay(self, loaded: Loaded, value: Any, layers: Sequence[Permissions], record: ReplayedRecord) -> Ran | Failed:
        """The run once more, with everything outside it told from the record and under the grant that it had.

        Raises:
            Diverged: it asks for something else than it did.
        """
        run = self._prepared(loaded, value, grant=Grant(tuple(layers)), record=record)
        if isinstance(run, Failed):
            return run
        with run:
            return run.outcome()

    def _prepared(
        self,
        loaded: Loaded,
        value: Any,
        *,
        narrowed: tuple[Permissions, ...] = (),
        grant: Grant | None = None,
        record: Record | None = None,
        fixtures: Mapping[str, bytes] | None = None,
    ) -> Run | Failed:
        stdin = self._checked_input(loaded.capability, value, self.limits.seconds)
        if isinstance(stdin, Failed):
            return stdin
        allowed = grant or Grant((loaded.capability.permissions, self._policy, *narrowed))
        return Run(
            self, loaded, value, stdin, allowed, record or LiveRecord(self.limits.record_bytes), self.limits, fixtures
        )

    def _checked_input(self, capability: Capability, value: Any, seconds: float) -> bytes | Failed:
        """The input as the program reads it, once it is known to be JSON, not too long, and what the contract says."""

        def refused(kind: FailureKind, line: str) -> Failed:
            return Failed(capability.id, capability.version, value, kind, line)

        limits = self.limits
        try:
            stdin = schemas.compact(value).encode("utf-8")
        except (ValueError, TypeError, RecursionError) as error:
            return refused("input", f"the input is not JSON: {error}")
        if len(stdin) > limits.stdin_bytes:
            return refused("input", f"the input has {len(stdin)} bytes, more than the limit of {limits.stdin_bytes}")
        broken = schemas.violation(capability.input_schema, value, steps=limits.check_steps, seconds=seconds)
        return stdin if broken is None else refused(BROKEN.get(broken.kind, "input"), f"input {broken}")

    def _committed(self, run: Run, task_run_id: str | None, run_id: str | None) -> Ran | Failed:
        outcome, capability, entry = run.outcome(), run.capability, None
        if isinstance(outcome, Failed):
            return outcome
        if self._journal is not None:
            outcome = dataclasses.replace(outcome, run_id=run_id or new_run_id())
            entry = self._journal.entry(outcome, capability, task_run_id=task_run_id)
        try:
            self._commits.keep(run.files.changes(), run.sql, entry)
        except OSError as error:
            problem = f"what it wrote could not be kept: {error.strerror or error}"
        except NotKept as error:
            problem = str(error)
        except MetierError:
            raise
        except Exception as error:  # drivers raise what they like
            problem = f"a store could not be committed ({type(error).__name__})"
        else:
            return outcome
        return _failed(outcome, "effects", problem)

    def nested(self, outer: Context, budget: Budget, capability: str, value: Any) -> Any:
        """The output of a capability that another one calls.

        It runs at its own grant narrowed by the caller's and within what the caller has left; what it writes goes into
        the caller's overlay, if it ends well. A replay runs the version that was called then.

        Raises:
            EffectError: it does not exist, does not accept the input, or failed.
        """
        loaded = self._called(outer.record, capability)
        stdin = self._checked_input(loaded.capability, value, budget.seconds_left())
        if isinstance(stdin, Failed):
            raise EffectError(stdin.kind, stdin.error)
        grant = Grant((loaded.capability.permissions, *outer.grant.layers))
        run = Run(self, loaded, value, stdin, grant, outer.record, self._left(outer, budget), None, outer)
        deep = (outer.depth + 1) % max(1, LEVELS_BYTES // self.box.stack_bytes) == 0
        with outer.sql.nested() if outer.sql is not None else nullcontext():
            outcome = _on_fresh_stack(run.outcome) if deep else run.outcome()
            budget.burn(outcome.fuel)
            budget.spend_effects(run.effects)
            outer.files.overlay.take_in(min(run.files.overlay.read, outer.files.overlay.readable))
            if isinstance(outcome, Failed):
                raise EffectError(outcome.code or outcome.kind, outcome.error)
            for change in run.files.changes():
                adopt(outer.files, change)
        return outcome.output

    def _left(self, outer: Context, budget: Budget) -> Limits:
        """The limits of a run nested in another one: what that one has left of what the two share."""
        overlay = outer.files.overlay
        return self.limits.model_copy(
            update={
                "fuel": max(1, budget.fuel_left()),
                "seconds": max(0.001, budget.seconds_left()),
                "memory_bytes": max(1, budget.memory_left()),
                "effects": budget.effects_left(),
                "overlay_bytes": overlay.room,
                "read_bytes": overlay.readable,
            }
        )

    def _called(self, record: Record, capability: str) -> Loaded:
        assert self._resolve is not None

        def which() -> str:
            try:
                found = self._resolve(capability, None).capability  # type: ignore[misc]  # asserted above
            except MetierError as error:
                return schemas.compact({"error": str(error)})
            return schemas.compact({"version": found.version, "sha256": found.sha256})

        told = json.loads(record.observe(schemas.compact(["call", capability]), which))
        if "error" in told:
            raise EffectError("not_found", told["error"])
        loaded = self._resolve(capability, told["version"])
        if loaded.capability.sha256 != told["sha256"]:
            raise EffectError("not_found", f"{capability}@{told['version']} is not what was called")
        return loaded


class _Spare:
    """A budget without a program that could spend it: only time passes."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def fuel_left(self) -> int:
        return 0

    def burn(self, fuel: int) -> None:
        pass

    def seconds_left(self) -> float:
        return self._until - time.monotonic()

    def memory_left(self) -> int:
        return 0

    def effects_left(self) -> int:
        return 0

    def spend_effects(self, count: int) -> None:
        pass


class Run:
    """One run of a version, on its own or nested in another one (`outer`)."""

    def __init__(
        self,
        runner: Runner,
        loaded: Loaded,
        value: Any,
        stdin: bytes,
        grant: Grant,
        record: Record,
        limits: Limits,
        fixtures: Mapping[str, bytes] | None,
        outer: Context | None = None,
    ) -> None:
        self._runner = runner
        self._loaded = loaded
        self.capability = loaded.capability
        self.writes = loaded.capability.effects == "write"
        self.grant = grant
        self._value = value
        self._stdin = stdin
        self._record = record
        self._limits = limits
        host: Backing = HostFiles(runner._roots, limits.effect_bytes)
        backing: Backing = OuterFiles(outer.files) if outer else RecordedFiles(host, record)
        self.files = FileSystem(backing, grant, limits, fixtures)
        self.sql = outer.sql if outer else _session(runner, loaded.capability)
        self._outer = outer
        call = runner.nested if runner._resolve is not None else None
        depth = outer.depth + 1 if outer else 0
        http = outer.http if outer else runner._http
        if http is not None and fixtures is not None:  # a rehearsal
            http = http.only_reading
        self._context = Context(self.files, grant, limits, record, call, http, self.sql, depth)
        self.effects = 0
        """Requests at the effect door."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Undoes what was not committed in stores, and lets go of them."""
        if self.sql is not None and self._outer is None:
            self.sql.close()

    def outcome(self) -> Ran | Failed:
        """Executes it, and judges the execution by the contract."""
        door = Door(INSIDE, OUTSIDE, self._context)
        execution = self._runner.box.execute(self._loaded.program, self._process(), door)
        self.effects = door.count
        seen = Seen(tuple(self._record.effects), self._record.blobs, self.grant.layers)
        return judge(self._loaded.capability, self._value, execution, self._limits, seen)

    def _may_nest(self) -> bool:
        """Whether it may call another capability."""
        context = self._context
        allowed = all(layer.call for layer in self.grant.layers)
        return context.call is not None and allowed and context.depth + 1 < self._limits.call_depth

    def _seed(self) -> bytes:
        """What random bytes come from where they are not recorded: the input and the version."""
        capability = self._loaded.capability
        named = (capability.sha256 or capability.id).encode()
        return hashlib.sha256(self._stdin + named + self._runner._salt).digest()

    def _process(self) -> Process:
        capability, grant = self._loaded.capability, self.grant
        start_ns = self._runner._fixed_ns
        seed: bytes | Callable[[], bytes] = self._seed
        if grant.clock == "recorded":
            start_ns = int(self._record.observe('["clock"]', lambda: str(self._runner._clock())))
        if grant.random == "recorded":
            seed = bytes.fromhex(self._record.observe('["random"]', lambda: secrets.token_hex(32)))
        return Process(
            self.files,
            self._limits,
            Clock(start_ns),
            RandomStream(seed),
            stdin=self._stdin,
            arguments=(capability.id,),
            environ=grant.environ,
            kept_bytes=self._limits.memory_bytes // 2 if self._may_nest() else 0,
        )


def _on_fresh_stack(work: Callable[[], Ran | Failed]) -> Ran | Failed:
    """What `work` returns or raises, done in a thread of its own while this one waits."""
    with _stack_size:
        usual = threading.stack_size(STACK_OF_LEVELS)
        try:
            thread = ThreadPoolExecutor(1, "metier-nested")
            done = thread.submit(work)
        finally:
            threading.stack_size(usual)
    with thread:
        return done.result()


_stack_size = threading.Lock()
"""The size of new stacks is a setting of the whole process."""


def _session(runner: Runner, capability: Capability) -> SqlSession | None:
    return runner._stores.session(writes=capability.effects == "write") if runner._stores is not None else None


class Seen(NamedTuple):
    """What a run saw of the outside, and under what permissions; see `Ran`."""

    effects: tuple[Effect, ...]
    blobs: Mapping[str, bytes]
    grant: tuple[Permissions, ...]


def judge(capability: Capability, value: Any, execution: Execution, limits: Limits, seen: Seen) -> Ran | Failed:
    """What an execution means under the contract. Judging has what the run left of its time."""
    stderr = execution.stderr.decode("utf-8", "replace")

    def failed(kind: FailureKind, error: str, code: str = "") -> Failed:
        return Failed(
            capability.id,
            capability.version,
            value,
            kind,
            error,
            code,
            stderr,
            execution.fuel,
            execution.seconds,
            *seen,
        )

    if execution.stopped is not None:
        return failed(*execution.stopped)
    if execution.status != 0:
        message, code = _own_error(stderr)
        kind: FailureKind = "memory" if code == "MemoryError" else "program"
        return failed(kind, message or f"the program ended with status {execution.status} and said nothing", code)
    try:
        output = schemas.parse(execution.stdout, what="the output", most=limits.json_bytes)
    except schemas.InvalidJson as error:
        return failed("contract", str(error))
    if isinstance(output, dict) and "error" in output and "error" not in capability.output_schema.get("properties", {}):
        return failed("contract", "the output is an error object, but the program ended with status 0")
    left = max(0.0, limits.seconds - execution.seconds)
    broken = schemas.violation(capability.output_schema, output, steps=limits.check_steps, seconds=left)
    if broken is not None:
        return failed(BROKEN.get(broken.kind, "contract"), f"output {broken}")
    return Ran(
        capability.id,
        capability.version,
        value,
        output,
        execution.stdout.decode("utf-8"),
        stderr,
        execution.fuel,
        execution.seconds,
        *seen,
    )


def _own_error(stderr: str) -> tuple[str, str]:
    """The message and the kind of the JSON object that a failing program leaves as its last line."""
    last = next((line for line in reversed(stderr.splitlines()) if line.strip()), "")
    try:
        said = schemas.parse(last, what="stderr")
    except schemas.InvalidJson:
        return _line(last, 500), ""
    if isinstance(said, dict) and isinstance(said.get("error"), str):
        kind = said.get("kind")
        return _line(said["error"], 2000), kind if isinstance(kind, str) and KIND.fullmatch(kind) else ""
    return _line(last, 500), ""


def _line(text: str, limit: int) -> str:
    """Words of a program as one line that moves no cursor."""
    return visible(" ".join(text[: 8 * limit].split())[:limit])


def _not_run(capability: Capability, value: Any, error: Exception) -> Failed:
    said = f"the library's folder cannot be written: {error.strerror or error}" if isinstance(error, OSError) else error
    return Failed(capability.id, capability.version, value, "effects", str(said))


def _failed(ran: Ran, kind: FailureKind, error: str) -> Failed:
    shared = {f.name: getattr(ran, f.name) for f in dataclasses.fields(Failed) if hasattr(ran, f.name)}
    return Failed(**(shared | {"kind": kind, "error": error}))


def _fixture_files(fixtures: Mapping[str, Any] | None) -> dict[str, bytes]:
    def content(value: Any) -> bytes:
        return (value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)).encode("utf-8")

    return {"/" + path.lstrip("/"): content(value) for path, value in (fixtures or {}).items()}
