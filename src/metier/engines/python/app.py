"""The guest side of the Python engine: runs one capability, or compiles one.

componentize-py imports this module, then keeps the memory as it is at that moment as the image from which every run
starts. So what is imported and used here once costs a run nothing.
"""

import ast
import gc
import importlib  # noqa: F401  (before `install`, for its own file access)
import json
import marshal
import sys
import traceback
import types

import preload
import virtual_files
import wit_world

# While the engine is built there is no host
_doors = {name: getattr(wit_world, name) for name in ("host_call", "write_stderr", "sleep")}
wit_world.host_call = lambda request: '{"error": "no files while building", "kind": "not_found"}'
wit_world.write_stderr = wit_world.sleep = lambda value: None

_zones = preload.time_zones()
_names = preload.names()
virtual_files.install()
preload.everything(_names)

import asyncio  # noqa: E402
import inspect  # noqa: E402

import host  # noqa: E402
import virtual_system  # noqa: E402
from componentize_py_types import Err  # noqa: E402

FILENAME = "capability.py"
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class WitWorld(wit_world.WitWorld):
    def run(self, code: str, input: str) -> str:
        try:
            try:
                return _run(code, input)
            finally:
                virtual_system.flush()
        except BaseException as error:
            raise Err(_failure(error)) from None

    def compile(self, source: str) -> str:
        try:
            return _compile(source)
        except BaseException as error:
            raise Err(json.dumps(_syntax(error, source))) from None


def _run(code, input):
    module = types.ModuleType("capability")
    sys.modules["capability"] = module
    namespace = module.__dict__
    namespace["host"] = host
    namespace["__file__"] = FILENAME
    sys.argv = [FILENAME]
    exec(marshal.loads(code.encode("latin-1")), namespace)
    run = namespace.get("run")
    if not callable(run):
        raise host.Error("the program defines no function `run(input)`", "contract")
    result = run(json.loads(input))
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    virtual_files.close_all()
    try:
        output = _encode(result)
        if not output.isascii():
            output.encode()
    except UnicodeEncodeError:
        raise host.Error("the result holds text that is not valid Unicode (a lone surrogate)", "output") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise host.Error(f"the result cannot be written as JSON: {error}", "output") from None
    return output


def _failure(error):
    """Write the traceback to stderr; return the failure as JSON."""
    try:
        sys.stderr.write(_traceback(error))
        virtual_system.flush()
    except BaseException:
        pass
    try:
        message, kind = _describe(error)
    except BaseException:
        message, kind = type(error).__name__, type(error).__name__
    return json.dumps({"error": message, "kind": kind})


def _describe(error):
    name = type(error).__name__
    if isinstance(error, host.Error):
        return str(error) or name, str(error.kind)
    if isinstance(error, SystemExit):
        return f"the program called sys.exit({error.code!r})", name
    if isinstance(error, KeyError) and len(error.args) == 1:
        return f"missing key {error.args[0]!r}", name
    if isinstance(error, MemoryError):
        return str(error) or "out of memory", name
    return str(error) or name, name


def _traceback(error):
    """The traceback as CPython prints it, of the capability's own frames."""
    report = traceback.TracebackException.from_exception(error, lookup_lines=False, compact=True)
    seen = report
    while seen is not None:
        seen.stack[:] = [frame for frame in seen.stack if frame.filename == FILENAME]
        for frame in seen.stack:
            frame._lines = ""
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "".join(report.format())


def _compile(source):
    tree = ast.parse(source, FILENAME)
    _check_contract(tree)
    return marshal.dumps(compile(tree, FILENAME, "exec", dont_inherit=True, optimize=0)).decode("latin-1")


def _check_contract(tree):
    found = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) and n.name == "run"]
    if not found:
        raise SyntaxError("the program needs a top-level function `def run(input: dict) -> dict`")
    arguments = found[-1].args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    if required > 1 or (positional == 0 and arguments.vararg is None) or None in arguments.kw_defaults:
        problem = SyntaxError("`run` has to take one positional parameter, the input")
        problem.lineno = found[-1].lineno
        raise problem


def _syntax(error, source):
    line = getattr(error, "lineno", None)
    message = f"{type(error).__name__}: {getattr(error, 'msg', None) or error}"
    if line:
        lines = source.splitlines()
        text = lines[line - 1].strip() if line <= len(lines) else ""
        message += f" (line {line})" + (f": `{text[:200]}`" if text else "")
    return {"error": message, "kind": "syntax", "line": line}


def _warm_up():
    """Use once what most programs use: first uses fill caches and specialise bytecode."""
    import datetime
    import decimal
    import logging
    import random
    import re
    import statistics
    import zoneinfo

    world = WitWorld()
    source = (
        "import json, re\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1\ndef run(input):\n"
    )
    source += "    return {'x': [str(A(i)) for i in range(3)], 'y': json.loads(json.dumps(input)), 'z': 1.5}\n"
    for _ in range(20):
        world.run(world.compile(source), '{"a": [1, 2.5, "x", null, true], "b": {"c": "d"}}')
    for bad in (
        "def run(input): return input['x']",
        "def run(input): return {1, 2}",
        "def run(input): raise ValueError",
    ):
        _quietly(world.run, world.compile(bad), "{}")
    _quietly(world.compile, "def run(")
    re.compile(r"(\w+)@(\w+)\.com").findall("a@b.com")
    decimal.Decimal("1.10") + decimal.Decimal("2.25").quantize(decimal.Decimal("0.1"))
    statistics.mean([1, 2, 3.5])
    moment = datetime.datetime.strptime("2024-03-01 10:00", "%Y-%m-%d %H:%M")
    moment.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).isoformat()
    logging.getLogger("capability").debug("")
    random.Random(1).random()
    asyncio.run(asyncio.sleep(0))
    with open("/tmp/x", "w") as file:
        file.write("x")
    virtual_files.private.pop("/tmp/x")
    virtual_files._streams.clear()
    del sys.modules["capability"]


def _scrub():
    """Zero the free memory, which holds what compiling the standard library left: the image then packs far better.

    Claims every free block of every size with zeros, up to the highest address in use, and lets go of them."""
    gc.collect()
    top = id(bytes(1 << 20))
    claimed = []
    for size in [1 << n for n in range(19, 9, -1)] + list(range(496, 15, -16)):
        while True:
            block = bytes(size)
            if id(block) >= top:
                break
            claimed.append(block)
    claimed.clear()


def _quietly(function, *arguments):
    stderr, sys.stderr = sys.stderr, virtual_system.io.StringIO()
    try:
        function(*arguments)
    except Err:
        pass
    finally:
        sys.stderr = stderr


virtual_files.finish_install()
virtual_system.install()
preload.close(_zones)
_warm_up()
vars(wit_world).update(_doors)
_scrub()
gc.freeze()
gc.set_threshold(20_000, 20, 20)
