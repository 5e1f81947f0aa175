"""What one program can do to another one, to the process, to itself on another day, and to the model that reads it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metier.capability import Capability
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.prompts import MAX_GUEST_TEXT, fence
from metier.runner import Loaded, Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import MIB, Limits
from metier.toolchains import python
from tests.conftest import ECHO, capability, runner
from tests.hostile.corpus import LIMITS, Hostile, programs

BY_NAME = {hostile.name: hostile for hostile in programs()}
SMALL = Limits.model_validate(LIMITS)


def loaded(box: Box, name: str, tmp_path: Path, **limits: Any) -> tuple[Runner, Loaded]:
    hostile: Hostile = BY_NAME[name]
    own = runner(box, limits=hostile.limits.model_copy(update=limits))
    return own, own.load(capability(), hostile.wasm(box, tmp_path))


def outcome(box: Box, source: str, value: Any = None, **limits: Any) -> Ran | Failed:
    own = runner(box, limits=Limits.model_validate({**LIMITS, **limits}))
    return own.run(own.load(capability(), python.build(source, box)), value)


def test_a_run_finds_nothing_of_an_earlier_one(box: Box, tmp_path: Path) -> None:
    own, program = loaded(box, "python/changes_its_module.py", tmp_path)
    for _ in range(3):
        ended = own.run(program, {})
        assert isinstance(ended, Ran)
        assert ended.output == []


def test_private_files_are_gone_with_the_run(box: Box) -> None:
    source = "import os\ndef run(input):\n    open('/tmp/mark', 'a').write('x')\n    return open('/tmp/mark').read()\n"
    assert [getattr(outcome(box, source), "output", None) for _ in range(3)] == ["x"] * 3


def test_clocks_and_random_bytes_tell_nothing_of_the_host(box: Box) -> None:
    source = (
        "import os, random, time, uuid, threading\nfrom datetime import datetime\n"
        "def run(input):\n"
        "    began = time.perf_counter_ns()\n    sum(range(input))\n"
        "    return [os.urandom(8).hex(), random.random(), str(uuid.uuid1()), str(uuid.uuid4()), time.time_ns(),\n"
        "        time.perf_counter_ns() - began, time.process_time_ns(), datetime.now().isoformat(), id(object()),\n"
        "        hash('x'), os.getpid(), threading.get_ident(), list({'a', 'b', 'c', 'd'}), repr(object())]\n"
    )
    said = {getattr(outcome(box, source, 100_000), "output_text", None) for _ in range(3)}
    assert len(said) == 1
    assert None not in said
    quick, slow = (outcome(box, source, work) for work in (1, 1_000_000))
    assert isinstance(quick, Ran)
    assert isinstance(slow, Ran)
    assert quick.output[5] == slow.output[5]  # what the work took is not to be seen


def test_a_program_that_only_calls_its_host_does_not_hold_the_others_up(box: Box, tmp_path: Path) -> None:
    greedy, busy = loaded(box, "loops/writes_in_vectors.wat", tmp_path, seconds=1.5)
    looping, loop = loaded(box, "loops/loop_until_deadline.wat", tmp_path)
    echoing = runner(box)
    echo = echoing.load(capability(), ECHO)
    thread = threading.Thread(target=lambda: greedy.run(busy, {}))
    thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    assert getattr(looping.run(loop, {}), "kind", None) == "time"
    took = time.monotonic() - began
    assert isinstance(echoing.run(echo, {}), Ran)
    finished_first = thread.is_alive()
    thread.join()
    assert took < 1.0
    assert finished_first


def test_a_late_ticker_does_not_end_the_next_run(box: Box, tmp_path: Path) -> None:
    own, program = loaded(box, "loops/writes_in_vectors.wat", tmp_path)
    for _ in range(3):
        ended = own.run(program, {})
        assert isinstance(ended, Failed)
        assert ended.kind == "time"
        assert 0.19 < ended.seconds < 2


def test_threads_run_hostile_and_good_programs_side_by_side(box: Box, tmp_path: Path) -> None:
    names = ["memory/recursion.wat", "python/exit_at_once.py", "python/patched_builtins.py", "loops/effect_spam.wat"]
    hostile = [loaded(box, name, tmp_path) for name in names]
    own = runner(box)
    echo = own.load(capability(), ECHO)
    wrong: list[Any] = []

    def work(number: int) -> None:
        for i in range(10):
            attacker, program = hostile[(number + i) % len(hostile)]
            bad, good = attacker.run(program, {}), own.run(echo, [number, i])
            if not isinstance(bad, Failed) or not isinstance(good, Ran) or good.output != [number, i]:
                wrong.append((bad, good))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def in_a_process(script: str) -> Any:
    """What a script prints as its last line, as JSON. A crash of its process fails the test and nothing else."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


