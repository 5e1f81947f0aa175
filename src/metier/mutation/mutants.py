"""Mutants: copies of a source with one small fault each, to see whether a suite of tests would notice.

The operators are those of mutation testing since Mothra (K. N. King and A. J. Offutt, "A Fortran language system for
mutation-based software testing", Software: Practice and Experience 21(7), 1991): relations, arithmetic, connectors,
constants, and statements left out. Python is changed in its syntax tree, other languages token by token.
"""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from metier.capability import Language

RELATIONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
FORGOTTEN: Final = {"sorted": "list", "reversed": "list", "set": "list", "round": "float", "abs": "float"}
"""Functions that a fault forgets, and what stands there then."""
SWAPPED: Final = {"min": "max", "max": "min", "any": "all", "all": "any", "lower": "upper", "upper": "lower"}

TOKENS: Final[tuple[tuple[str, str], ...]] = (
    (r"<=", "<"),
    (r">=", ">"),
    (r"==", "!="),
    (r"!=", "=="),
    (r"&&", "||"),
    (r"\|\|", "&&"),
    (r"(?<=\s)<(?=\s)", "<="),
    (r"(?<=\s)>(?=\s)", ">="),
    (r"(?<=\s)\+(?=\s)", "-"),
    (r"(?<=\s)-(?=\s)", "+"),
    (r"(?<=\s)\*(?=\s)", "/"),
    (r"(?<=\s)/(?=\s)", "*"),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"\.(add|sub)\b", ".mul"),
    (r"\.(lt|gt)_s\b", ".eq"),
)
"""For languages whose tree is not taken apart here: what a token is replaced by."""
SKIPPED: Final = re.compile(
    r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|`[^`]*`|//[^\n]*|;;[^\n]*|/\*.*?\*/|^\s*#[^\n]*',
    re.DOTALL | re.MULTILINE,
)
"""Texts and comments, in which a token means nothing."""
NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")


def mutants(source: str, language: Language, most: int) -> list[str]:
    """At most `most` different mutants of a source, spread over it; the same ones every time. Empty for wasm.

    Not every one of them builds, and some mean the same as the source.
    """
    if language == "wasm":
        return []
    faults = _in_tree(source) if language == "python" else _in_tokens(source)
    made = dict.fromkeys(itertools.islice((m for fault in _spread(faults, source) if (m := fault()) is not None), most))
    return [mutant for mutant in made if mutant != source]


Fault = Callable[[], str | None]
"""Makes one mutant; None where there is nothing to make a fault of."""


def _spread(faults: Iterable[Fault], source: str) -> list[Fault]:
    """In an order that has nothing to do with where they are, and is always the same."""
    places = enumerate(faults)
    order = sorted(places, key=lambda at: hashlib.sha256(f"{at[0]} {source}".encode("utf-8", "replace")).digest())
    return [fault for _, fault in order]


def _in_tree(source: str) -> Iterator[Fault]:
    tree = ast.parse(source)

    def fault(number: int, variant: int) -> str | None:
        changed = copy.deepcopy(tree)
        target = next(itertools.islice(ast.walk(changed), number, None))
        return ast.unparse(ast.fix_missing_locations(changed)) + "\n" if _change(target, variant) else None

    for number, node in enumerate(ast.walk(tree)):
        for variant in range(_variants(node)):
            yield functools.partial(fault, number, variant)


def _variants(node: ast.AST) -> int:
    """How many faults there may be in a node."""
    match node:
        case ast.Compare(ops=ops):
            return len(ops)
        case ast.Constant(value=bool()):
            return 1
        case ast.Constant(value=int() | float()):
            return 2
        case ast.BinOp() | ast.BoolOp() | ast.If() | ast.IfExp() | ast.Call() | ast.UnaryOp() | ast.Subscript():
            return 1
        case ast.FunctionDef(body=body) | ast.For(body=body) | ast.With(body=body):
            return len(body)
        case _:
            return 0


def _change(node: ast.AST, variant: int) -> bool:
    """Makes one fault in place; False where there is none to make."""
    match node:
        case ast.Compare(ops=ops):
            ops[variant] = RELATIONS[type(ops[variant])]()
        case ast.Constant(value=bool() as value):
            node.value = not value
        case ast.Constant(value=int() | float() as value):
            node.value = value + 1 if variant == 0 else -value if value else -1
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            node.op = ARITHMETIC[type(op)]()
        case ast.BoolOp(op=op):
            node.op = ast.Or() if isinstance(op, ast.And) else ast.And()
        case ast.If(test=test) | ast.IfExp(test=test):
            node.test = ast.UnaryOp(ast.Not(), test)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), operand)
        case ast.Subscript(slice=ast.Slice(lower=lower, upper=upper) as cut) if lower or upper:
            cut.lower, cut.upper = None, upper if lower else None
        case ast.Call():
            return _change_call(node)
        case ast.FunctionDef(body=body) | ast.For(body=body) | ast.With(body=body):
            return _leave_out(body, variant)
        case _:
            return False
    return True


def _change_call(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id=name) if name in SWAPPED:
            call.func.id = SWAPPED[name]
        case ast.Attribute(attr=name) if name in SWAPPED:
            call.func.attr = SWAPPED[name]
        case ast.Name(id=name) if name in FORGOTTEN and call.args:
            call.func, call.args, call.keywords = ast.Name(FORGOTTEN[name]), call.args[:1], []
        case _:
            return False
    return True


def _leave_out(body: list[ast.stmt], variant: int) -> bool:
    """Leaves out a statement that does something, but nothing that a later one needs in order to mean anything."""
    if isinstance(body[variant], (ast.Expr, ast.AugAssign, ast.If, ast.Raise)) and not _is_docstring(body[variant]):
        body[variant] = ast.Pass()
        return True
    return False


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _in_tokens(source: str) -> Iterator[Fault]:
    dead = [range(*found.span()) for found in SKIPPED.finditer(source)]

    def fault(found: re.Match[str], replacement: str) -> str:
        return source[: found.start()] + replacement + source[found.end() :]

    for pattern, replacement in TOKENS:
        for found in re.finditer(pattern, source):
            if not any(found.start() in span for span in dead):
                yield functools.partial(fault, found, replacement)
    for found in NUMBER.finditer(source):
        if not any(found.start() in span for span in dead):
            more = float(found[0]) + 1 if "." in found[0] else int(found[0]) + 1
            yield functools.partial(fault, found, str(more))
