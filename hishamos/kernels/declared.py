"""What a notebook says of itself before it is executed: its parameters with their types, its kernel, the libraries that it imports."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hishamos.errors import InvalidInput, nearest_hint
from hishamos.records.batches import RunnableNotebook
from hishamos.records.record import content_hash

TAG = "parameters"
TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}
WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", list: "a list", dict: "a dict"}
ALIASES = {"List": "list", "Dict": "dict", "Sequence": "list", "Mapping": "dict", "tuple": "list", "Tuple": "list"}
OWN = Path("data", "local")
"""What HishamOS keeps for itself in a workspace, executed notebooks among it."""
PASSED_OVER = frozenset({"node_modules", "__pycache__", "site-packages"})
MOST_FOUND = 200
_COMMENT = re.compile(r"#\s*type:\s*([\w.\[\], |]+)")
_IMPORT = re.compile(r"^\s*(?:import|from)\s+([A-Za-z_]\w*)", re.MULTILINE)
_MORE = re.compile(r"^\s*import\s+(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Declared:
    """One parameter: its type as far as its annotation, or its default, tells it."""

    type: type | None = None
    strict: bool = False
    """Whether an annotation says so: a default of 0 tells that it is a number, and no more."""
    optional: bool = True
    needed: bool = False
    """Whether the notebook has no default for it."""


@dataclass(frozen=True, slots=True)
class NotebookFacts:
    """What stands in the notebook's file. ``parameters``: None without a cell that is tagged so."""

    version: str
    """Hash of its text."""
    parameters: dict[str, Declared] | None
    kernel: str | None
    language: str
    imports: list[str] = field(default_factory=list)


