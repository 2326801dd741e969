"""``$name`` parameters: what is one, what only looks like one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hishamos.store.connectors.parameters import CHUNK, chosen, many_values, names, percent_style, plain_row

TEXTS = [
    ("select $a, $b, $a", ("a", "b"), "select %(a)s, %(b)s, %(a)s"),
    ("select $a::text", ("a",), "select %(a)s::text"),
    ("select $a||$b", ("a", "b"), "select %(a)s||%(b)s"),
    ("select 'costs $a' where x = $b", ("b",), "select 'costs $a' where x = %(b)s"),
    ("select 'it''s $a', $b", ("b",), "select 'it''s $a', %(b)s"),
    ('select "$a" from t', (), 'select "$a" from t'),
    ('select "say ""$a""", $b', ("b",), 'select "say ""$a""", %(b)s'),
    ("select 1 -- not $a\n, $b", ("b",), "select 1 -- not $a\n, %(b)s"),
    ("select /* not $a\n nor $c */ $b", ("b",), "select /* not $a\n nor $c */ %(b)s"),
    ("select $$ no $a $$, $b", ("b",), "select $$ no $a $$, %(b)s"),
    ("select $tag$ no $a, $$ neither $tag$, $b", ("b",), "select $tag$ no $a, $$ neither $tag$, %(b)s"),
    ("select 5 % 2, '100%', $a", ("a",), "select 5 %% 2, '100%%', %(a)s"),
    ("select x like '%s' -- 5%", (), "select x like '%%s' -- 5%%"),
    ("select foo$bar, $a", ("a",), "select foo$bar, %(a)s"),
    ("select $1", (), "select $1"),
]


@pytest.mark.parametrize(("text", "found", "percent"), TEXTS, ids=[text for text, _, _ in TEXTS])
def test_parameters_are_found_outside_of_strings_and_comments(text, found, percent):
    assert names(text) == found
    assert percent_style(text) == percent


def test_only_named_values_are_chosen():
    assert chosen("select $a", {"a": 1, "b": 2}) == {"a": 1}
    assert chosen("select 1", None) == {}


def test_a_missing_value_is_named_with_its_statement():
    with pytest.raises(ValueError, match=r"\$b was not given: select \$a, \$b"):
        chosen("select $a,\n   $b", {"a": 1})


def test_many_rows_become_few_statements():
    rows = [{"a": number, "b": "x"} for number in range(CHUNK * 2 + 1)]
    found = many_values("insert into t (a, b) values ($a, lower($b)) on conflict do nothing", rows)
    assert [len(values) for _, values in found] == [CHUNK * 2, CHUNK * 2, 2]
    assert found[-1] == ("insert into t (a, b) values ($a_0, lower($b_0)) on conflict do nothing", {"a_0": CHUNK * 2, "b_0": "x"})


def test_no_rows_are_no_statement():
    assert many_values("insert into t values ($a)", []) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("insert into t select $a", "takes an insert with one values"),
        ("insert into t (a) values ($a) on conflict (a) do update set a = $c", "only in values"),
        ("insert into t (a) values ($z)", r"\$z was not given"),
    ],
)
def test_what_is_no_insert_of_rows_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        many_values(text, [{"a": 1, "c": 2}])


def test_times_come_in_utc_and_other_values_as_they_are():
    east = timezone(timedelta(hours=3))
    row = plain_row(["a", "b", "c"], [datetime(2026, 1, 1, 3, tzinfo=east), datetime(2026, 1, 1), None])  # noqa: DTZ001 - a column without a zone stays one
    assert row == {"a": datetime(2026, 1, 1, tzinfo=UTC), "b": datetime(2026, 1, 1), "c": None}  # noqa: DTZ001
    assert row["a"].tzinfo is UTC
