"""Named SQL is found by its name, and a wrong name is told the nearest."""

from __future__ import annotations

from importlib import resources

import pytest

from hishamos.store.statements import Statements, statements

TEXT = """-- What this file is about.

-- name: find_run
select * from runs
where id = $id;

-- name: all_runs
select 1 -- inside
;
"""


def test_statements_are_found_by_name_without_their_semicolon():
    found = Statements("sample", TEXT)
    assert found["find_run"] == "select * from runs\nwhere id = $id"
    assert found["all_runs"].startswith("select 1 -- inside")
    assert list(found) == ["find_run", "all_runs"]
    assert len(found) == 2


def test_an_unknown_name_gives_the_file_and_the_nearest():
    with pytest.raises(KeyError, match=r"sample.sql has no statement 'find_runs'; did you mean 'find_run'\?"):
        Statements("sample", TEXT)["find_runs"]


def test_a_name_given_twice_is_refused():
    with pytest.raises(ValueError, match=r"sample\.sql names a statement twice"):
        Statements("sample", TEXT + "-- name: find_run\nselect 2\n")


def test_every_shipped_file_is_read_and_no_statement_is_empty():
    files = [file.name.removesuffix(".sql") for file in (resources.files("hishamos.store") / "sql").iterdir() if file.name.endswith(".sql")]
    assert "ledger" in files
    for file in files:
        found = statements(file)
        assert len(found) > 0
        assert all(found[name] for name in found)
        assert statements(file) is found
