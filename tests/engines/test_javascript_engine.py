"""The JavaScript engine: programs as models write them, what they cannot do, and how they fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from metier.effects import HttpService, SqlStores
from metier.errors import BuildError, InvalidModule
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.runner import Loaded, Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import MIB, Limits
from metier.sandbox.shipped import JAVASCRIPT, PYTHON
from metier.toolchains import Workshop, python, toolchain
from metier.toolchains.carrier import carrier
from tests.conftest import capability, runner
from tests.effects.test_http import LOOPBACK, Server, reply, server

__all__ = ["server"]

SMALL = Limits(fuel=2_000_000_000, memory_bytes=64 * MIB, effects=1000)
REPOSITORY = Path(__file__).parents[2]


def built(box: Box, source: str) -> bytes:
    return toolchain("javascript").build({"capability.js": source.encode()}, Workshop(box)).wasm


def run(box: Box, source: str, value: Any = None, *, limits: Limits | None = None) -> Ran | Failed:
    r = runner(box, limits=limits)
    return r.run(r.load(capability(), built(box, source)), {} if value is None else value)


def output_of(ended: Ran | Failed) -> Any:
    assert isinstance(ended, Ran), ended
    return ended.output


def failure_of(ended: Ran | Failed) -> tuple[str, str]:
    """(kind, message) as the program reported them."""
    assert isinstance(ended, Failed), ended
    return ended.code, ended.error


@pytest.fixture(scope="module")
def portable() -> Box:
    return Box(target="pulley64")


# Programs


@pytest.mark.parametrize(
    "source",
    [
        "export function run(input) { return { twice: 2 * input.n } }",
        "export async function run({ n }) { return { twice: (await Promise.resolve(n)) * 2 } }",
        "export const run = (input) => ({ twice: input.n << 1 });",
        "function run(input) { return { twice: input.n + input.n } } // not exported",
        "const twice = (n) => n * 2;\nexport { main as run };\nfunction main({ n }) { return { twice: twice(n) } }",
        "export default function run(input) { return { twice: 2 * input.n } }",
        "const factor = await Promise.resolve(2);\nexport function run({ n }) { return { twice: n * factor } }",
        "class Twice { #n; constructor(n) { this.#n = n } get value() { return 2 * this.#n } }\n"
        "export function run({ n }) { return { twice: new Twice(n).value } }",
    ],
)
def test_a_function_named_run_gets_the_input_and_gives_the_output(box: Box, source: str) -> None:
    assert output_of(run(box, source, {"n": 21})) == {"twice": 42}


def test_the_language_is_a_recent_one(box: Box) -> None:
    source = """
export function run({ rows }) {
  const groups = Object.groupBy(rows, (row) => row.city);
  const sorted = Object.entries(groups).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const total = rows.reduce((sum, { amount = 0 }) => sum + amount, 0);
  const last = rows.findLast((row) => row.amount > 1)?.city ?? "none";
  const words = [..."Straße über alles".matchAll(/\\p{L}+/gu)].map(([word]) => word.toUpperCase());
  const union = [...new Set([1, 2]).union(new Set([2, 3]))];
  return { sorted, total, last, words, union, big: String(2n ** 80n), date: new Date("2024-02-30").getTime() > 0 };
}"""
    rows = [{"city": "Rome", "amount": 1.5}, {"city": "Oslo", "amount": 2}, {"city": "Rome"}]
    assert output_of(run(box, source, {"rows": rows})) == {
        "sorted": [["Oslo", [rows[1]]], ["Rome", [rows[0], rows[2]]]],
        "total": 3.5,
        "last": "Oslo",
        "words": ["STRASSE", "ÜBER", "ALLES"],
        "union": [1, 2, 3],
        "big": "1208925819614629174706176",
        "date": True,
    }


def test_values_come_out_as_they_went_in(box: Box) -> None:
    value = {"text": 'Zoë "x" \\ 😀 \u0001\u2028', "numbers": [0, -1, 0.1, 1e-7, 1e300, 9007199254740991], "none": None}
    value |= {"deep": json.loads("[" * 90 + "]" * 90), "empty": [{}, [], ""], "__proto__": {"a": 1}, "flags": [True]}
    assert output_of(run(box, "export function run(input) { return input }", value)) == value


def test_what_a_program_prints_is_on_stderr_and_its_output_alone_on_stdout(box: Box) -> None:
    source = """