NESTED = """
import json, threading, wasmtime
from metier.permissions import Permissions
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import Limits
from tests.conftest import capability

request = '{"op":"call","capability":"under_test","input":{}}'
wasm = bytes(wasmtime.wat2wasm(f'''(module
    (import "metier" "call" (func $call (param i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "{request.replace('"', chr(92) + '22')}")
    (func $f (param i32)
      (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))))
        (else (drop (call $call (i32.const 0) (i32.const {len(request)}))))))
    (func (export "_start") (call $f (i32.const 20000))))'''))
found = {}
calls, limits = Permissions(call=("*",)), Limits(fuel=10**9, call_depth=32)
runner = Runner(Box(), roots={}, policy=calls, limits=limits, resolve=lambda id, v: found["it"])
found["it"] = runner.load(capability(permissions=calls), wasm)
kinds = []
for start in (lambda work: work(), lambda work: threading.Thread(target=work).start()):
    start(lambda: kinds.append(runner.run(found["it"], {}).kind))
while len(kinds) < 2:
    pass
print(json.dumps(kinds))
"""


def test_deep_stacks_in_nested_runs_do_not_crash_the_process() -> None:
    assert in_a_process(NESTED) == ["contract", "contract"]


MEASURED = """
import json, pathlib, re, sys, wasmtime
from metier.runner import Runner
from metier.permissions import Permissions
from metier.sandbox.box import Box
from metier.sandbox.limits import MIB, Limits
from metier.toolchains import python
from tests.conftest import ECHO, capability

box = Box()
runner = Runner(box, roots={{}}, policy=Permissions(), limits=Limits(fuel=10**11, memory_bytes=128 * MIB))
runner.run(runner.load(capability(), python.build("def run(input): return 1", box)), {{}})
source = {source!r}
wasm = bytes(wasmtime.wat2wasm(source)) if source.startswith("(module") else python.build(source, box)
program = runner.load(capability(output_schema={schema!r}), wasm)
status = pathlib.Path("/proc/self/status")
size = lambda name: int(re.search(name + r":\\s+(\\d+)", status.read_text())[1]) * 1024
pathlib.Path("/proc/self/clear_refs").write_text("5")
before = size("VmRSS")
runner.run(program, {{}})
print(json.dumps(size("VmHWM") - before))
"""
OVERSHOOTS = {
    "a long request": (
        "import wit_world\ndef run(input):\n    text = 'x' * 30_000_000\n    wit_world.host_call(text)\n",
        {},
    ),
    "a long result": ("def run(input): return 'x' * 20_000_000\n", {}),
    "many small values": ("def run(input): return [[]] * 1_300_000\n", {}),
    "a wide text": ("def run(input): return 'x' * 4_000_000 + '\\U0001f600'\n", {}),
    "many equal values": ("def run(input): return list(range(500_000))\n", {"uniqueItems": True}),
    "many errors in one output": (
        "def run(input): return [1] * 300_000\n",
        {"type": "array", "items": {"type": "string"}},
    ),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a process")
@pytest.mark.parametrize("what", OVERSHOOTS)
def test_the_host_takes_little_memory_beyond_the_programs_own(what: str) -> None:
    source, schema = OVERSHOOTS[what]
    peak = in_a_process(MEASURED.format(source=source, schema=schema))
    assert peak <= (128 + 64) * MIB, f"{peak // MIB} MiB"


CALLS = '(import "metier" "call" (func $call (param i32 i32) (result i32)))'
WRITES = (
    '(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))'
    "(func $say (param i32) (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (local.get 0))"
    " (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"
)
RUNS = '(import "metier:python" "run" (func $run (param i32 i32)))'
WIDE = "\\f0\\9f\\98\\80"
"""A character that makes Python take four bytes for each other one of the same text."""


def module(imports: str, pages: int, data: str, body: str) -> str:
    return (
        f'(module {imports} (memory (export "memory") {pages} {pages}) (data (i32.const 16) "{data}")'
        f' (func (export "_start") {body}))'
    )


def filled(size: int, byte: int) -> str:
    """The rest of `size` bytes from 16 on, after the data."""
    return f"(memory.fill (i32.const 32) (i32.const {byte}) (i32.const {size - 16}))"


KNOWN_MEMORY = {
    "a request with one wide character": (
        module(CALLS, 136, WIDE, filled(8 * MIB, 120) + f"(drop (call $call (i32.const 16) (i32.const {8 * MIB})))"),
        136,
    ),
    "an output with one wide character": (
        module(
            WRITES,
            72,
            f"\\22{WIDE}xxxxxxxxxxx",
            filled(4 * MIB, 120)
            + f"(i32.store8 (i32.const {4 * MIB + 15}) (i32.const 34)) (call $say (i32.const {4 * MIB}))",
        ),
        72,
    ),
    "an output beyond the limit": (module(WRITES, 1024, "", f"(call $say (i32.const {60 * MIB}))"), 1024),
    "bytes that are no code for the engine": (
        module(RUNS, 128, "", filled(4 * MIB, 255) + f"(call $run (i32.const 16) (i32.const {4 * MIB}))"),
        128 + 16 * 40,  # the engine's own memory is some 40 MiB
    ),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a process")
@pytest.mark.parametrize(("source", "pages"), KNOWN_MEMORY.values(), ids=KNOWN_MEMORY)
def test_what_the_host_takes_for_a_program_of_known_size_is_bounded(source: str, pages: int) -> None:
    peak = in_a_process(MEASURED.format(source=source, schema={}))
    assert peak <= pages * 65536 + 64 * MIB, f"{peak // MIB} MiB"


def test_swapping_a_folder_for_a_link_under_a_running_program_leads_nowhere(box: Box, tmp_path: Path) -> None:
    docs, canary = tmp_path / "docs", tmp_path / "canary"
    for folder in (docs / "real", canary):
        folder.mkdir(parents=True)
    (docs / "real" / "a.txt").write_text("mine", encoding="utf-8")
    (docs / "swapped").mkdir()
    (docs / "swapped" / "a.txt").write_text("mine", encoding="utf-8")
    (canary / "a.txt").write_text("secret", encoding="utf-8")
    permissions = Permissions.model_validate({"files": [{"root": "docs", "path": "**", "access": "write"}]})
    own = Runner(box, roots={"docs": docs}, policy=permissions, limits=SMALL)
    source = (
        "def run(input):\n    try:\n        text = open('/docs/swapped/a.txt').read()\n"
        "        open('/docs/swapped/new.txt', 'w').write('owned')\n        return text\n"
        "    except OSError:\n        return 'none'\n"
    )
    about: Capability = capability(permissions=permissions, effects="write")
    program = own.load(about, python.build(source, box))
    stop = threading.Event()

    def swap() -> None:
        aside, link = docs / "aside", docs / "link"
        while not stop.is_set():
            link.symlink_to(canary)
            (docs / "swapped").rename(aside)
            link.rename(docs / "swapped")
            (docs / "swapped").unlink()
            aside.rename(docs / "swapped")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        ends = [own.run(program, {}) for _ in range(150)]
    finally:
        stop.set()
        thread.join()
    said = {ended.output if isinstance(ended, Ran) else ended.kind for ended in ends}
    assert said <= {"mine", "none", "effects"}
    assert [(path.name, path.read_text(encoding="utf-8")) for path in canary.iterdir()] == [("a.txt", "secret")]


@given(st.text(max_size=300) | st.from_regex(r"(</?data-[0-9a-f]{0,12}>\s?){1,5}.{0,20}"))
def test_no_text_ends_its_own_fence(text: str) -> None:
    fenced = fence(text)
    first, *inner, last = fenced.split("\n")
    assert last == first.replace("<", "</", 1)
    assert all(last not in line for line in inner)
    assert all(c.isprintable() or c in "\n\t" for c in fenced)


def test_a_fence_is_another_one_each_time_and_what_is_in_it_is_capped(box: Box, tmp_path: Path) -> None:
    own, program = loaded(box, "python/forged_fence.py", tmp_path)
    ended = own.run(program, {})
    assert isinstance(ended, Ran)
    marks = {fence(ended.output_text).partition("\n")[0] for _ in range(100)}
    assert len(marks) == 100
    assert len(fence("x" * 10**6)) < MAX_GUEST_TEXT + 200