def read_notebook(notebook: Path) -> NotebookFacts:
    """Read what a notebook says of itself; raises :class:`InvalidInput` for a file that is none."""
    try:
        text = notebook.read_text(encoding="utf-8")
        content = json.loads(text)
        cells, metadata = content["cells"], content.get("metadata", {})
        sources = ["".join(cell["source"]) for cell in cells if cell.get("cell_type") == "code"]
        tagged = [cell for cell in cells if cell.get("cell_type") == "code" and TAG in cell.get("metadata", {}).get("tags", [])]
    except FileNotFoundError:
        raise InvalidInput(what="there is no such notebook", where=str(notebook), next="Check the path.") from None
    except OSError as error:
        raise InvalidInput(what=f"the notebook can't be read: {error.strerror}", where=str(notebook), next="Give an .ipynb file.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidInput(what="this file is no notebook", where=str(notebook), next="Give an .ipynb file.") from None
    kernel = metadata.get("kernelspec", {}).get("name")
    language = metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name") or "python"
    assigned = _assigned if language == "python" else _named
    parameters = assigned("".join(tagged[0]["source"]), notebook) if tagged else None
    return NotebookFacts(content_hash(text), parameters, kernel, language, sorted({name for source in sources for name in _imported(source)}))


def runnable(root: Path) -> list[RunnableNotebook]:
    """Return the notebooks in a folder that declare parameters, by path; hidden folders and what HishamOS keeps for itself are passed over."""
    found = []
    for path in sorted(_notebooks(root)):
        with contextlib.suppress(InvalidInput):
            known = read_notebook(path).parameters
            if known is not None:
                types = {name: one.type.__name__ if one.type else "" for name, one in known.items()}
                found.append(RunnableNotebook(path=path.relative_to(root).as_posix(), parameters=types))
        if len(found) == MOST_FOUND:
            break
    return found


def _notebooks(root: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(root):
        here = Path(folder)
        below[:] = [name for name in below if not name.startswith(".") and name not in PASSED_OVER and (here / name).relative_to(root) != OWN]
        yield from (here / name for name in files if name.endswith(".ipynb"))


def typed_rows(facts: NotebookFacts, notebook: Path, rows: Sequence[Mapping[str, Any]], *, cells: bool) -> list[dict[str, Any]]:
    """Return rows of parameters as the notebook declares them.

    ``cells``: they come from a table of texts, in which an empty cell leaves a parameter at its default. A text where the notebook declares a number
    or a truth is taken as one. Raises :class:`InvalidInput`, before anything starts, for a notebook that declares none, a parameter that it does
    not declare, a value that it can't be, and a parameter without a default that a row leaves out.
    """
    known = facts.parameters
    if known is None:
        following = f"Tag the cell that holds its parameters' defaults with {TAG!r}."
        raise InvalidInput(what=f"it has no cell tagged {TAG!r}", where=str(notebook), next=following)
    found = []
    for number, row in enumerate(rows, 1):
        values = {}
        for name, value in row.items():
            if name not in known:
                what = f"{notebook.name} has no parameter {name!r}{nearest_hint(str(name), list(known))}"
                raise InvalidInput(what=what, where=f"row {number}", next=f"It declares: {', '.join(known)}.")
            if cells and value == "":
                continue
            try:
                values[name] = _typed(known[name], value, cells=cells)
            except ValueError:
                kind = WORDS[known[name].type or str]
                what = f"{_shown(value)} is not {kind}, which {notebook.name} declares for {name!r}"
                raise InvalidInput(what=what, where=f"row {number}", next="Correct it; nothing was executed.") from None
        for name in (name for name, one in known.items() if one.needed and name not in values):
            what = f"{notebook.name} needs a value for {name!r}, for which it has no default"
            raise InvalidInput(what=what, where=f"row {number}", next="Give one; nothing was executed.")
        found.append(values)
    return found


def _typed(declared: Declared, value: Any, *, cells: bool) -> Any:
    kind = declared.type
    if kind is None:
        return _json(value, (bool, int, float)) if cells else value
    if isinstance(value, str) and kind is not str:
        value = _read(value, kind)
    if value is None:
        if declared.optional:
            return value
        raise ValueError
    if kind in {int, float}:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and (kind is float or not declared.strict or float(value).is_integer())
        if fits and kind is int and declared.strict:
            return int(value)
    else:
        fits = isinstance(value, kind)
    if not fits:
        raise ValueError
    return value


def _read(text: str, kind: type) -> Any:
    """Return a text as a value of another kind; the text itself where it is none."""
    plain = text.strip()
    if kind is bool:
        return {"true": True, "false": False}.get(plain.lower(), text)
    if kind in {int, float}:
        for number in (int, float):
            try:
                return number(plain) if re.fullmatch(r"[-+0-9.eE]+", plain) else text
            except ValueError:
                continue
        return text
    return _json(text, (kind, type(None)))


def _json(text: Any, kinds: tuple[type, ...]) -> Any:
    if not isinstance(text, str):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, kinds) else text


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _imported(source: str) -> Iterator[str]:
    yield from _IMPORT.findall(source)
    for names in _MORE.findall(source):
        yield from (name.strip().partition(" ")[0].partition(".")[0] for name in names.partition("#")[0].split(","))


def _assigned(source: str, notebook: Path) -> dict[str, Declared]:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        what = f"its parameters cell can't be read: {error.msg}, line {error.lineno}"
        raise InvalidInput(what=what, where=str(notebook), next="Keep plain assignments in it.") from None
    lines, found = source.splitlines(), dict[str, Declared]()
    named = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    for node in tree.body:
        if isinstance(node, ast.Assign):
            comment = _COMMENT.search(lines[(node.end_lineno or node.lineno) - 1])
            declared = _annotated(comment.group(1).strip(), node.value) if comment else _of_default(node.value)
            found |= {target.id: declared for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            declared = _annotated(ast.unparse(node.annotation), node.value)
            found[node.target.id] = replace(declared, needed=node.value is None and named[node.target.id] == 1)
    return found


def _named(source: str, notebook: Path) -> dict[str, Declared]:  # noqa: ARG001 - as for Python
    """Return the names that a cell in another language assigns."""
    return {name: Declared() for name in re.findall(r"^\s*([A-Za-z_.][\w.]*)\s*(?:=|<-)", source, re.MULTILINE)}


def _of_default(default: ast.expr) -> Declared:
    try:
        value = ast.literal_eval(default)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return Declared()
    kind = list if isinstance(value, (list, tuple)) else type(value)
    if kind is int:
        kind = float
    return Declared(kind) if kind in TYPES.values() else Declared()


def _annotated(annotation: str, default: ast.expr | None) -> Declared:
    plain = annotation.strip("\"' ")
    optional = isinstance(default, ast.Constant) and default.value is None
    inner = re.fullmatch(r"(?:typing\.)?Optional\[(.+)\]", plain)
    parts = [part.strip() for part in (inner.group(1) if inner else plain).split("|")]
    kinds = [part for part in parts if part != "None"]
    if len(kinds) != 1:
        return Declared()
    name = kinds[0].partition("[")[0].removeprefix("typing.")
    kind = TYPES.get(ALIASES.get(name, name))
    return Declared(kind, strict=True, optional=optional or inner is not None or "None" in parts) if kind else Declared()