export function run() {
  console.log("one", 2, { three: [3n > 2n] }, null, undefined, 4n);
  console.error(new Map([["a", 1]]), new Error("said"));
  return "done";
}"""
    ended = run(box, source)
    assert output_of(ended) == "done"
    assert isinstance(ended, Ran)
    assert ended.output_text == '"done"'
    lines = ended.stderr.splitlines()
    assert lines[:2] == ['one 2 {"three":[true]} null undefined 4n', 'Map [["a",1]] Error: said']


def test_bytes_text_and_random_identifiers_are_at_hand(box: Box) -> None:
    source = """
export function run() {
  const bytes = new TextEncoder().encode("né😀");
  const part = new TextDecoder().decode(bytes.subarray(1, 3));
  const [a, b] = [crypto.randomUUID(), crypto.randomUUID()];
  const four = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  return [[...bytes], part, four.test(a), four.test(b), a === b, bytes.toBase64()];
}"""
    assert output_of(run(box, source)) == [[110, 195, 169, 240, 159, 152, 128], "é", True, True, False, "bsOp8J+YgA=="]


# Output that JSON would garble


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("{ a: { b: NaN } }", 'the result\'s "b" cannot be written as JSON: it is NaN'),
        ("{ n: 2 ** 60 }", "a number of JavaScript holds no integer so large exactly"),
        ("[1 / 0]", 'the result\'s "0" cannot be written as JSON: it is Infinity'),
        ("{ n: 10n }", "the BigInt 10; use Number(value) or String(value)"),
        ("undefined", "it is undefined; does `run` return its result?"),
        ("[undefined]", "it is undefined"),
        ("{ f() {} }", "it is a function"),
        ("Symbol('a')", "it is a symbol"),
        ("new Map([[1, 2]])", "it is a Map; use Object.fromEntries(map)"),
        ("{ s: new Set([1]) }", "it is a Set; use [...set]"),
        ("{ p: Promise.resolve(1) }", "it is a Promise; await it"),
        ("new Uint8Array(2)", "it is a typed array; use [...array]"),
        ("{ e: new Error('x') }", "it is an Error; throw it, or take its message"),
        ("/a/", "it is a RegExp"),
        ("'a\\ud800'", "text that is not valid Unicode (a lone surrogate)"),
        ("{ '\\udc00': 1 }", "text that is not valid Unicode (a lone surrogate)"),
        ("(() => { const a = []; a.push(a); return a })()", "it contains itself"),
    ],
)
def test_a_result_that_is_no_json_is_an_error_and_not_a_guess(box: Box, result: str, said: str) -> None:
    kind, message = failure_of(run(box, f"export function run() {{ return {result} }}"))
    assert kind == "output"
    assert said in message


def test_what_json_has_words_for_is_written(box: Box) -> None:
    source = """
export function run() {
  const text = "\\\\ud800 is a backslash and no surrogate";
  return { text, when: new Date(86400000), left: undefined, own: { toJSON: () => [1] }, zero: -0, big: 2e21 };
}"""
    assert output_of(run(box, source)) == {
        "text": "\\ud800 is a backslash and no surrogate",
        "when": "1970-01-02T00:00:00.000Z",
        "own": [1],
        "zero": 0,
        "big": 2e21,
    }


def test_a_getter_cannot_give_one_value_to_the_check_and_another_to_the_output(box: Box) -> None:
    source = """
