"""Programs in the box: what ends them, what they cannot do, and that a run leaves nothing behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
import wasmtime

from metier.errors import InvalidModule
from metier.outcomes import Failed, Ran
from metier.sandbox.box import Box
from metier.sandbox.limits import Limits
from metier.sandbox.native import POOLED_MEMORIES
from tests.conftest import ECHO, capability, runner, says, wat

WRONG_SIGNATURE = bytes(
    wasmtime.wat2wasm("""(module
        (import "wasi_snapshot_preview1" "fd_write" (func (param i64)))
        (memory (export "memory") 1)
        (func (export "_start")))""")
)
SMALL = Limits(fuel=20_000_000, seconds=5, memory_bytes=4 * 2**20, stdout_bytes=1000, stderr_bytes=1000)


def outcome(box: Box, wasm: bytes, value: object = None, limits: Limits = SMALL) -> Ran | Failed:
    r = runner(box, limits=limits)
    return r.run(r.load(capability(), wasm), value if value is not None else {})


def failure(box: Box, wasm: bytes, limits: Limits = SMALL) -> tuple[str, str]:
    ended = outcome(box, wasm, limits=limits)
    assert isinstance(ended, Failed), ended
    return ended.kind, ended.error


def test_a_program_reads_its_input_and_writes_its_output(box: Box) -> None:
    ended = outcome(box, ECHO, {"text": "Grüße"})
    assert isinstance(ended, Ran)
    assert ended.output == {"text": "Grüße"}
    assert ended.fuel > 0


def test_the_same_input_gives_the_same_bytes_and_the_same_fuel(box: Box) -> None:
    ends = {(e.output_text, e.fuel) for e in (outcome(box, ECHO, [1, 2]) for _ in range(50)) if isinstance(e, Ran)}
    assert len(ends) == 1


def test_an_endless_loop_uses_up_its_fuel(box: Box) -> None:
    kind, error = failure(box, wat('(func (export "_start") (loop (br 0)))'))
    assert kind == "fuel"
    assert "fuel" in error


def test_an_endless_loop_with_fuel_left_meets_the_deadline(box: Box) -> None:
    kind, _ = failure(box, wat('(func (export "_start") (loop (br 0)))'), Limits(fuel=10**18, seconds=0.1))
    assert kind == "time"


def test_a_loop_in_the_start_function_is_stopped_too(box: Box) -> None:
    kind, _ = failure(box, wat('(func $s (loop (br 0))) (start $s) (func (export "_start"))'))
    assert kind == "fuel"


def test_a_program_cannot_grow_beyond_its_memory(box: Box) -> None:
    grow = wat(
        '(func (export "_start") (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable)'
    )
    kind, error = failure(box, grow)
    assert kind == "memory" or "abort" in error


def test_a_program_that_asks_for_too_much_memory_at_once_is_refused(box: Box) -> None:
    kind, error = failure(box, wat('(func (export "_start"))', pages=1000))
    assert kind == "memory", error


def test_deep_recursion_is_a_failure_of_its_own_kind(box: Box) -> None:
    kind, _ = failure(box, wat('(func $f (call $f)) (func (export "_start") (call $f))'), Limits())
    assert kind == "stack"


def test_an_abort_is_a_trap(box: Box) -> None:
    assert failure(box, wat('(func (export "_start") unreachable)')) == ("trap", "the program aborted")


@pytest.mark.parametrize("stream", [1, 2])
def test_a_flood_of_output_is_cut_off(box: Box, stream: int) -> None:
    flood = wat(f"""(func (export "_start")
        (i32.store (i32.const 4) (i32.const 100))
        (loop (drop (call $fd_write (i32.const {stream}) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0)))""")
    kind, error = failure(box, flood)
    assert kind == "output"
    assert "1000 bytes" in error


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("", "empty"),
        ("not json", "not JSON"),
        ('{"a": 1} {"b": 2}', "after the JSON value"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1, "a": 2}', "twice"),
        ("[" * 200 + "]" * 200, "deeper"),
        ("\udcff\udcfe", "UTF-8"),
        ('{"error": "no such person"}', "error object"),
    ],
)
def test_output_that_is_not_one_json_value_breaks_the_contract(box: Box, printed: str, said: str) -> None:
    kind, error = failure(box, says(printed))
    assert kind == "contract"
    assert said in error


def test_an_error_object_on_stderr_is_the_programs_own_error(box: Box) -> None:
    ended = outcome(box, says(stderr='debugging\n{"error": "no such person", "kind": "not_found"}\n', status=1))
    assert isinstance(ended, Failed)
    assert (ended.kind, ended.code, ended.error) == ("program", "not_found", "no such person")


def test_a_silent_failure_names_its_status(box: Box) -> None:
    assert failure(box, says(status=3)) == ("program", "the program ended with status 3 and said nothing")


def test_output_is_held_to_the_schema(box: Box) -> None:
    r = runner(box)
    loaded = r.load(capability(output_schema={"type": "object", "required": ["salary"]}), says("{}"))
    ended = r.run(loaded, {})
    assert isinstance(ended, Failed)
    assert (ended.kind, ended.error) == ("contract", "output needs salary")


def test_input_is_held_to_the_schema_before_anything_runs(box: Box) -> None:
    r = runner(box)
    loaded = r.load(capability(input_schema={"type": "object", "required": ["name"]}), ECHO)
    ended = r.run(loaded, {})
    assert isinstance(ended, Failed)
    assert (ended.kind, ended.error, ended.fuel) == ("input", "input needs name", 0)


@pytest.mark.parametrize("value", [float("nan"), {"a": {1, 2}}, "\ud800"])
def test_input_that_is_not_json_is_refused(box: Box, value: object) -> None:
    ended = outcome(box, ECHO, value)
    assert isinstance(ended, Failed)
    assert ended.kind == "input"


def test_input_beyond_the_limit_is_refused(box: Box) -> None:
    ended = outcome(box, ECHO, "x" * 200, Limits(stdin_bytes=100))
    assert isinstance(ended, Failed)
    assert "limit of 100" in ended.error


@pytest.mark.parametrize("which", ["input_schema", "output_schema"])
def test_a_check_beyond_the_limit_of_steps_is_given_up(box: Box, which: str) -> None:
    items = {"type": "array", "items": {"type": "integer"}}
    value = list(range(100))
    for steps, kind in ((50, "check"), (5000, None)):
        own = runner(box, limits=Limits(check_steps=steps))
        ended = own.run(own.load(capability(**{which: items}), ECHO), value)
        assert getattr(ended, "kind", None) == kind
    assert isinstance(ended, Ran)
    assert ended.output == value


def test_an_output_of_more_values_than_fit_breaks_the_contract(box: Box) -> None:
    ended = outcome(box, ECHO, [[]] * 1000, Limits(json_bytes=10_000))
    assert isinstance(ended, Failed)
    assert ended.kind == "contract"
    assert ended.error == "the output holds more values than fit in 10000 bytes of memory"


@pytest.mark.parametrize(
    ("wasm", "said"),
    [
        (b"", "empty"),
        (b"#!/bin/sh", "not a WebAssembly module"),
        (b"\0asm\x0d\0\1\0", "component"),
        (ECHO[: len(ECHO) // 2], "does not load"),
        (bytes(wasmtime.wat2wasm('(module (memory (export "memory") 1))')), "_start"),
        (bytes(wasmtime.wat2wasm('(module (func (export "_start")))')), "memory"),
        (
            bytes(wasmtime.wat2wasm('(module (memory (export "memory") 1) (func (export "_start") (param i32)))')),
            "_start",
        ),
        (
            bytes(wasmtime.wat2wasm('(module (import "env" "system" (func)) (memory (export "memory") 1))')),
            "env.system",
        ),
        (WRONG_SIGNATURE, "does not load"),
        (
            bytes(wasmtime.wat2wasm('(module (import "metier" "memory" (memory 1)) (func (export "_start")))')),
            "metier.memory",
        ),
    ],
)
def test_what_is_no_command_module_is_not_admitted(box: Box, wasm: bytes, said: str) -> None:
    with pytest.raises(InvalidModule, match=said):
        box.load(wasm, SMALL)


def test_a_module_beyond_the_limit_is_not_admitted(box: Box) -> None:
    with pytest.raises(InvalidModule, match="limit"):
        box.load(ECHO, Limits(module_bytes=10))


def test_memory_does_not_survive_a_run(box: Box) -> None:
    counting = wat("""
        (data (i32.const 64) "0")
        (func (export "_start")
          (i32.store8 (i32.const 64) (i32.add (i32.load8_u (i32.const 64)) (i32.const 1)))
          (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1))
          (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))""")
    r = runner(box)
    loaded = r.load(capability(), counting)
    assert [r.run(loaded, {}).output for _ in range(3)] == [1, 1, 1]  # type: ignore[union-attr]


def test_pointers_outside_the_memory_are_errors_and_not_accesses(box: Box) -> None:
    wild = wat("""(func (export "_start")
        (call $exit (call $fd_write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 8))))""")
    ended = outcome(box, wild)
    assert isinstance(ended, Failed)
    assert "status 21" in ended.error  # EFAULT


def test_a_failed_run_does_not_disturb_the_next(box: Box) -> None:
    for wasm in (wat('(func (export "_start") unreachable)'), wat('(func (export "_start") (loop (br 0)))')):
        assert isinstance(outcome(box, wasm), Failed)
        assert isinstance(outcome(box, ECHO), Ran)


def test_many_threads_run_at_once_without_mixing(box: Box) -> None:
    r = runner(box)
    loaded = r.load(capability(), ECHO)
    wrong: list[object] = []

    def work(number: int) -> Callable[[], None]:
        def run() -> None:
            for i in range(50):
                ended = r.run(loaded, {"thread": number, "i": i})
                if not isinstance(ended, Ran) or ended.output != {"thread": number, "i": i}:
                    wrong.append(ended)

        return run

    threads = [threading.Thread(target=work(n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("kib", [8, 128, 3000], ids=["wiped by hand", "wiped by the system", "grown"])
def test_the_place_of_a_memory_is_clean_for_the_next_run(box: Box, kib: int) -> None:
    look_then_write = wat(f"""(func (export "_start")
        (drop (memory.grow (i32.const 60)))
        (if (i32.load (i32.const {kib * 1024})) (then unreachable))
        (i32.store (i32.const {kib * 1024}) (i32.const 1))
        (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 2))
        (i32.store (i32.const 16) (i32.const 0x7d7b))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))""")
    r = runner(box, limits=SMALL)
    loaded = r.load(capability(), look_then_write)
    assert all(isinstance(r.run(loaded, {}), Ran) for _ in range(20))


def test_runs_that_end_early_let_go_of_their_memory_without_the_garbage_collector(box: Box) -> None:
    r = runner(box, limits=SMALL)
    leaving = r.load(capability(), wat('(func (export "_start") (call $exit (i32.const 3)))'))
    gc.disable()
    try:
        for _ in range(2 * POOLED_MEMORIES):
            ended = r.run(leaving, {})
            assert isinstance(ended, Failed)
            assert "status 3" in ended.error
    finally:
        gc.enable()


def test_a_process_with_little_address_space_does_without_the_pool() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**36, 2**36));"
        "from metier.sandbox.box import Box; from tests.conftest import ECHO, capability, runner;"
        "r = runner(Box()); print(r.run(r.load(capability(), ECHO), [1]).output)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[1]\n", 0), done.stderr
