"""A run's trace: its steps, calls, attempts, waits, retries and fallback hops, one line each on one axis of time."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from hishamos.charts.formats import count, duration, missing, money, state_colour, state_label
from hishamos.charts.palette import ACCENTS
from hishamos.charts.pauses import work_axis
from hishamos.records.calls import Attempt, AttemptStatus
from hishamos.records.runs import Step, StepState

if TYPE_CHECKING:
    import plotly.graph_objects

LABEL = 34
"""Characters of a line's name."""
SHORTEST_S = 0.001
SHORTEST_WAIT_S = 0.02
SHORTEST_SHARE = 1 / 500
"""Of the axis: what is shorter is drawn as long, to be seen and clicked."""
UNITS = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
WAITING = frozenset({StepState.WAITING})
PATIENT = frozenset({"approval", "wait"})
"""Types of steps that do nothing but wait."""


@dataclass(frozen=True)
class Bar:
    """One bar of the trace; what it says stands in ``words``, ready for a page."""

    line: str
    kind: str
    """``step``, ``attempt`` or ``wait``."""
    state: str
    start: datetime
    end: datetime
    words: str
    id: str = ""
    """The attempt's, where it is one."""
    amount: str = ""
    """What it cost, in words; of a step that only waits, how long."""
    works: bool = True
    """Whether something is done in its time; waiting to send a call again counts, waiting for a person or a time does not."""


def trace_bars(steps: Sequence[Step], attempts: Sequence[Attempt], moment: datetime) -> list[Bar]:
    """Return the bars of a trace, line by line from the top; ``moment``: until when what has not ended is drawn.

    A step has a line of its own unless it is one item that asked once; its attempts stand below it, each with the wait before it where its call was sent again.
    """
    of_steps: dict[str | None, list[Attempt]] = {}
    for attempt in attempts:
        of_steps.setdefault(attempt.step_id, []).append(attempt)
    bars: list[Bar] = []
    for step in steps:
        asked = of_steps.pop(step.path, [])
        if step.started_at is not None and (len(asked) != 1 or "[" not in step.path):
            bars.append(_step(step, moment))
        bars += _attempts(asked, moment)
    for asked in of_steps.values():
        bars += _attempts(asked, moment)
    return bars


def trace_figure(bars: Sequence[Bar], *, chosen: str | None = None) -> plotly.graph_objects.Figure:
    """Return the bars over the time since the first of them, long pauses in which nothing works drawn shorter.

    Attempts carry their id as ``customdata``. ``chosen``: the attempt that is marked.
    """
    import plotly.graph_objects as go

    begun, until = min(bar.start for bar in bars), max(bar.end for bar in bars)
    axis = work_axis([(bar.start, bar.end) for bar in bars if bar.works], begun, until)
    whole = axis.at(until)
    least = max(SHORTEST_S, whole * SHORTEST_SHARE)
    unit, name = next((unit, name) for unit, name in UNITS if whole >= 3 * unit or unit == 1)
    places = _places(bars)
    figure = go.Figure()
    for (kind, state), group in groupby(sorted(bars, key=lambda bar: (bar.kind != "step", bar.kind, bar.state)), key=lambda bar: (bar.kind, bar.state)):
        part = list(group)
        figure.add_bar(
            orientation="h",
            y=[places[bar.line] for bar in part],
            x=[max(least, axis.at(bar.end) - axis.at(bar.start)) / unit for bar in part],
            base=[axis.at(bar.start) / unit for bar in part],
            name={"step": f"step {state_label(state)}", "wait": "waits to be sent again"}.get(kind, state_label(state)),
            marker=_look(kind, state, [bar.id == chosen and bool(chosen) for bar in part]),
            width=0.42 if kind == "step" else 0.78,
            text=[bar.amount for bar in part],
            textposition="outside",
            constraintext="none",
            textfont={"size": 11, "color": ACCENTS["muted"]},
            cliponaxis=False,
            hovertext=[bar.words for bar in part],
            hovertemplate="%{hovertext}<extra></extra>",
            customdata=[[bar.id] for bar in part],
        )
    figure.update_layout(
        barmode="overlay",
        bargap=0.2,
        showlegend=False,
        xaxis={"title": f"{name} since the first of these began", "rangemode": "tozero", "fixedrange": True, "side": "bottom"},
        yaxis={
            "tickmode": "array", "tickvals": list(places.values()), "ticktext": [html.escape(_cut(line.partition("\0")[0])) for line in places],
            "range": [len(places) - 0.4, -0.6], "fixedrange": True, "showgrid": False, "tickfont": {"size": 11},
        },
        margin={"l": 0, "r": 70, "t": 4, "b": 0},
        height=max(120, 20 * len(places) + 80),
    )  # fmt: skip
    if axis.pauses:
        values, labels = axis.ticks(until, unit)
        title = f"{name} of work; pauses are drawn shorter"
        figure.update_xaxes(title=title, tickmode="array", tickvals=[value / unit for value in values], ticktext=labels)
        for starts, ends in axis.pauses:
            figure.add_vrect(x0=axis.at(starts) / unit, x1=axis.at(ends) / unit, fillcolor=ACCENTS["muted"], opacity=0.1, line_width=0, layer="below")
    return figure


