"""A file of reports that can't be used is told with its place and the next step, and nothing is sent."""

import re

import pytest

from hishamos.errors import InvalidInput
from hishamos.library.functions.bugs import read_reports

HEAD = "id,title,body\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="bugs.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def refused(path, *parts, **more):
    with pytest.raises(InvalidInput) as told:
        read_reports(path, **more)
    for part in parts:
        assert re.search(part, str(told.value)), str(told.value)
    return str(told.value)


def test_a_good_file(write):
    found = read_reports(write('id,title,body,channel\n1,Short,"two\nlines, and a ""quote""",mail\n\n2,شاشة,لا تعمل,app\n'))
    assert found["count"] == 2
    assert found["rows"][0] == {
        "id": "1",
        "title": "Short",
        "body": 'two\nlines, and a "quote"',
        "text": 'Short\ntwo\nlines, and a "quote"',
        "line": 2,
        "more": {"channel": "mail"},
    }
    assert (found["rows"][1]["title"], found["rows"][1]["line"]) == ("شاشة", 5)


@pytest.mark.parametrize("content", ["\ufeffID;Title;Body\n1;a;b\n", "body\tid\ttitle\nb\t1\ta\n", "id,title,body\r\n1,a,b\r\n", "id,title,body\n1,a,b,,\n"])
def test_other_spreadsheets_ways(write, content):
    row = read_reports(write(content))["rows"][0]
    assert (row["id"], row["title"], row["body"]) == ("1", "a", "b")


def test_missing_file_has_the_nearest_name(write, tmp_path):
    write(HEAD, "reports.csv")
    refused(str(tmp_path / "report.csv"), "no such file; did you mean 'reports.csv'", r"report\.csv")
    refused(str(tmp_path / "no" / "such.csv"), "no such file")
    refused(str(tmp_path), "folder")


@pytest.mark.parametrize(("content", "what"), [("", "empty"), ("\n\n", "empty"), (HEAD, "no rows")])
def test_nothing_in_it(write, content, what):
    refused(write(content), what, r"bugs\.csv")


def test_wrong_encodings(write):
    refused(write(HEAD.encode() + "1,a,b\n2,Größe,x\n".encode("cp1252")), r"Byte 24 \(0xf6\)", "line 3", "iconv -f cp1252")
    refused(write((HEAD + "1,a,b\n").encode("utf-16")), "UTF-16", "iconv -f utf-16")
    refused(write((HEAD + "1,a,b\n").encode("utf-16-le")), "null character", "line 1")


@pytest.mark.parametrize(("content", "what"), [(b"PK\x03\x04rest", "Excel"), (b"%PDF-1.7", "PDF"), (b'{"id": 1}', "JSON")])
def test_other_formats(write, content, what):
    refused(write(content), what, "Export it as CSV")


def test_malformed_quotes(write):
    refused(write(HEAD + '1,a,"never closed\n2,b,c\n'), "not well-formed CSV", "line 2", "double quotes")
    refused(write(HEAD + '1,a,b\n2,b,"x"y\n'), "not well-formed CSV", "line 3")


def test_ragged_rows(write):
    refused(write(HEAD + "1,a,b\n2,a\n3,a,b,c\n"), "2 of 3 rows", r"row 2 \(line 3\) has 2 fields", r"row 3 \(line 4\) has 4 fields", "nothing was sent")


def test_missing_columns(write):
    refused(write("id,title,bodi\n1,a,b\n"), "'body'; did you mean 'bodi'", "line 1", "id,title,body")
    refused(write("id,body,body,title\n1,a,b,c\n"), "'body' stands there twice")


def test_rows_that_cannot_be_used(write):
    text = refused(write(HEAD + "1,a,b\n1,c,d\n,e,f\n4,g,\n"), r"row 2 \(line 3\) repeats the id '1' of line 2", "row 3 .* no id", "row 4 .*empty body")
    assert "3 of 4 rows" in text


def test_a_megabyte_in_one_row(write):
    text = "x" * (1024 * 1024)
    refused(write(f"{HEAD}1,a,b\n2,big,{text}\n"), r"row 2 \(line 3\), id '2', has 1,048,579 characters", "at most 20,000")


def test_many_problems_are_counted(write):
    refused(write(HEAD + "".join(f"{n},t,\n" for n in range(20))), "20 of 20 rows", "and 15 more")


def test_project_key_is_checked_before_anything_is_paid(write):
    path = write(HEAD + "1,a,b\n")
    refused(path, "'demo' is no project key", "such as DEMO", project="demo")
    assert read_reports(path, project="DEMO")["count"] == 1