export function run() {
  let looks = 0;
  const shifty = { get n() { return looks++ === 0 ? 1 : NaN }, toJSON() { return { n: this.n, again: this.n } } };
  return new Proxy({ shifty }, { get: (target, key) => target[key] });
}"""
    assert failure_of(run(box, source))[0] == "output"


def test_an_integer_that_a_number_cannot_hold_is_refused_before_it_is_rounded(box: Box) -> None:
    source = "export function run(input) { return input.n }"
    kind, message = failure_of(run(box, source, {"n": 9007199254740993}))
    assert (kind, "9007199254740993" in message) == ("number", True)
    assert output_of(run(box, source, {"n": "9007199254740993"})) == "9007199254740993"
    assert output_of(run(box, source, {"n": 0.12345678901234567})) == 0.12345678901234567


# Failures


def test_a_thrown_host_error_keeps_its_kind(box: Box) -> None:
    source = 'export function run() { throw new host.Error("no employee named X", "not_found") }'
    assert failure_of(run(box, source)) == ("not_found", "no employee named X")


def test_other_errors_have_their_name_for_a_kind_and_say_where(box: Box) -> None:
    source = "function find(list) {\n  return list[0].name;\n}\nexport function run(input) { return find(input.rows) }"
    ended = run(box, source, {"rows": []})
    assert failure_of(ended) == ("TypeError", "cannot read property 'name' of undefined")
    assert isinstance(ended, Failed)
    assert ended.stderr.splitlines()[:3] == [
        "TypeError: cannot read property 'name' of undefined",
        "    at find (capability.js:2:10)",
        "    at run (capability.js:4:42)",
    ]


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("throw 'plain text'", "Error", "the program threw plain text"),
        ("throw null", "Error", "the program threw null"),
        ("throw { a: 1 }", "Error", 'the program threw {"a":1}'),
        ("class Mine extends Error { name = 'Mine' } throw new Mine('x')", "Mine", "x"),
        ("throw Object.create(Error.prototype, { message: { get() { throw 1 } } })", "Error", "cannot be shown"),
        ("throw new RangeError()", "RangeError", "RangeError"),
        ("nothing.there", "ReferenceError", "nothing is not defined"),
        ("import('fs')", "ReferenceError", "there is no module 'fs' to import"),
        ("new Promise((_, no) => no(new TypeError('lost')))", "TypeError", "lost"),
        ("await new Promise(() => {})", "contract", "waits for something that never happens"),
        ("setTimeout(() => {}, 1)", "ReferenceError", "setTimeout is not defined"),
    ],
)
def test_everything_that_can_be_thrown_becomes_one_failure(box: Box, body: str, kind: str, said: str) -> None:
    found, message = failure_of(run(box, f"export async function run() {{ {body}; return 1 }}"))
    assert (found, said in message) == (kind, True), message


def test_a_failure_that_was_caught_later_is_none(box: Box) -> None:
    source = """
export async function run() {
  const failing = Promise.reject(new Error("early"));
  await null;
  try { await failing } catch (error) { return error.message }
}"""
    assert output_of(run(box, source)) == "early"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("export function run(input) {\n  const a = ;\n}", r"SyntaxError: .*\(line 2\): `const a = ;`"),
        ("export function run(input) {\n  let a; let a;\n}", r"SyntaxError: .*\(line 2\)"),
        ("export function main() {}", "the program needs a function `export function run"),
        ("import fs from 'node:fs';\nexport function run() {}", "there is no module 'node:fs' to import"),
        ("export function run() {", r"SyntaxError: .*\(line 1\)"),
        ("module.exports = { run() {} }", "the program needs a function `export function run"),
        ("", "the program needs a function `export function run"),
    ],
)
def test_a_source_that_does_not_compile_says_why_and_where(box: Box, source: str, said: str) -> None:
    with pytest.raises(BuildError, match=said):
        built(box, source)


# Effects


def with_files(box: Box, root: Path, source: str, *, access: str = "write") -> Ran | Failed:
    files = [{"root": "hr", "path": "**", "access": access}]
    r = runner(box, roots={"hr": root}, state=root.parent / f"{root.name}-state", files=files)
    contract = capability(permissions=r._policy, effects="write" if access == "write" else "read")
    return r.run(r.load(contract, built(box, source)), {})


def test_files_are_read_written_listed_and_removed_through_host(box: Box, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"salary": 5000}', encoding="utf-8")
    (tmp_path / "raw.bin").write_bytes(b"\xff\x00\x01")
    (tmp_path / "old.txt").write_text("old", encoding="utf-8")
    source = """
