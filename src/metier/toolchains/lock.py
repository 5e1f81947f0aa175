"""The locked room in which a compiler reads what a model wrote.

A compiler reads what a source tells it to (`#include`, `include_str!`, `@embedFile`), so it sees nothing but the draft,
its own files and an empty temporary folder: bubblewrap gives it namespaces of its own, no network, no environment, no
host files. Time, memory, sizes and processes are bounded. What is read-only for it, no draft can change for another.

Where there is no bubblewrap nothing is built, unless the operator says that compilers may run without a lock; they then
see the machine, and only their own listings say what they read.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from metier.errors import BuildError, MetierError, SetupMissing
from metier.toolchains.protocol import Files, checked

SECONDS: Final = 60.0
MEMORY_BYTES: Final = 4 * 2**30
"""Address space of each process."""
FILE_BYTES: Final = 128 * 2**20
TEMPORARY_BYTES: Final = 256 * 2**20
PROCESSES: Final = 256
"""And threads. Linux does not hold the superuser to it."""
SAID_BYTES: Final = 256 * 1024
"""Of what a compiler says that is looked at."""

HOW: Final = (
    "compilers read what a source tells them to, so they run behind a lock: install bubblewrap 0.8 or newer (apt-get "
    "install bubblewrap), or let them run without one: [toolchains] unlocked = true in metier.toml"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of this machine that a compiler sees, read-only, as `/NAME`: whole, or only some `parts` of it."""

    folder: Path
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    status: int
    said: str


class _NotStarted(Exception):
    """bubblewrap ended before the command began."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A command with what it may have. `said` is the descriptor that takes its words."""

    command: Sequence[str]
    environment: Mapping[str, str]
    writable: Mapping[str, Path]
    seconds: float
    said: int


@dataclass(slots=True)
class Room:
    """One draft on the bench. Commands run in the draft's folder; paths in them come from `at` and `out`."""

    folder: Path
    places: Mapping[str, Place]
    libraries: Sequence[Path] = ()
    """Shared libraries that the programs in it are linked to, seen where the machine has them."""
    locked: bool = True

    def at(self, name: str, *parts: str) -> str:
        """A place, or something in it, as commands see it."""
        root = PurePosixPath("/", name) if self.locked else self.places[name].folder
        return str(root.joinpath(*parts))

    def inside(self, part: str) -> str:
        """The room's own `draft` or `out`, as commands see it."""
        return f"/{part}" if self.locked else str(self.folder / part)

    def out(self, name: str) -> str:
        """A file that a command may write, as it sees it."""
        return f"{self.inside('out')}/{name}"

    def host(self, path: str) -> Path:
        """Where a file that a command wrote, as it named it, is on this machine."""
        return self.folder / "out" / PurePosixPath(path).relative_to("/out") if self.locked else Path(path)

    def put(self, name: str, content: str) -> None:
        """Lays a file of ours where `out` finds it."""
        (self.folder / "out" / name).write_text(content, encoding="utf-8")

    def wrote(self, name: str) -> bool:
        return (self.folder / "out" / name).is_file()

    def read(self, name: str) -> bytes:
        """What a command wrote. A link that it may have left is not followed.

        Raises:
            BuildError: it wrote no such file.
        """
        try:
            descriptor = os.open(self.folder / "out" / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with os.fdopen(descriptor, "rb") as file:
                return file.read(FILE_BYTES)
        except OSError:
            raise BuildError(f"the compiler wrote no {name}") from None

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        writable: Mapping[str, Path] | None = None,
        seconds: float = SECONDS,
    ) -> Done:
        """Runs one command to its end. `writable` are more folders that it may change, for what prepares toolchains.

        Raises:
            BuildError: it takes too long.
            SetupMissing: bubblewrap does not start.
        """
        with tempfile.TemporaryFile() as said:
            job = _Job(command, environment or {}, writable or {}, seconds, said.fileno())
            try:
                with _started(self, job) as process:
                    status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise BuildError(f"building it takes longer than {seconds:g} s") from None
            except _NotStarted:
                said.seek(0)
                why = said.read(SAID_BYTES).decode("utf-8", "replace").partition("\n")[0]
                raise SetupMissing(f"bubblewrap does not start here: {why}") from None
            said.seek(0)
            return Done(status, said.read(SAID_BYTES).decode("utf-8", "replace"))

    def strangers(self, listing: Iterable[str]) -> list[str]:
        """Of the files that a compiler says it read, those that belong neither to the draft nor to a place."""
        own = [*(self.at(name) for name in self.places), self.inside("draft"), self.inside("out")]
        paths = {path: os.path.normpath(Path(self.inside("draft"), path)) for path in listing}
        return sorted(p for p, real in paths.items() if not any(real.startswith(f"{root}/") for root in own))


@contextlib.contextmanager
def room(
    files: Files, places: Mapping[str, Place], libraries: Sequence[Path] = (), *, unlocked: bool = False
) -> Iterator[Room]:
    """A room with a draft in it, gone afterwards.

    Raises:
        BuildError: the files cannot be laid into a folder.
        SetupMissing: there is no lock, and `unlocked` does not allow to do without.
    """
    problem = problem_with_lock()
    if problem and not unlocked:
        raise SetupMissing(problem)
    with tempfile.TemporaryDirectory(prefix="metier-build-") as name:
        folder = Path(name)
        (folder / "draft").mkdir()
        (folder / "out").mkdir()
        for file_name, content in checked(files).items():
            (folder / "draft" / file_name).write_bytes(content)
        yield Room(folder, places, libraries, locked=problem is None)


