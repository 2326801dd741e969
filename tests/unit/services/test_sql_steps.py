"""The step type ``sql`` on both stores: the safe path of ``ws.sql``, bound parameters, files of the workspace."""

from __future__ import annotations

import pytest

from hishamos.composition import open_in_process
from hishamos.errors import InvalidDefinition, UnsafeSql
from hishamos.records import actors

FLOW = "name: flow\ndescription: Asks.\ninputs: {{v: {{type: object, optional: true}}}}\nsteps:\n  - id: q\n    type: sql\n    with:\n{}\noutputs: {{o: '{{{{ steps.q.output }}}}'}}\n"


@pytest.fixture(params=["duckdb", "postgres"])
def ws(request, tmp_path):
    (tmp_path / "ws" / "workflows").mkdir(parents=True)
    store = ":memory:" if request.param == "duckdb" else request.getfixturevalue("postgres_url")
    with open_in_process(tmp_path / "ws", store=store) as workspace:
        yield workspace


def flow(ws, lines):
    from pathlib import Path

    (Path(ws.root) / "workflows" / "flow.yaml").write_text(FLOW.format("\n".join(f"      {line}" for line in lines)))


def asked(ws, *lines, v=None):
    flow(ws, lines)
    return ws.workflows.start("flow", {"v": v} if v is not None else {}).wait(30)


def test_rows_are_plain_data_and_bounded(ws):
    run = asked(ws, "query: select r.name as name, r.created_at as at_time, e.seq as seq, 1.5 as x from events e join runs r on r.id = e.run_id", "limit: 1")
    assert run.state == "succeeded", run.error
    (row,) = run.outputs["o"]["rows"]
    assert row["name"] == "flow"
    assert row["at_time"][:2] == "20"
    assert float(row["x"]) == 1.5
    assert run.outputs["o"]["truncated"] is True


@pytest.mark.parametrize("value", ["x' or '1'='1", "Amal; drop table journal_runs", "100%", "$v", 7, 2.5, True, None])
def test_values_are_bound_and_never_part_of_the_statement(ws, value):
    run = asked(ws, "query: select $v as v, '$v' as text, 5 % 3 as rest", "parameters: {v: '{{ inputs.v.v }}'}", v={"v": value})
    assert run.state == "succeeded", run.error
    assert run.outputs["o"]["rows"] == [{"v": value, "text": "$v", "rest": 2}]


def test_a_limit_may_be_bound(ws):
    assert len(ws.sql("select seq from events limit $n", parameters={"n": 0})) == 0
    assert list(ws.sql("select $a || $b as t", parameters={"a": "x", "b": "y"})["t"]) == ["xy"]


@pytest.mark.parametrize(
    ("statement", "parameters", "said"),
    [
        ("select $a as x", {}, "parameter \\$a has no value"),
        ("select 1 as x", {"a": 1}, "no parameter \\$a"),
        ("select $a as x", {"a": [1]}, "is a list"),
        ("select * from journal_runs where id = $a", {"a": "x"}, "journal_runs"),
        ("delete from journal_runs where id = $a", {"a": "x"}, "refused"),
        ("select 1 as x; select $a as y", {"a": 1}, "refused"),
        ("select repeat('x', $a) as x", {"a": 10**9}, "refused"),
        ("select $a as x) as answer; drop table journal_runs; --", {"a": 1}, "refused"),
    ],
)
def test_the_same_refusals_as_without_parameters(ws, statement, parameters, said):
    if "repeat" in statement and ws.queries._service.machinery.store.dialect == "postgres":
        pytest.skip("PostgreSQL is bounded by the server's own limits")
    with pytest.raises(UnsafeSql, match=said):
        ws.sql(statement, parameters=parameters)


def test_a_statement_that_is_refused_fails_the_step(ws):
    run = asked(ws, "query: select * from journal_steps")
    assert run.state == "failed"
    assert "journal_steps" in run.error.message


def test_the_runs_actor_needs_the_permission(ws, monkeypatch):
    monkeypatch.setitem(actors.ROLES, "owner", frozenset({"runs.read", "runs.write", "workflows.read"}))
    run = asked(ws, "query: select 1 as x")
    assert run.state == "failed"
    assert "'sql'" in run.error.message


def test_a_file_of_the_workspace(ws, tmp_path):
    (tmp_path / "ws" / "queries").mkdir()
    (tmp_path / "ws" / "queries" / "one.sql").write_text("select $n + 1 as n -- one more\n")
    run = asked(ws, "file: queries/one.sql", "parameters: {n: 1}")
    assert run.outputs["o"]["rows"] == [{"n": 2}]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["file: ../out.sql"], "no path inside"),
        (["file: /etc/hosts"], "no path inside"),
        (["file: link.sql"], "symbolic link"),
        (["file: folder/out.sql"], "symbolic link"),
        (["file: none.sql"], "there is no file"),
        (["file: hishamos.toml"], "there is no file"),
        (["file: '{{ inputs.v }}'"], "takes no template"),
        (["query: select '{{ inputs.v }}' as x"], "takes no template"),
        (["query: select 1", "file: one.sql"], "one of them"),
        (["limit: 5"], "one of them"),
        (["query: select 1", "limit: 0"], "greater"),
        (["query: select 1", "qery: x"], "did you mean 'query'"),
        (["query: select 1", "parameters: {x: [1]}"], "parameters"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line_when_it_is_loaded(tmp_path, lines, said):
    root = tmp_path / "ws"
    (root / "workflows").mkdir(parents=True)
    (tmp_path / "out.sql").write_text("select 1")
    (root / "link.sql").symlink_to(tmp_path / "out.sql")
    (root / "folder").symlink_to(tmp_path)
    (root / "hishamos.toml").write_text("")
    with open_in_process(root) as ws:
        flow(ws, lines)
        with pytest.raises(InvalidDefinition, match=said) as refused:
            ws.workflows.get("flow")
        assert "flow.yaml:" in refused.value.where


def test_a_link_that_is_put_there_later_is_not_followed(ws, tmp_path):
    (tmp_path / "ws" / "one.sql").write_text("select 1 as n")
    flow(ws, ["file: one.sql"])
    assert ws.workflows.get("flow")
    (tmp_path / "out.sql").write_text("select 2 as n")
    (tmp_path / "ws" / "one.sql").unlink()
    (tmp_path / "ws" / "one.sql").symlink_to(tmp_path / "out.sql")
    run = ws.workflows.start("flow").wait(30)
    assert run.state == "failed"
    assert "symbolic link" in run.error.message
