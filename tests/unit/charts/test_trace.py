"""A run's trace: each step and attempt has its line, waits, retries and hops are told, and nobody's words are markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hishamos.charts.trace import trace_bars, trace_figure, trace_words
from hishamos.charts.usage import axis_word, month_end, rates_figure, times_figure, tokens_figure
from hishamos.records.calls import Attempt, AttemptStatus
from hishamos.records.runs import Step, StepState

BEGUN = datetime(2026, 11, 23, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=seconds)


def attempt(identity: str, call: str, seconds: float, **facts: Any) -> Attempt:
    given: dict[str, Any] = {
        "provider": "toy", "model": "toy/a", "status": AttemptStatus.SUCCEEDED, "latency_ms": 1000, "cost_nanos": 7_000_000, "input_tokens": 5,
        "output_tokens": 6, "step_id": "ask",
    }  # fmt: skip
    return Attempt(id=identity, call_id=call, idempotency_key=identity, started_at=at(seconds), **(given | facts))


def step(path: str, start: float, end: float | None, **facts: Any) -> Step:
    given: dict[str, Any] = {"type": "command", "state": StepState.SUCCEEDED if end else StepState.RUNNING}
    return Step(run_id="R", path=path, started_at=at(start), finished_at=at(end) if end else None, **(given | facts))


ATTEMPTS = [
    attempt("A1", "C1", 0, status=AttemptStatus.FAILED, cause="rate_limit", cost_nanos=0),
    attempt("A2", "C1", 3, status=AttemptStatus.FAILED, cause="<b>timeout</b>", cost_nanos=0, number=2),
    attempt("A3", "C1", 4, model="house/b", number=3, hop=1, cost_nanos=None, ttft_ms=250),
    attempt("A4", "C2", 6, status=AttemptStatus.SENT, latency_ms=None, cost_nanos=None, step_id="items[0]"),
]
STEPS = [step("ask", 0, 5), step("items", 5, None, type="map"), step("items[0]", 6, None), step("later", 7, 9, type="wait", state=StepState.WAITING)]


def test_steps_attempts_waits_retries_and_hops_have_their_lines() -> None:
    bars = trace_bars(STEPS, ATTEMPTS, at(10))
    told = [(bar.kind, bar.line.partition("\0")[0], (bar.start - BEGUN).total_seconds(), (bar.end - BEGUN).total_seconds()) for bar in bars]
    assert told == [
        ("step", "ask", 0, 5),
        ("attempt", "  a", 0, 1),
        ("wait", "↻ a", 1, 3),
        ("attempt", "↻ a", 3, 4),
        ("attempt", "⤷ b", 4, 5),
        ("step", "items", 5, 10),
        ("attempt", "items[0]", 6, 10),
        ("step", "later", 7, 9),
    ], "an item that asked once is one line; what goes on is drawn until now"
    words = {bar.id: bar.words for bar in bars if bar.id}
    assert "cause: rate_limit" in words["A1"]
    assert "try 2 of its call" in words["A2"]
    assert "&lt;b&gt;timeout" in words["A2"]
    assert "fell back from toy/a" in words["A3"]
    assert "unpriced" in words["A3"]
    assert "first token after 250 ms" in words["A3"]
    assert "after toy/a ended with rate_limit" in next(bar.words for bar in bars if bar.kind == "wait")
    assert trace_words(bars) == "Trace over 10.0 s: 3 steps, 4 attempts, 2 of them failed"


def test_the_figure_has_every_bar_once_and_marks_the_chosen_attempt() -> None:
    bars = trace_bars(STEPS, ATTEMPTS, at(10))
    figure = trace_figure(bars, chosen="A3")
    assert sum(len(trace.x) for trace in figure.data) == len(bars)
    identities = [point[0] for trace in figure.data for point in trace.customdata if point[0]]
    assert sorted(identities) == ["A1", "A2", "A3", "A4"]
    marked = [width for trace in figure.data for width in trace.marker.line.width]
    assert sorted(marked)[-2:] == [0, 3]
    assert [trace.marker.pattern.shape for trace in figure.data if trace.name.startswith(("waits", "step ◷"))] == ["/", "/"]


def spend_rows(count: int) -> Any:
    import pandas as pd

    row = {
        "attempts": 10, "offline": 2, "failed": 1, "retried": 2, "fell_back": 0, "cached": 3, "input_tokens": 100, "cached_tokens": 30,
        "cache_write_tokens": 10, "output_tokens": 50, "reasoning_tokens": 20, "cost_nanos": 1_000, "p50_ms": 500.0, "p95_ms": None, "ttft_p50_ms": 90.0,
        "ttft_p95_ms": 99.0,
    }  # fmt: skip
    return pd.DataFrame([{"day": f"2026-11-{number:02}", **row} for number in range(1, count + 1)])


def test_kinds_of_tokens_add_up_and_rates_leave_out_what_is_in_none() -> None:
    tokens = tokens_figure(spend_rows(3), by="day")
    assert [sum(values) for values in zip(*(trace.y for trace in tokens.data), strict=True)] == [150, 150, 150]
    rates = {trace.name: trace.y[0] for trace in rates_figure(spend_rows(1), by="day").data}
    assert rates == {"failed": 20.0, "retried": 40.0, "fell back": 0.0, "cached": 37.5}, "of 5 that were asked; the cache's of 8"
    times = {trace.name: trace.y[0] for trace in times_figure(spend_rows(1), by="day").data}
    assert times["answer, p50"] == 0.5
    assert times["answer, p95"] is None


def test_a_month_goes_on_as_its_last_two_weeks_did() -> None:
    starts, today, ends = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 21, 12, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    assert month_end(spend_rows(21), starts, today, ends) == 21_000 + 9_500
    assert month_end(spend_rows(13), starts, today, ends) == 13_000 + round(1_000 * 7 / 14 * 9.5), "days without an attempt count"
    assert month_end(spend_rows(0), starts, today, ends) is None
    assert [axis_word(place) for place in ("2026-11-03", "2026-11-03 14:00", "2026-11", "gpt-4.1-ab")] == ["3 Nov", "14:00", "Nov 2026", "gpt-4.1-ab"]


def test_a_day_of_waiting_for_a_person_does_not_squeeze_the_work() -> None:
    steps = [step("ask", 0, 5), step("gate", 5, 86_405, type="approval"), step("tell", 86_405, 86_410)]
    figure = trace_figure(trace_bars(steps, [], at(86_410)))
    placed = {text: (base, length) for trace in figure.data for text, base, length in zip(trace.hovertext, trace.base, trace.x, strict=True)}
    (ask,), (gate,), (tell,) = ([place for words, place in placed.items() if words.startswith(f"<b>{name}")] for name in ("ask", "gate", "tell"))
    assert [*ask, *gate, *tell] == pytest.approx([0, 5, 5, 0.8, 5.8, 5])
    assert "24 h 0 min" in [text for trace in figure.data for text in trace.text]
    assert "of work" in figure.layout.xaxis.title.text
