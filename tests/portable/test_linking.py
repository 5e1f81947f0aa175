"""Modules merged: whatever instruction names a function names the same one afterwards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import wasmtime

from metier.errors import InvalidModule
from metier.library import Artifact
from metier.portable.instructions import Renumbering
from metier.portable.linking import MAGIC, Export, Module, add_start, merged, parsed
from metier.portable.standalone import standalone
from metier.sandbox.binary import sections
from metier.sandbox.box import Box
from tests.conftest import ECHO, capability
from tests.portable.stock import Stock
from tests.toolchains.compilers import COMPILED, build

HR = Path(__file__).parents[2] / "examples" / "hr"

ALL_KINDS = """(module
  (type $pair (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "metier" "call" (func $ask (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "metier" "read" (func $answer (param i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (type $pair)))
  (memory (export "memory") 1)
  (table $functions 8 funcref)
  (tag $problem (param i32))
  (global $chosen (mut funcref) (ref.func $answer))
  (global $count (mut i32) (i32.const 0))
  (elem (i32.const 0) $ask $args $length)
  (elem (table $functions) (i32.const 4) func $answer)
  (elem $passive func $ask $length)
  (elem $spoken funcref (ref.func $ask) (ref.null func))
  (elem declare func $ask $answer $length)
  (data (i32.const 1024) "request")
  (data $later "passive")
  (start $begin)
  (func $length (type $pair) (i32.sub (local.get 1) (local.get 0)))
  (func $begin (global.set $count (i32.add (global.get $count) (i32.const 1))))
  (func $write_answer (param $size i32)
    (call $answer (i32.const 2048))
    (i32.store (i32.const 0) (i32.const 2048)) (i32.store (i32.const 4) (local.get $size))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $tail (param i32 i32) (result i32) (return_call $ask (local.get 0) (local.get 1)))
  (func $many (param i32) (result i32) (local $v v128) (local $f f32) (local $d f64) (local $l i64) (local $r funcref)
    (block $a (block $b (block $c (br_table $a $b $c 0 (local.get 0))) (nop)) (br_if $a (i32.const 1)))
    (loop (result i32) (i32.const -2147483648)) drop
    (local.set $f (f32.const 1.5)) (local.set $d (f64.const -0)) (local.set $l (i64.const 9223372036854775807))
    (local.set $v (v128.const i32x4 16 18 35 36)) (drop (i8x16.extract_lane_s 3 (local.get $v)))
    (local.set $v (i8x16.shuffle 0 1 2 16 17 18 3 4 5 19 20 21 6 7 8 22 (local.get $v) (local.get $v)))
    (local.set $v (v128.load8_lane offset=16 5 (i32.const 1024) (local.get $v)))
    (local.set $v (v128.load32_zero (i32.const 1024)))
    (local.set $v (i16x8.relaxed_laneselect (local.get $v) (local.get $v) (local.get $v)))
    (local.set $v (i32x4.relaxed_trunc_f32x4_s (i32x4.dot_i16x8_s (local.get $v) (local.get $v))))
    (v128.store align=1 (i32.const 4096) (local.get $v))
    (drop (i64.extend8_s (i64.trunc_sat_f64_u (local.get $d))))
    (memory.init $later (i32.const 3000) (i32.const 0) (i32.const 3)) (data.drop $later)
    (memory.copy (i32.const 3100) (i32.const 3000) (i32.const 3))
    (memory.fill (i32.const 1) (i32.const 2) (i32.const 3))
    (table.init $functions $passive (i32.const 6) (i32.const 0) (i32.const 2)) (elem.drop $passive)
    (table.copy (i32.const 0) (i32.const 0) (i32.const 1)) (drop (table.grow (ref.null func) (i32.const 1)))
    (table.fill (i32.const 8) (ref.func $length) (i32.const 1)) (drop (table.size))
    (local.set $r (select (result funcref) (ref.func $ask) (global.get $chosen) (i32.const 1)))
    (table.set (i32.const 3) (local.get $r)) (drop (ref.is_null (table.get (i32.const 3))))
    (drop (memory.grow (i32.const 1))) (drop (memory.size))
    (block $caught (result i32)
      (try_table (catch $problem $caught) (throw $problem (i32.const 7)))
      (i32.const 0)) drop
    (select (i32.const 12) (i32.const 16) (i32.const 210)))
  (func (export "_start") (local $size i32)
    (drop (call $many (i32.const 1)))
    (local.set $size (call_indirect (type $pair) (i32.const 1024) (i32.const 7) (i32.const 0)))
    (call $write_answer (local.get $size))
    (call $write_answer (call_indirect (type $pair) (i32.const 1024) (i32.const 7) (i32.const 3)))
    (call $write_answer (call $tail (i32.const 1024) (i32.const 7)))
    (call_indirect (param i32) (i32.const 5000) (i32.const 4))
    (if (i32.ne (call_indirect (type $pair) (i32.const 3) (i32.const 10) (i32.const 7)) (i32.const 7))
      (then (unreachable)))
    (call $exit (i32.add (global.get $count) (i32.load8_u (i32.const 5001))))))"""
"""Every way in which a module can name a function, and instructions of every shape between them."""


def wasm(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def alone(program: bytes) -> bytes:
    return standalone(Artifact(capability(), program, {})).wasm


def test_every_way_to_name_a_function_leads_to_the_same_one() -> None:
    done = Stock().run(alone(wasm(ALL_KINDS)), b"")
    assert done.status == 1 + ord('"')  # the start function ran once, and the second byte of the answer
    answers = re.findall(r"\{.*?\}", done.stderr.decode())
    assert [json.loads(answer)["kind"] for answer in answers] == ["unavailable"] * 3


def test_taking_apart_and_putting_together_changes_nothing_but_custom_sections() -> None:
    whole = wasm(ALL_KINDS)
    assert parsed(parsed(whole).encoded()) == parsed(whole)
    assert all(Renumbering(int, int, alone=False).body(body) == body for body in parsed(whole).bodies)


@pytest.mark.parametrize("id", ["get_benefits_info", "get_car_details", "get_leave_balance"])
def test_what_compilers_make_is_read_to_the_last_instruction(id: str) -> None:
    module = parsed((HR / id / f"{id}.wasm").read_bytes())
    shifted = Module(
        types=module.types, imports=module.imports, functions=module.functions, memory=module.memory, kept=module.kept
    )
    extra = len(module.imports)
    renumbering = Renumbering(lambda f: f + (f >= extra), lambda g: g, alone=False)
    shifted.functions = [len(module.types), *module.functions]
    shifted.types = [*module.types, b"\x60\x00\x00"]
    globals_, elements, bodies = module.renumbered(renumbering)
    shifted.globals_, shifted.elements, shifted.data = globals_, elements, module.data
    shifted.bodies, shifted.counts_data = [b"\x00\x0b", *bodies], module.counts_data
    shifted.exports = [
        Export(e.name, e.kind, renumbering.function(e.index) if e.kind == 0 else e.index) for e in module.exports
    ]
    file, data = shifted.encoded(), HR / "data" / "hr"
    assert Stock().run(file, b'{"name":"John Smith"}', {"/hr": data}) == Stock().run(
        (HR / id / f"{id}.wasm").read_bytes(), b'{"name":"John Smith"}', {"/hr": data}
    )


CALLS = {
    "c": """#include "metier.h"
int main(void) {
    metier_input();
    metier_failure failure;
    metier_json *told = metier_http_request("GET", "https://api.example.com/", NULL, NULL, &failure);
    if (told == NULL) metier_error(failure.kind, "%s", failure.message);
    return 0;
}""",
    "rust": """use metier::{host, Error, Json};
fn main() { metier::run(capability); }
fn capability(_: Json) -> Result<Json, Error> { host::http_get("https://api.example.com/") }""",
    "go": """package main
import "metier"
func main() { metier.Run(run) }
func run(input map[string]any) (map[string]any, error) {
	var told map[string]any
	return told, metier.HTTPGet("https://api.example.com/", &told)
}""",
    "zig": """const metier = @import("metier");
const Input = struct {};
pub fn main() void { metier.run(Input, capability); }
fn capability(_: Input) !struct { status: u16 } {
    const Told = struct { status: u16 };
    const told = try metier.httpGet(Told, "https://api.example.com/");
    return .{ .status = told.status };
}""",
}
CALLS["cpp"] = CALLS["c"]


@pytest.mark.compilers
@pytest.mark.parametrize("language", COMPILED)
def test_an_effect_fails_in_programs_of_compiled_languages_as_a_refused_one_does(language: str, box: Box) -> None:
    done = Stock().run(alone(build(language, CALLS[language], box)), b"{}")
    assert (done.status, done.stdout) == (1, b"")
    assert json.loads(done.stderr.decode().splitlines()[-1])["kind"] == "unavailable"


def test_a_program_without_imports_of_metier_is_left_as_it_is() -> None:
    assert alone(ECHO) is ECHO


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('(import "metier" "other" (func))', "no function other"),
        ('(import "metier" "call" (func (param i32) (result i32)))', "metier.call with another signature"),
        ('(import "metier" "memory" (memory 1))', "which is no function"),
        ('(import "metier" "call" (func (param i32 i32) (result i32))) (memory 1) (memory 1)', "more than one"),
        ('(import "metier" "call" (func (param i32 i32) (result i32))) (memory i64 1)', "more than one plain memory"),
        ('(import "metier" "call" (func (param i32 i32) (result i32))) (type (struct))', "not plain functions"),
        (
            '(import "metier" "call" (func (param i32 i32) (result i32))) (memory 1)'
            "(func (drop (i32.atomic.load (i32.const 0))))",
            r"does not know \(0xfe\)",
        ),
    ],
)
def test_what_merging_does_not_know_is_refused_in_a_line(text: str, words: str) -> None:
    with pytest.raises(InvalidModule, match=words) as refused:
        alone(wasm(f"(module {text})"))
    assert "\n" not in str(refused.value)


def test_a_module_that_is_cut_off_is_refused() -> None:
    whole = wasm(ALL_KINDS)
    ends = {end for _, _, _, end in sections(whole, len(MAGIC))}
    for at in set(range(len(MAGIC) + 1, len(whole))) - ends:
        with pytest.raises(InvalidModule):
            parsed(whole[:at])


def test_two_memories_are_not_merged_where_they_overlap() -> None:
    program = parsed(wasm('(module (import "m" "f" (func)) (memory 2))'))
    provider = parsed(wasm('(module (memory 2) (data (i32.const 65536) "x") (func (export "f")))'))
    with pytest.raises(InvalidModule, match="reaches into"):
        merged(program, provider, "m")


def test_code_lies_behind_everything_else_in_memory() -> None:
    program = parsed(wasm('(module (memory (export "memory") 1 1) (func (export "run") (param i32 i32)))'))
    add_start(program, "run", b"x" * 70_000)
    assert program.memory == (3, 3)
    assert {export.name for export in program.exports} == {"memory", "_start"}
