"""Whether a source says something else than another one, or the same in other words."""

from __future__ import annotations

import ast
import re

from metier.capability import Language
from metier.mutation.mutants import SKIPPED


def same_program(a: str, b: str, language: Language) -> bool:
    """Whether two sources differ in comments, layout and the names of their own variables at most.

    In languages other than Python names count as well.
    """
    if language != "python":
        return _words(a) == _words(b)
    try:
        return _meaning(a) == _meaning(b)
    except (SyntaxError, ValueError, RecursionError):
        return a == b


def _words(source: str) -> list[str]:
    """The tokens, without comments; texts count as they are."""
    kept = SKIPPED.sub(lambda found: found[0] if found[0][0] in "\"'`" else " ", source)
    return re.findall(r"\"(?:\\.|[^\"\\\n])*\"|\w+|[^\w\s]", kept)


def _meaning(source: str) -> str:
    """The syntax tree in words, with each of the source's own names as the number of its first appearance."""
    tree = _Renamed(_own_names(source)).visit(ast.parse(source))
    return ast.dump(tree, annotate_fields=False)


def _own_names(source: str) -> dict[str, str]:
    """Names that the source itself gives to values, and to functions other than the one that is called first."""
    own: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        name = None
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.FunctionDef) and node.name != "run":
            name = node.name
        if name is not None:
            own.setdefault(name, f"{len(own)}")
    return own


class _Renamed(ast.NodeTransformer):
    def __init__(self, own: dict[str, str]) -> None:
        self._own = own

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self._own.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self._own.get(node.arg, node.arg))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.name = self._own.get(node.name, node.name)
        node.returns = None
        node.body = [s for n, s in enumerate(node.body) if n or not _is_text(s)] or [ast.Pass()]
        return node

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self.generic_visit(node)
        node.body = [s for s in node.body if not _is_text(s)]
        return node


def _is_text(statement: ast.stmt) -> bool:
    """A docstring, or another text that nobody uses."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
