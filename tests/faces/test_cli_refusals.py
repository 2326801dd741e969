"""Bad input: each refusal says what, where and what next, exits 2, shows no traceback, and leaves nothing behind."""

from __future__ import annotations

import json
import shlex

import pytest

OFFLINE = ("--model", "offline/extractive")

LINES = [
    (("rnu",), 2, ["no verb 'rnu'", "did you mean 'run'"]),
    (("run",), 2, ["WORKFLOW"]),
    (("run", "triage_bug"), 2, ["no workflow named 'triage_bug'", "did you mean 'triage_bugs'"]),
    (("run", "triage_bugs", "-i", "fiel=x.csv"), 2, ["no input named 'fiel'", "did you mean 'file'"]),
    (("run", "triage_bugs", "-i", "file"), 2, ["KEY=VALUE"]),
    (("run", "triage_bugs", *OFFLINE), 2, ["file"]),
    (("run", "triage_bugs", "-i", "file=missing.csv", *OFFLINE), 2, ["missing.csv", "does not exist"]),
    (("run", "triage_bugs", "-i", "file=ok.csv", "-i", "publish=maybe", *OFFLINE), 2, ["publish", "ask"]),
    (("command", "clasify_bug", "-i", "text=x"), 2, ["no command named 'clasify_bug'", "did you mean 'classify_bug'"]),
    (("command", "classify_bug", "-i", "txt=x"), 2, ["no input named 'txt'", "did you mean 'text'"]),
    (("command", "classify_bug", "-i", "components=ui", "-i", "text=x"), 2, ["no list", "JSON"]),
    (("command", "classify_bug", "-i", "text=x", "--model", "offline/extractiv"), 2, ["offline/extractiv", "did you mean"]),
    (("command", "classify_bug", "-i", "text=x", "--model", "gpt-4.1-mini"), 2, ["gpt-4.1-mini", "/gpt-4.1-mini'?"]),
    (("command", "lost", "-i", "text=x"), 2, ["no route named 'chepest'", "did you mean 'cheapest'"]),
    (("map", "ok.csv", "lost", "--columns", "text=body"), 2, ["no route named 'chepest'", "did you mean 'cheapest'"]),
    (("command", "classify_bug", "-i", "text=x", "-i", "components=[]", *OFFLINE), 2, ["no answer can satisfy the schema", "its enum is empty"]),
    (("map", "ok.csv", "classify_bug", "--columns", "text=body", "--budget", "-1", *OFFLINE), 2, ["'-1' is no amount of money"]),
    (("map", "ok.csv", "classify_bug", "--columns", "text=body", "--concurrency", "-1", *OFFLINE), 2, ["-1"]),
    (("budget", "set", "b", "--limit", "-5"), 2, ["-5"]),
    (("ask", "bug-triag", "x"), 2, ["no agent named 'bug-triag'", "did you mean 'bug-triage'"]),
    (("show", "ZZZZZZ"), 2, ["ZZZZZZ"]),
    (("results", "ZZZZZZ"), 2, ["no result named"]),
    (("issues", "NONE-1"), 2, ["no issue named"]),
    (("runs", "--stat", "failed"), 2, ["--state"]),
    (("budget", "set", "b", "--limit", "much"), 2, ["much"]),
    (("sql", "delete from runs"), 2, ["refused"]),
    (("sql", "select * from private.users"), 2, ["refused"]),
    (("map", "missing.csv", "classify_bug"), 2, ["missing.csv", "does not exist"]),
    (("map", "empty.csv", "classify_bug"), 2, ["empty.csv", "is empty"]),
    (("map", "malformed.csv", "classify_bug"), 2, ["malformed.csv", "line 3"]),
    (("map", "latin.csv", "classify_bug"), 2, ["latin.csv", "UTF-8", "line 2"]),
    (("map", "ok.csv", "classify_bug", "--columns", "text=bdy", *OFFLINE), 2, ["bdy", "did you mean 'body'"]),
    (("map", "ok.csv", "classify_bug", "--columns", "txt=body", *OFFLINE), 2, ["txt", "did you mean 'text'"]),
    (("map", "ok.csv", "classify_bug", *OFFLINE), 2, ["no column for the parameter 'text'"]),
    (("map", "ok.csv", "classify_bug", *OFFLINE, "--columns", "text=body", "--out", "."), 2, [". is a folder (--out)"]),
    (("map", "ok.csv", "classify_bug", *OFFLINE, "--columns", "text=body", "--out", "commands"), 2, ["commands is a folder (--out)"]),
    (("map", "ok.csv", "classify_bug", *OFFLINE, "--columns", "text=body", "--out", "x.parquet"), 2, ["x.parquet does not end in .csv (--out)"]),
    (("map", "ok.csv", "classify_bug", *OFFLINE, "--columns", "text=body", "--out", "nodir/x.csv"), 2, ["folder nodir does not exist (--out)"]),
    (("batch", "nothing.ipynb", "--rows", "ok.csv"), 2, ["nothing.ipynb", "does not exist"]),
    (("batch", "ok.csv", "--rows", "ok.csv"), 2, ["no notebook"]),
]