export function run() {
  const { salary } = JSON.parse(host.readText("/hr/in.json"));
  host.writeText("/hr/out.txt", `näme ${salary}`);
  host.writeBytes("/hr/raw2.bin", new Uint8Array([...host.readBytes("/hr/raw.bin"), 7]));
  host.makeDirectory("/hr/new");
  host.rename("/hr/old.txt", "/hr/new/renamed.txt");
  host.writeText("/hr/gone.txt", "x");
  host.remove("/hr/gone.txt");
  return { names: host.list("/hr").map(({ name, kind }) => [name, kind]), there: host.exists("/hr/new/renamed.txt"),
           gone: host.exists("/hr/old.txt"), size: host.stat("/hr/in.json").size,
           bytes: host.readBytes("/hr/in.json").length, seen: host.readText("/hr/out.txt") };
}"""
    assert output_of(with_files(box, tmp_path, source)) == {
        "names": [
            *[["in.json", "file"], ["new", "directory"], ["out.txt", "file"], ["raw.bin", "file"], ["raw2.bin", "file"]]
        ],
        "there": True,
        "gone": False,
        "size": 16,
        "bytes": 16,
        "seen": "näme 5000",
    }
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == "näme 5000"
    assert (tmp_path / "raw2.bin").read_bytes() == b"\xff\x00\x01\x07"
    assert (tmp_path / "new" / "renamed.txt").read_text(encoding="utf-8") == "old"


def test_nothing_that_a_failing_program_wrote_is_kept(box: Box, tmp_path: Path) -> None:
    source = 'export function run() { host.writeText("/hr/a.txt", "x"); throw new Error("after") }'
    assert failure_of(with_files(box, tmp_path, source)) == ("Error", "after")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ('host.readText("/hr/none.txt")', "not_found"),
        ('host.readText("/etc/passwd")', "not_found"),
        ('host.writeText("/hr/a.txt", "x")', "denied"),
        ('host.readText("/hr/raw.bin")', "invalid"),
        ('host.httpGet("https://example.com")', "denied"),
        ('host.call("other")', "denied"),
        ('host.sql("hr", "select 1")', "denied"),
    ],
)
def test_what_is_refused_is_a_host_error_with_a_kind(box: Box, tmp_path: Path, call: str, kind: str) -> None:
    (tmp_path / "raw.bin").write_bytes(b"\xff")
    source = f"""
export function run() {{
  try {{ {call} }} catch (error) {{ return [error instanceof host.Error, error.kind] }}
}}"""
    assert output_of(with_files(box, tmp_path, source, access="read")) == [True, kind]


def test_requests_go_over_http_with_json_bodies(box: Box, server: Server) -> None:
    server.answer = lambda handler: reply(handler, 201, b'{"id": 7}', X_Found="yes")
    origin = f"http://127.0.0.1:{server.port}"
    granted = Permissions.model_validate({"http": [{"origin": origin, "methods": ["GET", "POST"], "path": "/**"}]})
    r = Runner(box, roots={}, policy=granted, limits=Limits(), http=HttpService(secrets={}, networks=LOOPBACK))
    source = f"""
