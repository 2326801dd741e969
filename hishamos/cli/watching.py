"""A run while it goes on: drawn in place on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hishamos.charts.formats import count, duration, outlook, state_label
from hishamos.charts.pace import pace, rows_told
from hishamos.cli.face import WAITS, Face

if TYPE_CHECKING:
    from hishamos.records.runs import Run, RunEvent
    from hishamos.workspace import Workspace

LOOK_EVERY_S = 0.25
LINE_EVERY_S = 5.0


def watch(face: Face, workspace: Workspace, run: str, *, each: Any = None, since: datetime | None = None) -> Run:
    """Show a run's progress until it ends, waits for a person or is paused, and return it as it then is.

    ``each``: called with every event; left out, the events only move the progress. ``since``: earlier events are history and not shown.
    """
    with _progress(face) as progress:
        looked = 0.0
        for event in workspace.runs.follow(run):
            if each is not None:
                each(event)
            if since is None or event.happened_at >= since:
                progress.event(event)
            if time.monotonic() - looked >= LOOK_EVERY_S:
                progress.look(workspace.runs.get(run))
                looked = time.monotonic()
            if event.kind == "run" and event.state == "paused" and workspace.runs.get(run).state == "paused":
                break
        current = workspace.runs.wait(run)
        progress.look(current)
    for warning in reversed(workspace.budgets.warnings(run=run)):
        if since is None or warning.passed_at >= since:
            face.say(f"! {warning.message}")
    return current


def outcome(run: Run) -> str:
    """Return a run's end in one line: sign, word, spend, time."""
    from hishamos.cli.tables import run_state, seconds, spend

    parts = [f"{run.name}  {run_state(run)}", spend(run.cost_nanos, run.unpriced, offline=run.offline)]
    taken = seconds(run)
    if taken is not None:
        parts.append(duration(taken))
    return "  ".join(parts)


def next_commands(run: Run, waiting: list[str]) -> list[str]:
    """Return what to type next. ``waiting``: the paths of the run's steps that wait for approval."""
    if run.state == "waiting":
        events = re.findall(r"event (\S+) \(step", run.waiting_for or "")
        decide = [f"hishamos approve {run.id} {path}" for path in waiting]
        return [*decide, *(f"hishamos signal {run.id} {name}" for name in events)] or [f"hishamos show {run.id}"]
    if run.state in {"paused", "failed", "cancelled"}:
        return [f"hishamos show {run.id}", f"hishamos resume {run.id}"]
    if run.state == "succeeded":
        return [f"hishamos show {run.id}"]
    return [f"hishamos follow {run.id}"]


def exit_code(run: Run) -> int:
    """Return 0 for a run that succeeded or goes on, 1 for one that failed or was cancelled, 3 for one that waits."""
    if run.state in {"failed", "cancelled"}:
        return 1
    return WAITS if run.state in {"waiting", "paused"} else 0


class _Lines:
    """Progress where nothing can be redrawn: a line when a step changes its state, and now and then a count."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._began = self._last = time.monotonic()

    def event(self, event: RunEvent) -> None:
        if event.kind == "step" and event.path and "[" not in event.path:
            message = f"  {event.message}" if event.message else ""
            self._face.say(f"{event.path}  {state_label(event.state or '')}{message}")

    def look(self, run: Run) -> None:
        from hishamos.cli.tables import spend

        if not run.ended and time.monotonic() - self._last >= LINE_EVERY_S:
            self._last = time.monotonic()
            if run.kind == "map":
                self._face.say(f"{run.name}  {pace(run, time.monotonic() - self._began)}")
                return
            parts = [f"{count(run.steps_done)} / {count(run.steps_total)}", outlook(run.progress, run.left_s, run.left_nanos)]
            parts.append(spend(run.cost_nanos, run.unpriced, offline=run.offline))
            self._face.say("  ".join([run.name, *(one for one in parts if one)]))


class _Bar:
    """Progress redrawn in place: steps, spend, rows a second, time and money left."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None, spend="", rate="", left="")
        self._step = ""
        self._began = time.monotonic()

    def event(self, event: RunEvent) -> None:
        if event.kind == "step" and event.path and event.state == "running":
            self._step = event.path.partition("[")[0]

    def look(self, run: Run) -> None:
        from hishamos.cli.tables import spend

        taken = time.monotonic() - self._began
        unit = "rows" if run.kind == "map" else "steps"
        rate = f"{run.steps_done / taken:.1f} {unit}/s" if run.steps_done and taken > 1 else ""
        if run.reused and run.kind == "map":
            rate = f"{rate}  {rows_told(run)}".strip()
        self._progress.update(
            self._task,
            description=f"{run.name}  {state_label(run.state)}" + (f"  {self._step}" if self._step and not run.ended else ""),
            total=run.steps_total or None,
            completed=run.steps_done,
            spend=spend(run.cost_nanos, run.unpriced, offline=run.offline) if run.attempts else "",
            rate=rate,
            left="" if run.ended or run.left_s is None else outlook(None, run.left_s, run.left_nanos),
        )


@contextmanager
def _progress(face: Face) -> Iterator[_Lines | _Bar]:
    if not face.live:
        yield _Lines(face)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[spend]}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=face.console(stderr=True), transient=True) as progress:
        yield _Bar(progress)


@contextmanager
def waiting(face: Face, words: str) -> Iterator[None]:
    """Show that a call is under way."""
    if not face.live:
        yield
        return
    from rich.text import Text

    with face.console(stderr=True).status(Text(words)):
        yield
