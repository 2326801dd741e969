"""CSV files come in with clear errors and go out with nothing executable."""

from __future__ import annotations

import csv

import pytest

from hishamos.cli.csv_files import neutral, read_rows, write_rows
from hishamos.errors import InvalidInput
from hishamos.library.functions.reports_file import read_table


def _write(tmp_path, data):
    file = tmp_path / "rows.csv"
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(file)


def test_cells_stay_text_and_quoted_cells_stay_whole(tmp_path):
    names, rows = read_rows(_write(tmp_path, '\ufeffid,body\r\n007,"a, ""b""\nc"\r\n\r\n8,ب\r\n'))
    assert names == ["id", "body"]
    assert rows == [{"id": "007", "body": 'a, "b"\nc'}, {"id": "8", "body": "ب"}]


def test_a_megabyte_in_one_cell_is_read(tmp_path):
    _, rows = read_rows(_write(tmp_path, "id,body\n1," + "x" * 2**20 + "\n"))
    assert len(rows[0]["body"]) == 2**20


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"id,body\n", "no rows"),
        (b"id,body\n1,a,b\n", "line 2 has 3 cells, the header has 2"),
        (b"id,body\n1,a\n2\n", "line 3 has 1 cell, the header has 2"),
        (b"id;body\n1;a\n", "separated by semicolons"),
        (b"id\tbody\n1\ta\n", "separated by tabs"),
        (b'id,body\n1,"never closed\n', "no well-formed CSV near line 2"),
        (b'id,body\n1,"a"b\n', "no well-formed CSV"),
        (b"id,\n1,a\n", "Column 2 has no name"),
        (b"id,id\n1,a\n", "Two columns are named 'id'"),
        ("id,body\n1,caf\u00e9\n".encode("latin-1"), "Byte 13 (0xe9) is not UTF-8"),
    ],
)
def test_a_bad_file_is_told_what_where_and_what_next(tmp_path, data, what):
    file = _write(tmp_path, data)
    with pytest.raises(InvalidInput) as raised:
        read_rows(file)
    assert what in str(raised.value)
    assert file in str(raised.value)
    assert raised.value.facts["next"]


@pytest.mark.parametrize("reader", [read_rows, read_table], ids=["map", "triage_bugs"])
@pytest.mark.parametrize(
    ("data", "what", "place", "then"),
    [
        ("id,title,body\n1,a,caf\u00e9\n".encode("cp1252"), "Byte 21 (0xe9) is not UTF-8", ", line 2", "iconv -f cp1252 -t utf-8 rows.csv > utf8.csv"),
        ("id,title,body\n1,a,b\n".encode("utf-16"), "The file is UTF-16, not UTF-8", "", "iconv -f utf-16 -t utf-8 rows.csv > utf8.csv"),
        ("id,title,body\n1,a,b\n".encode("utf-16-be"), "holds a null character", ", line 1", "iconv -f utf-16 -t utf-8 rows.csv > utf8.csv"),
        (b"id,title,body\n1,a,b\x00\n", "holds a null character", ", line 2", "iconv -f utf-16"),
        (b"PK\x03\x04rest", "This is an Excel workbook or a zip archive, not CSV", "", "Export it as CSV in UTF-8."),
    ],
)
def test_what_is_no_text_in_utf8_is_told_alike_by_all_who_read_csv(tmp_path, reader, data, what, place, then):
    file = _write(tmp_path, data)
    with pytest.raises(InvalidInput) as raised:
        reader(file)
    assert what in raised.value.what
    assert raised.value.where == f"{file}{place}"
    assert then in raised.value.next


def test_a_missing_file_is_named_with_its_neighbour(tmp_path):
    _write(tmp_path, "a\n1\n")
    with pytest.raises(InvalidInput, match=r"Did you mean .*rows\.csv"):
        read_rows(str(tmp_path / "row.csv"))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InvalidInput, match="folder"):
        read_rows(str(tmp_path))


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", '=HYPERLINK("http://x")'])
def test_a_cell_that_a_spreadsheet_would_execute_is_neutralised(tmp_path, cell):
    file = tmp_path / "out.csv"
    write_rows(file, ["a", "=b"], [{"a": cell, "=b": "plain"}])
    with file.open(newline="") as stream:
        header, row = list(csv.reader(stream))
    assert header == ["a", "'=b"]
    assert row == [f"'{cell}", "plain"]


def test_numbers_stay_numbers():
    assert neutral(-5) == -5
    assert neutral(None) is None
    assert neutral("a=b") == "a=b"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "out.csv"
    file.write_text("old")

    def rows():
        yield {"a": 1}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_rows(file, ["a"], rows())
    assert file.read_text() == "old"