export async function run() {{
  const made = await host.httpRequest("POST", "{origin}/v1/people", {{ "X-Mine": "1" }}, {{ name: "Zoë" }});
  const got = host.httpGet(`{origin}/v1/people?name=${{encodeURIComponent("Zoë")}}`);
  return [made.status, JSON.parse(made.body).id, made.headers["x-found"], got.status];
}}"""
    loaded = r.load(capability(permissions=granted, effects="write"), built(box, source))
    assert output_of(r.run(loaded, {})) == [201, 7, "yes", 201]
    (method, path, headers, body), (_, second, _, _) = server.seen
    assert (method, path, body) == ("POST", "/v1/people", '{"name":"Zoë"}'.encode())
    assert (headers["X-Mine"], headers["Content-Type"], second) == ("1", "application/json", "/v1/people?name=Zo%C3%AB")


def test_sql_answers_with_rows(box: Box) -> None:
    granted = Permissions.model_validate({"sql": [{"store": "hr", "tables": {"employees": ["select"]}}]})
    stores = SqlStores({"hr": "sqlite:///data/hr/company.db"}, REPOSITORY / "examples" / "hr")
    r = Runner(box, roots={}, policy=granted, limits=Limits(), stores=stores)
    source = """
export function run({ name }) {
  return host.sql("hr", "select title from employees where name = ?", [name]).rows;
}"""
    loaded = r.load(capability(permissions=granted, effects="read"), built(box, source))
    assert output_of(r.run(loaded, {"name": "John Smith"})) == [["Senior Software Engineer"]]


def test_capabilities_of_both_engines_call_each_other(box: Box) -> None:
    granted = {"call": ["*"]}
    sources: Mapping[str, bytes] = {
        "outer": built(box, 'export function run({ n }) { return host.call("middle", { n: n + 1 }) }'),
        "middle": python.build(
            "import host\ndef run(input):\n    return host.call('inner', {'n': input['n'] * 2})\n", box
        ),
        "inner": built(box, "export function run({ n }) { return { n, r: Math.random() } }"),
    }
    loaded: dict[str, Loaded] = {}
    r = Runner(
        box,
        roots={},
        policy=Permissions.model_validate(granted),
        limits=Limits(),
        resolve=lambda id, version: loaded[id],
    )
    for id, wasm in sources.items():
        contract = capability(id=id, version=1, sha256=id, permissions=r._policy, effects="read")
        loaded[id] = r.load(contract, wasm)
    ended = r.run(loaded["outer"], {"n": 3})
    assert output_of(ended)["n"] == 8
    assert isinstance(ended, Ran)
    assert r.run(loaded["outer"], {"n": 3}).fuel == ended.fuel


def test_the_environment_is_what_was_granted(box: Box) -> None:
    r = runner(box, env={"TZ": "UTC", "EQUALS": "a=b=c"})
    source = "export function run() { return host.env }"
    assert output_of(r.run(r.load(capability(permissions=r._policy), built(box, source)), {})) == {
        "EQUALS": "a=b=c",
        "TZ": "UTC",
    }


def test_host_can_be_imported_as_well(box: Box) -> None:
    source = 'import host, { Error as Failure } from "host";\nexport function run() { return Failure === host.Error }'
    assert output_of(run(box, source)) is True


# The same every time

DETERMINISTIC = """
export async function run({ n }) {
  const random = Array.from({ length: n }, () => Math.random());
  const then = Date.now();
  const seen = new Map(random.map((value, at) => [String(value), at]));
  const sorted = [...seen].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const ids = [crypto.randomUUID(), await Promise.resolve(Math.sin(random[0]) ** 0.1)];
  const now = new Date();
  return { sorted, ids, then, later: Date.now() - then, at: now.toString(), zone: now.getTimezoneOffset() };
}"""
FRESH = """
import json, sys
from metier.sandbox.box import Box
from tests.conftest import capability, runner
from tests.engines.test_javascript_engine import DETERMINISTIC, built
box = Box()
r = runner(box)
ended = r.run(r.load(capability(), built(box, DETERMINISTIC)), {"n": 50})
print(json.dumps([ended.output_text, ended.fuel]))
"""


def test_two_fresh_processes_and_the_portable_interpreter_give_the_same_bytes_for_the_same_fuel(
    box: Box, portable: Box
) -> None:
    ends = [run(b, DETERMINISTIC, {"n": 50}) for b in (box, box, portable)]
    found = {(e.output_text, e.fuel) for e in ends if isinstance(e, Ran)}
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, check=True, cwd=REPOSITORY)
        found.add(tuple(json.loads(done.stdout)))
    assert len(ends) == 3
    assert len(found) == 1
    output = json.loads(next(iter(found))[0])
    assert (output["then"], output["zone"]) == (946684800000, 0)
    assert len({value for value, _ in output["sorted"]}) == 50


def test_the_same_source_gives_the_same_module_on_every_back_end(box: Box, portable: Box) -> None:
    assert built(box, DETERMINISTIC) == built(portable, DETERMINISTIC)


def test_another_input_has_other_random_numbers(box: Box) -> None:
    source = "export function run() { return Math.random() }"
    values = [output_of(run(box, source, {"n": n})) for n in range(20)]
    assert len(set(values)) == 20
    assert all(0 <= value < 1 for value in values)


def test_a_run_leaves_nothing_to_the_next(box: Box) -> None:
    source = """
