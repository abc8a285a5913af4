"""Remedies that the product can print, read from its source code.

A remedy is found wherever the code gives one: as an attribute, a variable, a keyword, a key or a parameter with
"remedy" in its name, and as the last member of a `Rule` of the preconditions. A remedy that is only passed on, such as
`error.remedy`, is read where it was created. An expression that cannot be read as text is refused, so that no remedy is
missed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.support.checkout import CHECKOUT

PACKAGES = ("connectors", "pipeline", "sinks", "stack")

_Scope = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Remedy:
    """A remedy in the source code.

    Args:
        owner: the module and the class or function that gives it, such as `sinks.errors:StoreNeedsRestart`.
        text: its words; `{name}` is a placeholder for a value known only when the remedy is printed.
        problem: the first line of the owner's docstring.
    """

    owner: str
    text: str
    problem: str = field(compare=False, default="")


class Unreadable(Exception):
    """An expression that gives a remedy is not a text."""


@cache
def printed() -> tuple[Remedy, ...]:
    """Return every remedy of the product, once, in the order of the files."""
    paths = [path for package in PACKAGES for path in sorted((CHECKOUT / package).rglob("*.py"))]
    modules = {_name(path): ast.parse(path.read_text()) for path in paths}
    takers = {(name, taker): at for name, tree in modules.items() for taker, at in _takers(tree)}
    read = (one for name, tree in modules.items() for one in _Reader(name, tree, takers).read())
    return tuple(dict.fromkeys(read))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)


def _takers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the classes and functions with a remedy as a positional argument, and the argument's position."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            fields = [one.target.id for one in node.body if _is_field(one)]  # type: ignore[attr-defined]
            makers = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
            names = [one.arg for one in makers[0].args.args[1:]] if makers else fields
        elif isinstance(node, ast.FunctionDef):
            names = [one.arg for one in node.args.args if one.arg != "self"]
        else:
            continue
        if "remedy" in names:
            yield node.name, names.index("remedy")


def _is_field(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)


class _Reader(ast.NodeVisitor):
    """A visitor that reads the remedies of one module."""

    def __init__(self, module: str, tree: ast.Module, takers: Mapping[tuple[str, str], int]) -> None:
        self._module = module
        self._tree = tree
        self._takers = takers
        self._imported = {
            alias.asname or alias.name: node.module or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        self._scopes: list[_Scope] = []
        self._found: list[Remedy] = []

    def read(self) -> list[Remedy]:
        self.visit(self._tree)
        return self._found

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._within(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._within(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._within(node)

    def _within(self, node: _Scope) -> None:
        self._scopes.append(node)
        if isinstance(node, ast.FunctionDef) and node.returns is not None and "Rule" in ast.unparse(node.returns):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Tuple) and len(inner.elts) == 3:
                    self._note(inner.elts[2])
        self.generic_visit(node)
        self._scopes.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(_is_remedy(_target(one)) for one in node.targets):
            self._note(node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and _is_remedy(_target(node.target)):
            self._note(node.value)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        scope = self._scopes[-1]
        if node.value is not None and _is_remedy(scope.name):
            self._note(node.value)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "remedy":
                self._note(value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        for keyword in node.keywords:
            if keyword.arg == "remedy":
                self._note(keyword.value)
        called = _target(node.func)
        at = self._takers.get((self._imported.get(called, self._module), called))
        if at is not None and at < len(node.args):
            self._note(node.args[at])
        self.generic_visit(node)

    def _note(self, expression: ast.expr) -> None:
        names = [scope.name for scope in self._scopes if scope.name != "__init__"]
        owner = f"{self._module}:{'.'.join(names)}" if names else self._module
        documented = [scope for scope in self._scopes if scope.name != "__init__"]
        problem = (ast.get_docstring(documented[-1]) or "").split("\n\n")[0].replace("\n", " ") if documented else ""
        for text in self._texts(expression):
            if text:
                self._found.append(Remedy(owner, text, problem))

    def _texts(self, expression: ast.expr) -> Iterator[str]:
        match expression:
            case ast.Constant(value=str(text)):
                yield text
            case ast.Constant(value=None):
                return
            case ast.JoinedStr(values=pieces):
                yield "".join(self._piece(piece) for piece in pieces)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                yield from (f"{one}{two}" for one in self._texts(left) for two in self._texts(right))
            case ast.IfExp(body=body, orelse=other):
                yield from (*self._texts(body), *self._texts(other))
            case ast.BoolOp(values=values):
                for value in values:
                    yield from self._texts(value)
            case ast.Dict(values=values):
                for value in values:
                    yield from self._texts(value)
            case ast.Name(id=name):
                yield from self._named(name)
            case _ if _passes_on(expression):
                return
            case _:
                raise Unreadable(f"{self._module}, line {expression.lineno}: {ast.unparse(expression)}")

    def _named(self, name: str) -> Iterator[str]:
        """Yield the texts of a constant or local variable; parameters and loop variables are read at their origin."""
        for value in self._values(name):
            yield from self._texts(value)

    def _values(self, name: str) -> list[ast.expr]:
        """Return the values of a name in the innermost scope that assigns it."""
        for scope in (*reversed(self._scopes), self._tree):
            nodes = ast.walk(scope) if isinstance(scope, ast.FunctionDef) else iter(scope.body)
            given = [
                node.value
                for node in nodes
                if isinstance(node, ast.Assign)
                and any(isinstance(one, ast.Name) and one.id == name for one in node.targets)
            ]
            if given:
                return given
        return []

    def _piece(self, piece: ast.expr) -> str:
        match piece:
            case ast.Constant(value=text):
                return str(text)
            case ast.FormattedValue(value=ast.Name(id=name)):
                match self._values(name):
                    case [ast.Constant(value=str(text))]:
                        return text
                return f"{{{name}}}"
            case ast.FormattedValue(value=value):
                return f"{{{ast.unparse(value)}}}"
        raise Unreadable(ast.unparse(piece))


def _target(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_remedy(name: str) -> bool:
    return "remed" in name.lower()


def _passes_on(expression: ast.expr) -> bool:
    """Return whether an expression only passes on remedies that were created elsewhere."""
    match expression:
        case ast.Subscript(value=ast.Name()):
            return True
        case ast.Attribute(attr=name):
            return _is_remedy(name)
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value="remedy"), *_]):
            return True
        case ast.Call(func=ast.Name(id=name)) if _is_remedy(name):
            # The function creates the remedies; they are read there.
            return True
        case ast.Call(func=ast.Name(id="str"), args=[inner]):
            return _passes_on(inner)
        case ast.Call(func=ast.Attribute(attr="join"), args=[ast.GeneratorExp(elt=inner)]):
            return _passes_on(inner)
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)), attr="format")
        ):
            return _is_remedy(name)
    return False
