"""The cells of a notebook and what their code reads and sets, found without running it."""

from __future__ import annotations

import ast
import io
import json
import re
import symtable
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hishamos.engine.steps.cell import syntax_problem
from hishamos.errors import InvalidDefinition, InvalidInput, nearest_hint

SUFFIX = ".ipynb"
TYPES = {"str": "text", "int": "integer", "float": "number", "bool": "boolean", "list": "list", "dict": "object"}
OWN_TYPES = ("string", "text", "integer", "number", "boolean", "date", "list", "object", "file")
KINDS = {bool: "boolean", int: "integer", float: "number", str: "text", list: "list", dict: "object"}


CHANGING = frozenset({
    "append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "update", "setdefault", "popitem", "add", "discard",
})  # fmt: skip
"""Methods that change a list, dict or set in place."""


@dataclass(frozen=True)
class Names:
    """What the code of a cell does with names."""

    reads: frozenset[str]
    """Those that it reads before it sets them."""
    sets: frozenset[str]
    """Those of values that it sets."""
    defines: frozenset[str]
    """Those that it imports, and its functions and classes."""
    changes: frozenset[str]
    """Those whose values it changes in place."""

    @property
    def own(self) -> frozenset[str]:
        """All that it sets or defines."""
        return self.sets | self.defines


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook."""

    notebook: str
    """The file's name."""
    number: int
    """From 1, all cells counted."""
    code: bool
    source: str
    tags: tuple[str, ...]

    @property
    def place(self) -> str:
        """``report.ipynb, cell 4``."""
        return f"{self.notebook}, cell {self.number}"

    def tagged(self, prefix: str) -> list[str]:
        """Return what its tags ``prefix:…`` name."""
        return [tag.partition(":")[2] for tag in self.tags if tag.startswith(f"{prefix}:")]

    def refused(self, problem: str, following: str) -> InvalidDefinition:
        """Return the error that names the cell."""
        ids = self.tagged("step")
        return InvalidDefinition(problem=problem, where=self.place + (f" (step:{ids[0]})" if ids else ""), next=following)

    def parts(self) -> frozenset[str]:
        """Return the names that it sets or defines; none for code that can't be read."""
        try:
            return names_in(self).own
        except InvalidDefinition:
            return frozenset()