Object.prototype.polluted ??= 0;
export function run() {
  Object.prototype.polluted++;
  Array.prototype.map = () => ["hijacked"];
  JSON.stringify = () => '"hijacked"';
  globalThis.kept = (globalThis.kept ?? 0) + 1;
  return { polluted: ({}).polluted, kept: globalThis.kept };
}"""
    r = runner(box)
    loaded = r.load(capability(), built(box, source))
    assert [output_of(r.run(loaded, {})) for _ in range(3)] == [{"polluted": 1, "kept": 1}] * 3


# Hostile programs

DEEP = {
    "calls": "function f() { return f() + 1 } export function run() { return f() }",
    "arguments": "function f(a, b, c, d) { return f(a, b, c, d) + 1 } export function run() { return f(1, 2, 3, 4) }",
    "callbacks": "function f() { return [1].map(f) } export function run() { return f() }",
    "comparisons": "function f() { return [2, 1].sort(f) } export function run() { return f() }",
    "getters": "const o = { get x() { return this.x } }; export function run() { return o.x }",
    "proxies": "export function run() { let o = {}; for (let i = 0; i < 9e3; i++) o = new Proxy(o, {}); return o.x }",
    "replacing": "function f() { return 'a'.replace(/a/, f) } export function run() { return f() }",
    "constructors": "class A { constructor() { new A() } } export function run() { return new A() }",
    "generators": "function* g() { yield* g() } export function run() { return [...g()] }",
    "promises": "async function g() { await g() } export function run() { return g() }",
    "texts": "const o = { toString() { return `${this}` } }; export function run() { return `${o}` }",
    "bound": "export function run() { let f = () => 1; for (let i = 0; i < 5e3; i++) f = f.bind(); return f() }",
    "result": "export function run() { let a = []; for (let i = 0; i < 9e3; i++) a = [a]; return a }",
    "parsing": "export function run() { return JSON.parse('['.repeat(1e5)) }",
    "flat": "export function run() { let a = []; for (let i = 0; i < 9e3; i++) a = [a]; return a.flat(Infinity) }",
    "brackets": "export function run() { return eval('['.repeat(1e5)) }",
    "objects": "export function run() { return eval('({a:'.repeat(1e4)) }",
    "operators": "export function run() { return eval('!'.repeat(1e5) + '1') }",
    "functions": "export function run() { return eval('(function(){'.repeat(1e4)) }",
    "classes": "export function run() { return eval('(class{static{'.repeat(1e4)) }",
    "statements": "export function run() { return eval('if(1)'.repeat(1e5)) }",
    "templates": "export function run() { return eval('`${'.repeat(1e4)) }",
}


@pytest.mark.parametrize("source", DEEP.values(), ids=DEEP)
def test_recursion_without_end_is_an_error_of_the_language_on_every_back_end(
    box: Box, portable: Box, source: str
) -> None:
    ends = [run(b, source) for b in (box, portable)]
    assert {failure_of(ended) for ended in ends} == {("RangeError", "Maximum call stack size exceeded")}
    assert len({ended.fuel for ended in ends}) == 1


def test_patterns_nested_without_end_do_not_compile(box: Box, portable: Box) -> None:
    source = "export function run() { new RegExp('(?:'.repeat(1e5)) }"
    assert {failure_of(run(b, source)) for b in (box, portable)} == {("SyntaxError", "stack overflow")}


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("export function run() { for (;;); }", "fuel"),
        ("for (;;);\nexport function run() {}", "fuel"),
        ("export async function run() { for (;;) await null }", "fuel"),
        ("export function run() { return /(a*)*b/.test('a'.repeat(40)) }", "fuel"),
        ("export function run() { const a = []; for (;;) a.push(new Uint8Array(1e6)) }", "memory"),
        ("export function run() { let s = 'x'; for (;;) s += s + 1; }", "program"),
        ("export function run() { return 'x'.repeat(2 ** 29) }", "memory"),
        ("export function run() { return new ArrayBuffer(2 ** 30).byteLength }", "memory"),
        ("export function run() { return new ArrayBuffer(2 ** 31).byteLength }", "program"),
        ("export function run() { try { for (let a = [];;) a.push([]) } catch (e) { for (;;); } }", "fuel"),
        ("export function run() { return 'x'.repeat(5e6) }", "output"),
        ("export function run() { for (;;) console.log('x'.repeat(1000)) }", "output"),
        ("export function run() { for (;;) host.exists('/a') }", "effects"),
    ],
)
def test_a_program_without_bounds_reaches_one(box: Box, source: str, kind: str) -> None:
    ended = run(box, source, limits=SMALL)
    assert isinstance(ended, Failed)
    assert ended.kind == kind, ended


def test_code_that_is_no_bytecode_of_this_engine_fails_and_says_so(box: Box) -> None:
    r = runner(box)
    for code in (b"", b"\xffnonsense", bytes(1000), built(box, DETERMINISTIC)[200:]):
        ended = r.run(r.load(capability(), carrier("javascript", code)), {})
        assert isinstance(ended, Failed)
        assert ended.kind in ("program", "trap", "memory"), ended


def test_damaged_bytecode_harms_nothing_but_its_run(box: Box) -> None:
    code = box.compile_javascript(DETERMINISTIC)
    r = runner(box, limits=SMALL)
    for at in range(0, len(code), 7):
        damaged = code[:at] + bytes([code[at] ^ 0xFF]) + code[at + 1 :]
        r.run(r.load(capability(), carrier("javascript", damaged)), {"n": 3})
    assert output_of(run(box, "export function run() { return 1 }")) == 1


def test_a_module_cannot_start_two_engines(box: Box) -> None:
    code = box.compile_javascript("export function run() { return 1 }")
    text = "".join(f"\\{byte:02x}" for byte in code)
    wat = f"""(module (import "metier:javascript" "run" (func (param i32 i32)))
      (memory (export "memory") 1 1) (data (i32.const 0) "{text}")
      (func (export "_start") (call 0 (i32.const 0) (i32.const {len(code)}))
        (call 0 (i32.const 0) (i32.const {len(code)}))))"""
    wasm = toolchain("wat").build({"capability.wat": wat.encode()}, Workshop(box)).wasm
    r = runner(box)
    ended = r.run(r.load(capability(), wasm), {})
    assert isinstance(ended, Failed)
    assert (ended.kind, "second time" in ended.error) == ("trap", True)


# The shipped file


def test_what_is_shipped_tells_what_it_was_built_from() -> None:
    about = JAVASCRIPT.about()
    assert (about["name"], about["size"]) == ("quickjs-0.17", len(JAVASCRIPT.wasm()))
    assert about["quickjs_ng"].startswith("quickjs-ng==0.17.")


def test_a_capability_of_another_engine_is_not_run(box: Box) -> None:
    wasm = built(box, "export function run() { return 1 }")
    r = runner(box)
    assert r.load(capability(language="javascript", engine=JAVASCRIPT.pin), wasm)
    with pytest.raises(InvalidModule, match=r"rebuild it: metier add under_test/src/capability.js"):
        r.load(capability(language="javascript", engine="quickjs-0.17@" + "0" * 64), wasm)
    assert PYTHON.pin != JAVASCRIPT.pin
