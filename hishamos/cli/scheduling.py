"""Verbs about schedules: workflows started by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import Face, pass_face
from hishamos.cli.values import inputs_option, parse_inputs, tag_option
from hishamos.cli.verbs import VerbGroup
from hishamos.records.own_tags import tag_words
from hishamos.records.schedules import MISSED, OVERLAPS, Missed, Overlap

if TYPE_CHECKING:
    from datetime import datetime

    from rich.table import Table

    from hishamos.records.schedules import Schedule, ScheduleTime

SHOWN_TIMES = 20


@click.group("schedule", cls=VerbGroup, invoke_without_command=True)
@click.pass_context
def schedule_verb(context: click.Context) -> None:
    """List schedules; add, show, pause, resume, remove or run one."""
    if context.invoked_subcommand is not None:
        return
    face: Face = context.obj
    with face.open() as workspace:
        found = workspace.schedules.list()
        then = "" if found else 'Next: hishamos schedule add NAME WORKFLOW "0 7 * * mon-fri"'
        face.show(found, lambda: (_table(found),) if found else ("No schedules: nothing is started by the clock.",), then=then)


@schedule_verb.command("add")
@click.argument("name")
@click.argument("workflow")
@click.argument("cron")
@inputs_option
@click.option("--timezone", metavar="NAME", help="Whose clock CRON goes by: Europe/Berlin, UTC, … Left out: the workspace's.")
@click.option("--model", metavar="NAME", help="A model, route or policy instead of the definitions' own.")
@click.option("--budget", metavar="USD", help="A hard limit on each run.")
@click.option("--project", metavar="KEY", help="The project that the runs belong to.")
@click.option("--missed", type=click.Choice(MISSED), default="once", show_default=True, help="Times at which no server ran: no run, one, or one for each.")
@click.option(
    "--overlap", type=click.Choice(OVERLAPS), default="skip", show_default=True, help="When the last run has not ended: no run, one after it, or one at once."
)
@click.option("--paused", is_flag=True, help="Start nothing before it is resumed.")
@tag_option
@pass_face
def add_schedule(
    face: Face,
    *,
    name: str,
    workflow: str,
    cron: str,
    inputs: tuple[str, ...],
    timezone: str | None,
    model: str | None,
    budget: str | None,
    project: str | None,
    missed: Missed,
    overlap: Overlap,
    paused: bool,
) -> None:
    """Have WORKFLOW started at the times of CRON: minute, hour, day, month, weekday ("0 7 * * mon-fri"), or @hourly, @daily, @weekly."""
    with face.open() as workspace:
        definition = workspace.workflows.get(workflow)
        values = parse_inputs(inputs, definition.inputs, of=f"workflow {definition.name}", root=workspace.root)
        terms = {"timezone": timezone, "model": model, "budget_usd": budget, "project": project}
        made = workspace.schedules.create(name, workflow, cron, inputs=values, missed=missed, overlap=overlap, paused=paused, **terms)
        _show(face, made, workspace.root)


@schedule_verb.command("show")
@click.argument("name")
@pass_face
def show_schedule(face: Face, *, name: str) -> None:
    """Show one schedule: its terms, its next times, what came of the last ones."""
    from hishamos.cli.documents import plain

    with face.open() as workspace:
        one, times = workspace.schedules.get(name), workspace.schedules.times(name, limit=SHOWN_TIMES)
        if face.json:
            face.emit({**plain(one), "times": plain(times)})
            return
        face.show(one, lambda: (_facts(one), *(("", _times(one, times)) if times else ())))


@schedule_verb.command("pause")
@click.argument("name")
@pass_face
def pause_schedule(face: Face, *, name: str) -> None:
    """Start nothing until it is resumed."""
    with face.open() as workspace:
        paused = workspace.schedules.pause(name)
        face.show(paused, lambda: (_table([paused]),), then=f"Next: hishamos schedule resume {name}")


@schedule_verb.command("resume")
@click.argument("name")
@pass_face
def resume_schedule(face: Face, *, name: str) -> None:
    """Go on with the next time from now."""
    with face.open() as workspace:
        _show(face, workspace.schedules.resume(name), workspace.root)


@schedule_verb.command("remove")
@click.argument("name")
@pass_face
def remove_schedule(face: Face, *, name: str) -> None:
    """Remove a schedule; its runs stay."""
    with face.open() as workspace:
        workspace.schedules.remove(name)
        face.show({"removed": name}, lambda: (f"Removed {name}.",))


@schedule_verb.command("run")
@click.argument("name")
@pass_face
def run_schedule(face: Face, *, name: str) -> None:
    """Start its workflow now, beside its times."""
    from hishamos.cli.watching import outcome

    with face.open() as workspace:
        run = workspace.schedules.run(name)
        face.show(run, lambda: (outcome(run),), then=f"Next: hishamos follow {run.id}")


def _show(face: Face, schedule: Schedule, root: str) -> None:
    from pathlib import Path

    from hishamos.contracts.units import unit

    kept = unit(Path(root)).installed
    then = "" if kept or not schedule.enabled else "It is kept as long as the server runs. After a restart of the machine too: hishamos serve --install"
    face.show(schedule, lambda: (_table([schedule]),), then=then)


def _table(schedules: list[Schedule]) -> Table:
    from hishamos.charts.formats import state_label
    from hishamos.cli.tables import table

    rows = [
        (one.name, one.workflow, f"{one.cron} {one.timezone}", state_label("ready" if one.enabled else "paused"), _next(one), one.last_run or "–", one.problem)
        for one in schedules
    ]
    return table("Schedules", ("Schedule", "Workflow", "Times", "State", "Next", "Last run", "Note"), rows)


def _facts(one: Schedule) -> Table:
    from hishamos.charts.formats import money, state_label
    from hishamos.cli.tables import facts

    return facts(
        [
            ("Schedule", one.name),
            ("Workflow", one.workflow),
            ("Times", f"{one.cron} {one.timezone}"),
            ("State", state_label("ready" if one.enabled else "paused")),
            ("Next", "\n".join(_when(moment, one.timezone) for moment in one.upcoming) or None),
            ("Inputs", ", ".join(f"{name}={value}" for name, value in one.inputs.items())),
            ("Model", one.model),
            ("Project", one.project),
            ("Budget", None if one.budget_nanos is None else f"{money(one.budget_nanos)} a run"),
            ("Missed times", one.missed),
            ("Overlap", one.overlap),
            ("Waiting", f"{one.waiting} until the last run has ended" if one.waiting else None),
            ("Tags", tag_words(one.own_tags)),
            ("Made by", one.user_name),
            ("Note", one.problem or None),
        ]
    )


def _times(one: Schedule, times: list[ScheduleTime]) -> Table:
    from hishamos.cli.tables import table

    rows = [(_when(time.due_at, one.timezone, ago=False), time.outcome, time.run_id or "–", time.note) for time in times]
    return table("Last times", ("Due", "Came to", "Run", "Note"), rows)


def _next(one: Schedule) -> str:
    return _when(one.next_at, one.timezone) if one.next_at else "–"


def _when(moment: datetime, timezone: str, *, ago: bool = True) -> Any:
    """Return a time by its own clock, and how long it is until then: ``2 Dec 07:00 Europe/Berlin, in 3 d``."""
    from zoneinfo import ZoneInfo

    from hishamos.charts.formats import ahead, clock

    words = f"{clock(moment.astimezone(ZoneInfo(timezone)))} {timezone}"
    return f"{words}, {ahead(moment)}" if ago else words
