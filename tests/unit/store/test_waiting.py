"""Which statements may run before the inserts that wait for their commit's end."""

from __future__ import annotations

import pytest

from hishamos.store.connectors.waiting import MOST, Reach, WaitingInserts, reach, shape, together
from hishamos.store.statements import statements

INSERT = "insert into notes (id, text) values ($id, $text)"
VIEWS = {"everything"}


def waiting() -> WaitingInserts:
    found = WaitingInserts(lambda name: name not in VIEWS)
    assert found.add(INSERT, {"id": 1, "text": "a"})
    return found


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("select * from notes", None),
        ("select * from everything where id = $id", {"id": 9}),
        ("select text from notes where id = $id", {"id": 1}),
        ("select text from notes where id = $id or text = 'a'", {"id": 9}),
        ("select text from notes where text = $text and id in (select id from others)", {"text": "b"}),
        ("select n.text from notes n join others o on o.id = n.id where o.id = $id", {"id": 9}),
        ("select text from notes where lower(text) = $text", {"text": "b"}),
        ("update notes set text = $text where id = $id", {"id": 1, "text": "b"}),
        ("update others set text = (select text from notes) where id = $id", {"id": 9}),
        ("delete from notes", None),
        ("insert into others (id) select id from notes", None),
        ("insert into notes (id, text) values ($id, $text) on conflict (id) do nothing", {"id": 9, "text": "b"}),
        ("with n as (select 1) select * from others where id = $id", {"id": 9}),
    ],
)
def test_what_could_see_a_waiting_row_has_it_written_first(sql, parameters):
    found = waiting()
    assert list(found.due(sql, parameters)) == [(INSERT, [{"id": 1, "text": "a"}])]
    assert list(found.due()) == []


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("select text from notes where id = $other", {"other": 2}),
        ("select text from notes where id = $id and text = $text order by id limit 1", {"id": 2, "text": "a"}),
        ("select * from others where id = $id", {"id": 1}),
        ("update notes set text = $text where id = $id", {"id": 2, "text": "b"}),
        ("update others set text = $text where id = $id and text <> 'x'", {"id": 1, "text": "b"}),
        ("delete from notes where id = $id", {"id": 2}),
        ("insert into others (id) values ($id)", {"id": 1}),
        (INSERT, {"id": 2, "text": "b"}),
    ],
)
def test_what_can_not_see_it_does_not_wait(sql, parameters):
    found = waiting()
    assert list(found.due(sql, parameters)) == []
    assert list(found.due()) == [(INSERT, [{"id": 1, "text": "a"}])]


def test_only_plain_inserts_wait():
    found = WaitingInserts(lambda name: True)
    assert not found.add("insert into notes (id) select $id", {"id": 1})
    assert not found.add("update notes set id = $id", {"id": 1})
    assert shape("insert into t (a, b, c) values ($a, lower($b), 'sent')").columns == {"a": "a"}


def test_many_rows_become_one_statement_with_a_list_for_each_parameter():
    sql = "insert into t (a, b, c) values ($a, 'sent', $c)"
    rows = [{"a": number, "c": None, "more": 1} for number in range(3)]
    assert together(sql, rows) == [("insert into t (a, b, c) select unnest($a), 'sent', unnest($c)", {"a": [0, 1, 2], "c": [None, None, None]})]
    assert together(sql, rows[:1]) == [(sql, rows[0])]
    assert len(together(sql, rows * MOST)) == 3
    lowered = "insert into t (a, b) values ($a, lower($b))"
    assert together(lowered, [{"a": 1, "b": "X"}, {"a": 2, "b": "Y"}])[0][0] == "insert into t (a, b) values ($a_0, lower($b_0)), ($a_1, lower($b_1))"
    with pytest.raises(ValueError, match=r"\$c was not given"):
        together(sql, [{"a": 1}, {"a": 2}])


def test_a_column_filled_by_an_expression_counts_as_seen():
    found = WaitingInserts(lambda name: True)
    found.add("insert into notes (id, text) values (nextval('n'), $text)", {"text": "a"})
    assert list(found.due("select * from notes where id = $id", {"id": 7}))


def test_the_ledgers_own_statements_are_understood():
    sql = statements("ledger")
    assert reach(sql["call_by_key"]) == Reach("ledger_calls", "key", "key")
    assert reach(sql["insert_call"]) == Reach("ledger_calls")
    assert reach(sql["any_balance"]) is None
