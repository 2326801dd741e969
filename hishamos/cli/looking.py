"""Verbs that only look: runs, one run, providers, the doctor, SQL."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.moments import DAY, utc
from hishamos.cli.picturing import draw_picture, picture_option
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hishamos.records.forecasts import Forecast
    from hishamos.records.runs import Run, Step
    from hishamos.records.workspaces import ProviderStatus

STATES = ("queued", "running", "paused", "waiting", "succeeded", "failed", "cancelled")
SHOWN_STEPS = 40


@click.command("runs", cls=Verb)
@click.option("--state", type=click.Choice(STATES), help="Only runs in this state.")
@click.option("--kind", type=click.Choice(("workflow", "map", "batch")), help="Only runs of this kind.")
@click.option("--name", metavar="NAME", help="Only runs of this workflow, command or notebook.")
@click.option("--project", metavar="KEY", help="Only runs of this project.")
@click.option("--user", metavar="NAME", help="Only runs that this person started.")
@click.option("--since", type=DAY, help="Only runs from this day or time (UTC) on.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="At most so many.")
@pass_face
def runs_verb(face: Face, /, *, state: str | None, kind: str | None, since: datetime | None, limit: int, **wanted: str | None) -> None:
    """List runs, newest first."""
    from hishamos.cli.tables import runs_table
    from hishamos.records.runs import RunKind, RunState

    with face.open() as workspace:
        found = workspace.runs.list(state=RunState(state) if state else None, kind=RunKind(kind) if kind else None, since=utc(since), limit=limit, **wanted)
        empty = "No runs yet. Start one: hishamos demo"
        face.show(found, lambda: (runs_table(found),) if found else (empty,), then=f"Next: hishamos show {found[0].id}" if found else "")


@click.command("show", cls=Verb)
@click.argument("run")
@click.option("--attempts", is_flag=True, help="Show every attempt at a provider too.")
@picture_option
@pass_face
def show_verb(face: Face, *, run: str, attempts: bool, picture: str | None) -> None:
    """Show one run: its steps, attempts at providers, results."""
    from hishamos.cli.documents import plain

    with face.open() as workspace:
        if picture is not None:
            draw_picture(face, picture, partial(workspace.runs.picture, run))
            return
        found = workspace.runs.get(run)
        steps = workspace.runs.steps(found.id)
        calls = workspace.runs.calls(found.id) if attempts or face.json else []
        results, forecast = workspace.results.list(run=found.id), workspace.runs.forecast(found.id)
        if face.json:
            face.emit({**plain(found), "forecast": plain(forecast), "steps": plain(steps), "attempts": plain(calls), "results": plain(results)})
            return
        face.show(found, lambda: _run_parts(found, steps, calls, results, forecast))


def _run_parts(run: Run, steps: list[Step], calls: list[Any], results: list[Any], forecast: Forecast | None) -> list[Any]:
    from hishamos.charts.formats import clock, count, duration, outlook
    from hishamos.charts.ranges import compared_words
    from hishamos.cli.tables import attempts_table, facts, results_table, run_state, seconds, spend, state, steps_table
    from hishamos.records.own_tags import tag_words

    parts: list[Any] = [
        facts(
            [
                ("Run", run.id),
                (run.kind.value.capitalize(), f"{run.name}@{run.version[:12]}"),
                ("State", run_state(run)),
                ("Where", "kernel: it calls functions of the notebook or script that started it" if run.where == "kernel" else None),
                ("Error", run.error.message if run.error else None),
                ("Spend", spend(run.cost_nanos, run.unpriced, offline=run.offline)),
                ("Forecast", forecast and compared_words(forecast, run)),
                ("Answers", state("offline") if run.offline else None),
                ("Steps", f"{count(run.steps_done)} / {count(run.steps_total)}"),
                ("Progress", None if run.ended else outlook(run.progress, run.left_s, run.left_nanos)),
                ("Calls", f"{count(run.calls)}, {count(run.attempts)} attempts"),
                ("Time", duration(seconds(run))),
                ("Started", f"{clock(run.created_at)} UTC"),
                ("From", _origin(run)),
                ("Tags", tag_words(run.own_tags)),
                ("Repeats", run.repeats),
                ("Inputs", ", ".join(f"{name}={value}" for name, value in run.inputs.items())),
            ]
        )
    ]
    top = [step for step in steps if "[" not in step.path]
    bad = [step for step in steps if "[" in step.path and step.state in {"failed", "timed_out"}]
    parts += ["", steps_table(top, offline=run.offline)] if top else []
    parts += ["", f"Items that failed ({len(bad)}):", steps_table(bad[:SHOWN_STEPS], offline=run.offline)] if bad else []
    parts += ["", attempts_table(calls)] if calls else []
    parts += ["", results_table(results)] if results else []
    return parts


def _origin(run: Run) -> str | None:
    """Return in words which notebook started a run, if one did."""
    if run.origin is None or run.origin.execution is None:
        return None
    cell = f", cell {run.origin.cell}" if run.origin.cell else ""
    commit = f", commit {run.origin.git_commit[:12]}" if run.origin.git_commit else ""
    return f"{run.origin.notebook or 'a notebook'}{cell}{commit}"


@click.command("providers", cls=Verb)
@click.option("--test", metavar="NAME", help="Make one tiny call to this provider or model, and show what came of it.")
@pass_face
def providers_verb(face: Face, *, test: str | None) -> None:
    """List the providers that are configured or found, and how they did in the last 24 hours."""
    from hishamos.cli.asking import show_answer
    from hishamos.cli.watching import waiting

    with face.open() as workspace:
        if test is not None:
            with waiting(face, f"asking {test}"):
                answer = workspace.providers.test(test)
            show_answer(face, answer)
            return
        found = workspace.providers.list()
        face.show(found, lambda: _providers(found))


def _providers(found: Sequence[ProviderStatus]) -> list[Any]:
    from hishamos.charts.formats import count, duration, missing, money
    from hishamos.cli.tables import state, table

    def seconds(milliseconds: float | None) -> str:
        return duration(None if milliseconds is None else milliseconds / 1000)

    figures = ("Attempts", "Failed", "p50", "p95", "First piece", "Spend")
    rows = [
        (
            one.name,
            state(one.state),
            one.key or missing(),
            ", ".join(model.partition("/")[2] for model in one.models) or missing(),
            count(one.attempts),
            count(one.failed),
            seconds(one.p50_ms),
            seconds(one.p95_ms),
            seconds(one.ttft_ms),
            "offline" if one.kind == "offline" else money(one.cost_nanos),
        )
        for one in found
    ]
    notes = [f"{one.name}: {one.advice}" for one in found if one.advice]
    notes += [f"{one.name} is not sent: {', '.join(one.hides)}" for one in found if one.hides]
    notes += [f"{one.name}, last error: {one.last_error}" for one in found if one.last_error]
    return [table("Providers, last 24 hours", ("Provider", "State", "Key", "Models", *figures), rows, right=figures), *([""] if notes else []), *notes]


@click.command("doctor", cls=Verb)
@click.option("--no-network", is_flag=True, help="Look at what is configured only; no provider is asked for the list of its models.")
@pass_face
def doctor_verb(face: Face, *, no_network: bool) -> None:
    """Say what was found, what works and what to do next. Nothing is paid. Exit code 1 when something is wrong."""
    signs = {"ok": "✓", "note": "·", "problem": "✕"}
    with face.open() as workspace:
        findings = workspace.providers.diagnose(network=not no_network)
        face.show(findings, lambda: (f"{signs[one.state]} {one.subject}: {one.found}" + (f"\n    {one.advice}" if one.advice else "") for one in findings))
    if any(one.state == "problem" for one in findings):
        raise FinishedWith(1)


@click.command("sql", cls=Verb)
@click.argument("statement")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="At most so many rows.")
@click.option("--timeout", default=30.0, show_default=True, metavar="SECONDS", help="At most so long.")
@pass_face
def sql_verb(face: Face, *, statement: str, limit: int, timeout: float) -> None:
    """Run one SELECT over the views runs, steps, attempts, results, issues, events, budgets. STATEMENT - reads it from standard input."""
    from hishamos.cli.documents import frame_rows
    from hishamos.cli.tables import rows_table

    text = sys.stdin.read() if statement == "-" else statement
    with face.open() as workspace, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        answer = workspace.sql(text, limit=limit, timeout_s=timeout)
        if "truncated" in answer.attrs:
            face.say(f"These are the first {limit} rows, there are more: raise --limit, or narrow the statement.")
        rows = frame_rows(answer)
        face.show(rows, lambda: (rows_table(rows),) if rows else ("No rows.",))
