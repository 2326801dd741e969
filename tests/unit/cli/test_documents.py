"""JSON documents: integers stay integers, decimals are strings, times ISO 8601 UTC, missing is null."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pandas as pd
import pytest

from hishamos.cli.documents import frame_rows, plain
from hishamos.records.calls import AttemptStatus, CommandResult
from hishamos.records.definitions import CommandDefinition, StepDefinition
from hishamos.records.money import Budget


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (12_345_678_901_234_567, 12_345_678_901_234_567),
        (True, True),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (Decimal("0E-9"), "0"),
        (Decimal("0.039100000"), "0.0391"),
        (Decimal("1E+3"), "1000"),
        (Decimal("NaN"), None),
        (AttemptStatus.SENT, "sent"),
        (datetime(2026, 11, 23, 14, 5, tzinfo=UTC), "2026-11-23T14:05:00Z"),
        (datetime(2026, 11, 23, 14, 5, tzinfo=timezone(timedelta(hours=2))), "2026-11-23T12:05:00Z"),
        (date(2026, 11, 23), "2026-11-23"),
        ((1, {"a": Decimal("1.10")}), [1, {"a": "1.1"}]),
    ],
)
def test_values(value, written):
    assert plain(value) == written
    assert type(plain(value)) is type(written)


def test_a_records_document_has_its_exact_money_and_its_label():
    document = plain(CommandResult(output={"a": 1}, text="x", model="offline/extractive", cost_nanos=39_100_000))
    assert document["cost_nanos"] == 39_100_000
    assert document["cost_usd"] == "0.0391"
    assert document["offline"] is True
    assert plain(CommandResult(output="", text="", model="a/b", cost_nanos=None))["cost_usd"] is None
    assert plain(Budget(name="m", scope="workspace", period="month", limit_nanos=10**9))["limit_usd"] == "1"


def test_definitions_carry_their_version_and_plain_field_names():
    document = plain(CommandDefinition(name="a", description="b", template="c"))
    assert document["version"] == CommandDefinition(name="a", description="b", template="c").version
    assert plain(StepDefinition(id="a", type="command"))["with"] == {}


def test_a_frames_rows_keep_integers_beside_gaps():
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "x": [0.5, None], "t": pd.to_datetime(["2026-11-23T14:05Z", None]), "s": ["a", None]})
    rows = plain(frame_rows(frame))
    assert rows == [{"n": 1, "x": 0.5, "t": "2026-11-23T14:05:00Z", "s": "a"}, {"n": None, "x": None, "t": None, "s": None}]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert plain(frame_rows(pd.DataFrame({"l": [[1, None], []]}))) == [{"l": [1, None]}, {"l": []}]