def trace_words(bars: Sequence[Bar]) -> str:
    """Return a trace in a sentence, for those who can't see it."""
    tries = [bar for bar in bars if bar.kind == "attempt"]
    failed = sum(bar.state == AttemptStatus.FAILED for bar in tries)
    taken = duration((max(bar.end for bar in bars) - min(bar.start for bar in bars)).total_seconds())
    return f"Trace over {taken}: {count(sum(bar.kind == 'step' for bar in bars))} steps, {count(len(tries))} attempts, {count(failed)} of them failed"


def _step(step: Step, moment: datetime) -> Bar:
    assert step.started_at is not None
    end = step.finished_at or moment
    facts = [state_label(step.state), duration((end - step.started_at).total_seconds())]
    facts += [f"{count(step.attempts)} attempts, {money(step.cost_nanos)}"] if step.attempts else []
    facts += [step.error.message] if step.error else [step.waiting_for] if step.waiting_for else []
    words, patient = _words(f"{step.path}, {step.type}", facts), step.type in PATIENT
    amount = duration((end - step.started_at).total_seconds()) if patient else ""
    return Bar(f"{step.path}\0step", "step", step.state.value, step.started_at, max(end, step.started_at), words, amount=amount, works=not patient)


def _attempts(attempts: Sequence[Attempt], moment: datetime) -> Iterator[Bar]:
    calls: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        calls.setdefault(attempt.call_id, []).append(attempt)
    for tries in calls.values():
        before: Attempt | None = None
        for attempt in tries:
            line = _line(attempt, before, alone=len(attempts) == 1)
            if before is not None and (wait := _wait(line, before, attempt)) is not None:
                yield wait
            yield _attempt(line, attempt, before, moment)
            before = attempt


def _line(attempt: Attempt, before: Attempt | None, *, alone: bool) -> str:
    name = attempt.step_id if alone and attempt.step_id else attempt.model.partition("/")[2] or attempt.model
    sign = "" if alone else "⤷ " if before is not None and attempt.hop != before.hop else "↻ " if before is not None else "  "
    return f"{sign}{name}\0{attempt.id}"


def _wait(line: str, before: Attempt, attempt: Attempt) -> Bar | None:
    start = _end(before, attempt.started_at)
    seconds = (attempt.started_at - start).total_seconds()
    if seconds < SHORTEST_WAIT_S:
        return None
    facts = [f"{duration(seconds)} after {before.model} ended with {before.cause or before.status.value}"]
    return Bar(line, "wait", "wait", start, attempt.started_at, _words("Waited", facts))


def _attempt(line: str, attempt: Attempt, before: Attempt | None, moment: datetime) -> Bar:
    state = "offline" if attempt.offline else attempt.status.value
    taken = None if attempt.latency_ms is None else attempt.latency_ms / 1000
    first = "" if attempt.ttft_ms is None else f", first token after {duration(attempt.ttft_ms / 1000)}"
    facts = [state_label(attempt.status.value), *([state_label("offline")] if attempt.offline else []), f"{duration(taken)}{first}"]
    facts.append(f"{count(attempt.input_tokens)} tokens in, {count(attempt.output_tokens)} out")
    sent = attempt.status is AttemptStatus.SENT
    facts.append("offline, free" if attempt.offline else missing() if sent else money(attempt.cost_nanos))
    if attempt.cause:
        facts.append(f"cause: {attempt.cause}")
    if before is not None:
        facts.append(f"fell back from {before.model}" if attempt.hop != before.hop else f"try {attempt.number} of its call")
    facts += [attempt.why] if attempt.why else []
    amount = "" if sent or attempt.offline or attempt.cost_nanos == 0 else money(attempt.cost_nanos)
    end = _end(attempt, moment if sent else attempt.started_at)
    return Bar(line, "attempt", state, attempt.started_at, end, _words(f"{attempt.step_id or 'call'}: {attempt.model}", facts), attempt.id, amount)


def _end(attempt: Attempt, otherwise: datetime) -> datetime:
    if attempt.latency_ms is not None:
        return attempt.started_at + timedelta(milliseconds=attempt.latency_ms)
    return max(attempt.finished_at or otherwise, attempt.started_at)


def _look(kind: str, state: str, chosen: Sequence[bool]) -> dict[str, Any]:
    colour = ACCENTS["muted"] if kind == "wait" else ACCENTS[state_colour(state)]
    look: dict[str, Any] = {"color": colour, "line": {"color": ACCENTS["amber"], "width": [3 if mark else 0 for mark in chosen]}}
    if kind == "wait" or (kind == "step" and state in WAITING):
        look |= {"pattern": {"shape": "/", "fillmode": "replace", "size": 5, "fgcolor": colour, "bgcolor": "rgba(0,0,0,0)"}}
    return look | ({"opacity": 0.45} if kind == "step" else {})


def _places(bars: Sequence[Bar]) -> dict[str, int]:
    """Return the line of each name, from the top."""
    return {line: place for place, line in enumerate(dict.fromkeys(bar.line for bar in bars))}


def _words(head: str, facts: Sequence[str | None]) -> str:
    """Return a head and facts as the markup that a hover shows; what others wrote is text in it."""
    return "<br>".join([f"<b>{html.escape(_cut(head, 80))}</b>", *(html.escape(_cut(fact, 120)) for fact in facts if fact)])


def _cut(text: str, most: int = LABEL) -> str:
    flat = " ".join(text.split()) if not text.startswith(" ") else text
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