@pytest.fixture(scope="module")
def files(terminal):
    terminal.file("ok.csv", "id,title,body\n1,a,b\n")
    terminal.file("empty.csv", "")
    lost = terminal.file(
        "commands/lost.yaml",
        "name: lost\ndescription: Names a model that is nothing.\nmodel: chepest\nparameters:\n  text: {type: text}\ntemplate: '{{ text }}'\n",
    )
    terminal.file("malformed.csv", "id,body\n1,a\n2,b,c\n")
    terminal.file("latin.csv", "id,body\n1,café\n".encode("latin-1"))
    yield terminal
    (terminal.folder / lost).unlink()


@pytest.mark.parametrize(("line", "code", "words"), LINES, ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "")
def test_a_bad_line_is_refused_in_words(files, line, code, words):
    done = files.type(*line)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr, done.stderr


def test_a_place_for_answers_that_can_not_be_written_costs_nothing(files):
    asked = files.json("sql", "select count(*) as n from attempts")
    for out in (".", "commands", "x.parquet", "nodir/x.csv"):
        files.json("map", "ok.csv", "classify_bug", "--columns", "text=body", "--out", out, *OFFLINE, code=2)
    assert files.json("sql", "select count(*) as n from attempts") == asked
    assert files.json("map", "ok.csv", "classify_bug", "--columns", "text=body", "--out", "ANSWERS.CSV", *OFFLINE)["states"] == {"succeeded": 1}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty", b"", ["empty.csv", "empty"]),
        ("malformed", b'id,title,body\n1,"never closed\n', ["malformed.csv"]),
        ("latin", "id,title,body\n1,a,caf\u00e9\n".encode("latin-1"), ["latin.csv", "UTF-8"]),
        ("columns", b"id,text\n1,a\n", ["columns.csv", "title"]),
    ],
)
def test_a_bad_file_fails_the_triage_in_words(files, name, data, words):
    files.file(f"{name}.csv", data)
    document = files.json("run", "triage_bugs", "-i", f"file={name}.csv", "-i", "publish=yes", "-i", "project=BAD", *OFFLINE, code=1)
    assert document["state"] == "failed"
    for word in words:
        assert word in document["error"]["message"], document["error"]
    assert files.json("issues", "--project", "BAD") == []


@pytest.mark.usefixtures("real_processes")
def test_a_refusal_with_json_is_one_document_too(files):
    done = files.type("run", "triage_bug", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["type"] == "UnknownName"
    assert "did you mean" in done.stderr
    unparsed = files.type("rnu", "--json")
    assert json.loads(unparsed.stdout)["error"]["message"]


def test_without_a_provider_the_exact_line_is_printed_and_it_works(files):
    done = files.type("command", "classify_bug", "-i", "text=The app crashes on save")
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr
    line = "hishamos command classify_bug -i 'text=The app crashes on save' --model offline/extractive"
    assert line in done.stderr
    again = files.type(*shlex.split(line)[1:])
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[provider.openai]\nkind = "openai"\n', ["[provider]", "did you mean 'providers'"]),
        ('[workspace]\nstor = "x"\n', ["stor", "did you mean 'store'"]),
        ('[providers.openai]\napi_key = "sk-live-0123456789abcdefghij"\n', ["api_key", "env:"]),
        ("[workspace\n", ["TOML"]),
        ("workspace = 3\n", ["[workspace] must be a table", "line 1"]),
        ('[providers.openai]\nkind = "opnai"\n', ["'opnai' is no kind of provider", "did you mean 'openai'"]),
        ('[routes.default]\nmodels = ["opnai/gpt-4.1-mini"]\n', ["opnai"]),
    ],
)
def test_a_bad_configuration_is_refused_with_file_and_remedy(own_terminal, text, words):
    own_terminal.file("hishamos.toml", text)
    done = own_terminal.type("runs")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert "hishamos.toml" in done.stderr
    assert "sk-live" not in done.stdout + done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