def workflow_name(notebook: Path) -> str:
    """Return the name of the workflow that a notebook's file stands for: its own, with ``_`` for what no workflow's name may hold."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", notebook.stem)
    return name if name[:1].isascii() and name[:1].isalpha() else f"notebook_{name}"


def read_cells(notebook: Path) -> list[Cell]:
    """Return a notebook's cells; raises :class:`InvalidInput` for a file that is none."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return [_cell(notebook.name, number, cell) for number, cell in enumerate(cells, 1)]
    except OSError as error:
        raise InvalidInput(what=f"the notebook can't be read: {error.strerror}", where=str(notebook), next="Check the path.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidInput(what="this file is no notebook", where=str(notebook), next=f"Give an {SUFFIX} file.") from None


def _cell(notebook: str, number: int, cell: Mapping[str, Any]) -> Cell:
    return Cell(notebook, number, cell["cell_type"] == "code", "".join(cell["source"]), tuple(cell.get("metadata", {}).get("tags", ())))


def inputs_of(cell: Cell) -> dict[str, dict[str, Any]]:
    """Return the inputs that a parameters cell declares: one for each assignment, its default, its type, its comment."""
    _check(cell)
    comments = _comments(cell.source)
    return {name: _input(cell, node, name, value, annotation, comments) for name, value, annotation, node in _assignments(cell)}


def _assignments(cell: Cell) -> Iterator[tuple[str, ast.expr | None, ast.expr | None, ast.stmt]]:
    for node in ast.parse(cell.source).body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value, None, node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value, node.annotation, node
        else:
            raise cell.refused(f"line {node.lineno} is no plain assignment", 'Write NAME = VALUE, or NAME: "file" = VALUE, one on a line.')


def _input(cell: Cell, node: ast.stmt, name: str, value: ast.expr | None, annotation: ast.expr | None, comments: Mapping[int, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "text"}
    if annotation is not None:
        found["type"] = _type(cell, name, annotation)
    if value is not None:
        try:
            default = ast.literal_eval(value)
        except ValueError:
            told = f"the default of {name!r} is no plain value (line {node.lineno})"
            raise cell.refused(told, "Write a text, number, list or dict; reckon in a step.") from None
        if default is None:
            found["optional"] = True
        else:
            found["default"] = default
        if annotation is None:
            found["type"] = KINDS.get(type(default), "text")
    comment = comments.get(node.end_lineno or node.lineno)
    return {**found, "description": comment} if comment else found


def _type(cell: Cell, name: str, annotation: ast.expr) -> str:
    told = str(annotation.value) if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str) else ast.unparse(annotation).partition("[")[0]
    if told not in OWN_TYPES and told not in TYPES:
        known = [*TYPES, *OWN_TYPES]
        hint = nearest_hint(str(told), known)
        raise cell.refused(
            f"the parameter {name!r} is of a type that no input has: {told}{hint}", f"Types: {', '.join(TYPES)}, or quoted: {', '.join(OWN_TYPES)}."
        )
    return TYPES.get(str(told), str(told))


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ").strip() for token in tokens if token.type == tokenize.COMMENT and token.line.strip()[0] != "#"}


@lru_cache(maxsize=512)
def names_in(cell: Cell) -> Names:
    """Return what the code of a cell reads and sets."""
    _check(cell)
    table = symtable.symtable(cell.source, cell.place, "exec")
    below = {name for scope in _scopes(table) for name in _globals(scope)}
    symbols = {symbol.get_name(): symbol for symbol in table.get_symbols()}
    defines = {name for name, symbol in symbols.items() if symbol.is_imported() or symbol.is_namespace()}
    sets = {name for name, symbol in symbols.items() if symbol.is_assigned()} - defines
    read = {name for name, symbol in symbols.items() if symbol.is_referenced()} | below | _added_to(ast.parse(cell.source))
    return Names(frozenset(read - _set_first(cell.source) - defines), frozenset(sets), frozenset(defines), frozenset(_changes(cell.source)))


def _changes(source: str) -> Iterator[str]:
    """Yield the names whose values are changed in place: by item, by attribute, or by a method that is known for it."""
    for node in ast.walk(ast.parse(source)):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            targets = [node.func]
        elif isinstance(node, (ast.Assign, ast.Delete)):
            targets = [target for target in node.targets if isinstance(target, (ast.Subscript, ast.Attribute))]
        elif isinstance(node, ast.AugAssign):
            targets = [node.target]
        for target in targets:
            root = target
            while isinstance(root, (ast.Subscript, ast.Attribute)):
                root = root.value
            if isinstance(root, ast.Name):
                yield root.id


def _set_first(source: str) -> set[str]:
    """Return the names that plain statements at the top set before anything reads them."""
    known: set[str] = set()
    read: set[str] = set()
    for node in ast.parse(source).body:
        loaded = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)} | _added_to(node)
        read |= loaded - known
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif (isinstance(node, ast.AnnAssign) and node.value is not None) or isinstance(node, ast.For):
            targets = [node.target]
        stored = {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        if isinstance(node, ast.For):
            read -= stored - known  # the loop's own variable
        known |= stored - read
    return known


def _added_to(tree: ast.AST) -> set[str]:
    """Return the names that are read by being added to: ``n += 1``."""
    return {node.target.id for node in ast.walk(tree) if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)}


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _scopes(child)


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_global() and symbol.is_referenced():
            yield symbol.get_name()


def _check(cell: Cell) -> None:
    problem = syntax_problem(cell.source)
    if problem is None:
        return
    magic = next((line.strip() for line in cell.source.splitlines() if line.strip().startswith(("%", "!")) or line.strip().endswith("?")), None)
    if magic is not None:
        raise cell.refused(f"it is no plain Python: {magic!r} is IPython's", "Say it in Python; a step runs in no notebook.")
    raise cell.refused(f"it is no Python: {problem}", "Correct the cell.")
