"""Sources with their literals taken out: two that have the same rest differ only in constants."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, Final

from metier.capability import Language

Value = str | int | float
PLAIN: Final = "value"
"""What a literal is called that nothing around it names."""

_TOKEN: Final = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/|;;[^\n]*)|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)"""
    r"""|(?P<number>(?<![\w.])(?:0[xXbBoO][\da-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?))|(?P<other>\w+|\S)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal of a source, and what it seems to be, by the words around it."""

    value: Value
    hint: str | None = PLAIN
    """None where it only words an error."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A source without its literals, and these in their order. Equal `rest`: the sources differ in literals alone."""

    rest: str
    constants: tuple[Constant, ...]


def skeleton(language: Language, source: str) -> Skeleton | None:
    """The source without literals, comments and layout; None where it cannot be read."""
    if language == "python":
        try:
            return _Abstraction().of(ast.parse(source))
        except (SyntaxError, ValueError, RecursionError):
            return None
    return _tokens(source)


class _Abstraction(ast.NodeTransformer):
    """Takes texts and numbers out of a syntax tree. Truth values and None are no constants, but ways to go."""

    def __init__(self) -> None:
        self._found: list[Constant] = []
        self._hints: dict[int, str | None] = {}

    def of(self, tree: ast.Module) -> Skeleton:
        for node in ast.walk(tree):
            self._drop_docstring(node)
            self._name(node)
        rest = ast.dump(self.visit(tree))
        return Skeleton(rest, tuple(self._found))

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return node
        self._found.append(Constant(value, self._hints.get(id(node), PLAIN)))
        return ast.Constant("text" if isinstance(value, str) else "number")

    def _drop_docstring(self, node: ast.AST) -> None:
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]

    def _name(self, node: ast.AST) -> None:
        """Notes what the constants right beneath a node seem to be."""
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            named = next((hint for side in sides if (hint := _spoken(side)) is not None), None)
            self._note(named, *sides)
        elif isinstance(node, ast.Raise):
            self._hints |= {id(inner): None for inner in ast.walk(node)}
        elif isinstance(node, ast.keyword):
            self._note(node.arg, node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            self._note(node.targets[0].id, node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                self._note(_text(key), value)
        elif isinstance(node, ast.BinOp):
            self._note({ast.Mult: "factor", ast.Add: "addend"}.get(type(node.op)), node.left, node.right)

    def _note(self, hint: str | None, *nodes: ast.AST) -> None:
        for node in nodes:
            if hint is not None and isinstance(node, ast.Constant):
                self._hints.setdefault(id(node), hint)


def _spoken(node: ast.AST) -> str | None:
    """The name that an expression has or ends in: `x`, `a.x`, `a["x"]`, `a.get("x")`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return _text(node.slice)
    if isinstance(node, ast.Call):
        return _text(node.args[0]) if node.args else _spoken(node.func)
    return None


def _text(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _tokens(source: str) -> Skeleton:
    """The same of any language, by its tokens."""
    rest: list[str] = []
    found: list[Constant] = []
    for token in _TOKEN.finditer(source):
        text, kind = token.group(), token.lastgroup
        if kind == "comment":
            continue
        if kind == "string":
            found.append(Constant(text[1:-1]))
        value = _number(text) if kind == "number" else None
        if value is not None:
            found.append(Constant(value))
        rest.append(kind if kind == "string" or value is not None else text)  # type: ignore[arg-type]  # one matched
    return Skeleton("\n".join(rest), tuple(found))


def _number(text: str) -> int | float | None:
    try:
        return int(text.replace("_", ""), 0)
    except ValueError:
        pass
    try:
        return float(text.replace("_", ""))
    except ValueError:
        return None


def parameter_name(hint: str, taken: set[str]) -> str:
    """A name for a property of the input, after a hint, that is not taken."""
    name = re.sub(r"[^a-z0-9_]+", "_", hint.casefold()).strip("_") or PLAIN
    name = name if name[0].isalpha() else f"{PLAIN}_{name}"
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def same_kind(values: list[Any]) -> str | None:
    """The JSON type that all of the values have; None where they have no one type."""
    if all(isinstance(value, str) for value in values):
        return "string"
    if all(isinstance(value, int) for value in values):
        return "integer"
    return "number" if all(isinstance(value, int | float) for value in values) else None
