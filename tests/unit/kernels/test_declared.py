"""Parameters are held against what the notebook declares, before anything is executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hishamos.errors import InvalidInput
from hishamos.kernels.declared import read_notebook, typed_rows

CELL = """
from typing import Optional
whole: int = 0
part: float = 0.5
name = ""
many = 0
flag = False
names = ["a"]
limits: dict = {}
maybe: Optional[int] = None
either: int | str = 1
told = None  # type: int
free = object()
"""


def book(folder: Path, *cells: str, **metadata: Any) -> Path:
    path = folder / "book.ipynb"
    tagged = [{"cell_type": "code", "source": cell, "metadata": {"tags": ["parameters"] if place == 0 else []}} for place, cell in enumerate(cells)]
    path.write_text(json.dumps({"cells": tagged, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"whole": "7", "part": "1e-2", "name": "007", "many": "2.5"}, {"whole": 7, "part": 0.01, "name": "007", "many": 2.5}),
        ({"flag": "TRUE", "names": '["x", "y"]', "limits": '{"a": 1}'}, {"flag": True, "names": ["x", "y"], "limits": {"a": 1}}),
        ({"maybe": None, "told": "3", "either": "x", "free": "5"}, {"maybe": None, "told": 3, "either": "x", "free": "5"}),
        ({"whole": 7.0, "name": "", "many": None}, {"whole": 7, "name": "", "many": None}),
        ({"part": 3, "names": ("a",)}, None),
    ],
)
def test_values_become_what_is_declared(tmp_path: Path, given: dict[str, Any], found: dict[str, Any] | None) -> None:
    path = book(tmp_path, CELL)
    if found is None:
        given = {**given, "names": list(given["names"])}
    assert typed_rows(read_notebook(path), path, [given], cells=False) == [given if found is None else found]


def test_cells_of_a_table_are_numbers_where_nothing_is_declared_and_leave_defaults_where_they_are_empty(tmp_path: Path) -> None:
    path = book(tmp_path, CELL)
    rows = [{"whole": "", "free": "5", "either": "true", "name": "5"}, {"free": "x", "either": "007"}]
    assert typed_rows(read_notebook(path), path, rows, cells=True) == [{"free": 5, "either": True, "name": "5"}, {"free": "x", "either": "007"}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"whole": "seven"}, "'seven' is not a whole number"),
        ({"whole": "7.5"}, "'7.5' is not a whole number"),
        ({"whole": True}, "True is not a whole number"),
        ({"whole": None}, "None is not a whole number"),
        ({"part": "nan"}, "'nan' is not a number"),
        ({"name": 5}, "5 is not a text"),
        ({"flag": "yes"}, "'yes' is not true or false"),
        ({"names": "a, b"}, "'a, b' is not a list"),
        ({"limits": []}, "is not a dict"),
        ({"nmae": "x"}, "no parameter 'nmae'; did you mean 'name'"),
    ],
)
def test_what_does_not_fit_is_told_with_its_row(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    path = book(tmp_path, CELL)
    with pytest.raises(InvalidInput, match="row 2") as refused:
        typed_rows(read_notebook(path), path, [{}, given], cells=False)
    assert said in str(refused.value)


def test_a_notebook_tells_its_kernel_its_language_and_what_it_imports(tmp_path: Path) -> None:
    facts = read_notebook(book(tmp_path, "x = 1", "import pandas as pd, os\nfrom hishamos import open\n  import numpy.linalg", kernelspec={"name": "mine"}))
    assert (facts.kernel, facts.language, facts.imports) == ("mine", "python", ["hishamos", "numpy", "os", "pandas"])
    other = read_notebook(book(tmp_path, "x <- 1\ny = 'a'", kernelspec={"name": "ir", "language": "R"}))
    assert other.parameters is not None
    assert list(other.parameters) == ["x", "y"]
    assert other.version != facts.version


def test_a_cell_that_is_no_python_and_a_notebook_without_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="line 2"):
        read_notebook(book(tmp_path, "x = 1\ny = ="))
    plain = tmp_path / "plain.ipynb"
    plain.write_text(json.dumps({"cells": [], "metadata": {}}))
    with pytest.raises(InvalidInput, match="no cell tagged 'parameters'"):
        typed_rows(read_notebook(plain), plain, [{}], cells=False)


def test_a_parameter_without_a_default_needs_a_value_in_every_row(tmp_path: Path) -> None:
    path = book(tmp_path, "text: str\nkind: Kind\nlimit: int\nif True:\n    limit = 3\n")
    assert typed_rows(read_notebook(path), path, [{"text": "a", "kind": "b"}], cells=False) == [{"text": "a", "kind": "b"}]
    for cells, given in ((False, {"kind": "b"}), (True, {"text": "", "kind": "b"})):
        with pytest.raises(InvalidInput, match=r"needs a value for 'text', for which it has no default \(row 1\)"):
            typed_rows(read_notebook(path), path, [given], cells=cells)