@functools.cache
def problem_with_lock() -> str | None:
    """Why compilers cannot be locked in here, and what to do; None where they can. Tried once, with a program that does
    nothing."""
    if sys.platform != "linux" or shutil.which("bwrap") is None:
        return f"there is no lock for compilers here; {HOW}"
    program = Path(shutil.which("true") or "/bin/true").resolve()
    with tempfile.TemporaryDirectory(prefix="metier-build-") as name:
        for part in ("draft", "out"):
            Path(name, part).mkdir()
        trial = Room(Path(name), {"true": Place(program.parent, (program.name,))}, libraries_of(program))
        try:
            done = trial.run([trial.at("true", program.name)])
        except (MetierError, OSError) as error:
            return f"{error}; {HOW}"
    if done.status == 0:
        return None
    said = (done.said.strip().splitlines() or ["no reason given"])[-1]
    return f"bubblewrap does not work here ({said}); {HOW}"


@functools.cache
def libraries_of(*programs: Path) -> tuple[Path, ...]:
    """The shared libraries that programs need, their loader included; nothing for static ones."""
    found: set[Path] = set()
    for program in programs:
        done = subprocess.run(["/usr/bin/ldd", str(program)], capture_output=True, text=True, check=False)
        words = done.stdout.split() if done.returncode == 0 else []
        found |= {Path(word) for word in words if word.startswith("/") and not word.endswith(":")}
    return tuple(sorted(found))


@contextlib.contextmanager
def _started(room: Room, job: _Job) -> Iterator[subprocess.Popen[bytes]]:
    """The running command, whose limits are set before it begins; killed with all it started when it is left."""
    with contextlib.ExitStack() as stack:
        if room.locked:
            process, init = stack.enter_context(_locked_in(room, job))
        else:
            process, init = _free(room, job), None
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            if init is not None:  # the first process inside is gone when all others are
                select.select([init], [], [], 10)


def _free(room: Room, job: _Job) -> subprocess.Popen[bytes]:
    bounds = f"ulimit -t {int(job.seconds) * 2 + 1} && ulimit -f {FILE_BYTES // 512} && ulimit -c 0"
    return subprocess.Popen(
        ["/bin/sh", "-c", f'{bounds} && exec "$@"', "sh", *job.command],
        stdin=subprocess.DEVNULL,
        stdout=job.said,
        stderr=job.said,
        cwd=room.folder / "draft",
        env={"TMPDIR": str(room.folder / "out"), **job.environment},
    )


@contextlib.contextmanager
def _locked_in(room: Room, job: _Job) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The running command, and a descriptor that can be read once nothing is left of it."""
    told, tells = os.pipe()
    waits, starts = os.pipe()
    open_ = {told, tells, waits, starts}
    try:
        around = ["bwrap", "--info-fd", str(tells), "--block-fd", str(waits), *_walls(room, job)]
        around += ["--symlink", job.command[0], "/proc/self/exe"]  # how some find their own files; there is no /proc
        around += ["--remount-ro", "/", "--chdir", "/draft", "--", *job.command]
        process = subprocess.Popen(
            around, stdin=subprocess.DEVNULL, stdout=job.said, stderr=job.said, pass_fds=(tells, waits)
        )
        os.close(tells)
        open_.remove(tells)
        try:
            inner = _inner(told)
            open_.add(init := _watched(inner))
            _bound(inner, job.seconds)
            os.write(starts, b"!")
        except BaseException:
            process.kill()
            process.wait()
            raise
        yield process, init
    finally:
        for descriptor in open_:
            os.close(descriptor)


def _walls(room: Room, job: _Job) -> list[str]:
    """bubblewrap's arguments: everything of its own, and of this machine only what is named."""
    walls = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "metier"]
    walls += ["--clearenv"]
    for name, value in job.environment.items():
        walls += ["--setenv", name, value]
    walls += ["--dev", "/dev", "--size", str(TEMPORARY_BYTES), "--tmpfs", "/tmp"]  # noqa: S108  # inside
    walls += ["--ro-bind", str(room.folder / "draft"), "/draft", "--bind", str(room.folder / "out"), "/out"]
    for name, place in room.places.items():
        for part in place.parts or (".",):
            walls += ["--ro-bind", str((place.folder / part).resolve()), os.path.normpath(f"/{name}/{part}")]
    for library in room.libraries:
        walls += ["--ro-bind", str(library), str(library)]
    for inside, folder in job.writable.items():
        walls += ["--bind", str(folder), inside]
    return walls


def _inner(told: int) -> int:
    """The process that waits inside for its limits."""
    text = b""
    while b"}" not in text:
        more = os.read(told, 4096)
        if not more:
            raise _NotStarted
        text += more
    return int(json.loads(text)["child-pid"])


def _watched(pid: int) -> int:
    assert sys.platform == "linux"  # there is no lock elsewhere
    return os.pidfd_open(pid)


def _bound(pid: int, seconds: float) -> None:
    assert sys.platform == "linux"
    import resource

    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, int(seconds) * 2 + 1),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, PROCESSES),
    ):
        resource.prlimit(pid, what, (most, most))
