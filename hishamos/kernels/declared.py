"""The parameters that a notebook declares in its cell tagged ``parameters``."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hishamos.errors import InvalidInput, nearest_hint


def declared(notebook: Path) -> list[str]:
    """Return the names assigned in the notebook's parameters cell.

    Raises :class:`InvalidInput` for a file that is no notebook or that has no such cell.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except FileNotFoundError:
        raise InvalidInput(what="there is no such notebook", where=str(notebook), next="Check the path.") from None
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(what="this file is no notebook", where=str(notebook), next="Give an .ipynb file.") from None
    for cell in cells:
        if cell.get("cell_type") == "code" and "parameters" in cell.get("metadata", {}).get("tags", []):
            return _assigned("".join(cell["source"]), notebook)
    raise InvalidInput(what="it has no cell tagged 'parameters'", where=str(notebook), next="Tag the cell that holds its parameters' defaults.")


def check(notebook: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise for a row that names a parameter which the notebook does not declare, before anything starts."""
    known = declared(notebook)
    for number, row in enumerate(rows):
        for name in row:
            if name not in known:
                what = f"{notebook.name} has no parameter {name!r}{nearest_hint(name, known)}"
                raise InvalidInput(what=what, where=f"row {number}", next=f"It declares: {', '.join(known)}.")


def _assigned(source: str, notebook: Path) -> list[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        what = f"its parameters cell can't be read: {error.msg}, line {error.lineno}"
        raise InvalidInput(what=what, where=str(notebook), next="Keep plain assignments in it.") from None
    names = [target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)]
    return names + [node.target.id for node in tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
