"""Verbs that start runs and steer them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import INTERRUPTED, Face, FinishedWith, pass_face
from hishamos.cli.foretelling import show_forecast
from hishamos.cli.values import inputs_option, parse_inputs, tag_option
from hishamos.cli.verbs import Verb
from hishamos.errors import InvalidInput

if TYPE_CHECKING:
    from hishamos.records.runs import Run
    from hishamos.workspace import Workspace


def wait_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb ``--wait/--no-wait``."""
    return click.option("--wait/--no-wait", default=True, help="Watch the run until it ends or waits (default), or return at once.")(command)


@click.command("run", cls=Verb)
@click.argument("workflow")
@inputs_option
@click.option("--model", metavar="NAME", help="A model, route or policy instead of the definitions' own.")
@click.option("--budget", metavar="USD", help="A hard limit on this run.")
@click.option("--project", metavar="KEY", help="The project that the run belongs to.")
@click.option("--priority", type=click.IntRange(0, 9), default=5, show_default=True, help="Of the runs that wait for a place, 9 is taken first.")
@click.option("--deadline", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="The run fails when it is not done by then.")
@click.option("--forecast", is_flag=True, help="Say what it will cost, and start nothing.")
@tag_option
@wait_option
@pass_face
def run_verb(
    face: Face,
    *,
    workflow: str,
    inputs: tuple[str, ...],
    model: str | None,
    budget: str | None,
    project: str | None,
    priority: int,
    deadline: float | None,
    forecast: bool,
    wait: bool,
) -> None:
    """Start a workflow and watch it. Ctrl-C cancels the run. WORKFLOW: a name, or a notebook whose cells are tagged as steps (step:NAME)."""
    with face.open() as workspace:
        notebook = workflow.endswith(".ipynb")
        if notebook and forecast:
            raise click.UsageError("A forecast needs a name: save the notebook's workflow first, ws.workflows.save(ws.workflows.from_notebook(…)).")
        definition = workspace.workflows.from_notebook(workflow) if notebook else workspace.workflows.get(workflow)
        values = parse_inputs(inputs, definition.inputs, of=f"workflow {definition.name}", root=workspace.root)
        if forecast:
            show_forecast(face, workspace.workflows.forecast(workflow, values, model=model))
            return
        start = partial(workspace.workflows.start, definition if notebook else workflow, values, model=model, budget_usd=budget, project=project)
        run = start(priority=priority, deadline_s=deadline)
        face.say(f"Run {run.id} in {workspace.root}")
        if wait:
            run = watched(face, workspace, run, cancel=True)
        finish(face, workspace, run)


def watched(face: Face, workspace: Workspace, run: Run, *, cancel: bool = False, since: datetime | None = None) -> Run:
    """Watch a run; an interrupt cancels it, or only stops watching. ``since``: events before are not shown."""
    from hishamos.cli.watching import watch

    try:
        return watch(face, workspace, run.id, since=since)
    except KeyboardInterrupt:
        if cancel:
            cancelled = workspace.runs.cancel(run.id)
            face.say(f"Cancelled. Go on later with: hishamos resume {run.id}")
            if face.json:
                face.emit(cancelled)
        else:
            detached(face, run)
        raise FinishedWith(INTERRUPTED) from None


def detached(face: Face, run: Run) -> None:
    """Say that the run goes on without this terminal."""
    face.say(f"Detached; the run goes on in the server. Watch it again: hishamos follow {run.id}")
    if face.json:
        face.emit(run)


def finish(face: Face, workspace: Workspace, run: Run) -> None:
    """Show how a run stands, name the next command, and end with the run's exit code."""
    from hishamos.cli.documents import plain
    from hishamos.cli.watching import exit_code, next_commands, outcome

    waiting = [step.path for step in workspace.runs.approvals() if step.run_id == run.id] if run.state == "waiting" else []
    then = next_commands(run, waiting)
    if face.json:
        face.emit({**plain(run), "next": then})
    else:
        face.show(run, lambda: (outcome(run), *_failure(run)), then="Next: " + "\n      ".join(then))
    raise FinishedWith(exit_code(run))


def _failure(run: Run) -> list[str]:
    return [f"✕ {run.error.message}"] if run.error else []


@click.command("follow", cls=Verb)
@click.argument("run")
@pass_face
def follow_verb(face: Face, *, run: str) -> None:
    """Stream a run's events until it ends or waits for a person. Ctrl-C only stops following.

    With --json one object a line: the events.
    """
    from hishamos.cli.watching import exit_code, next_commands, outcome, watch

    with face.open() as workspace:
        found = workspace.runs.get(run)
        try:
            current = watch(face, workspace, found.id, each=face.emit if face.json else None)
        except KeyboardInterrupt:
            face.say(f"Detached; the run goes on in the server. Watch it again: hishamos follow {found.id}")
            raise FinishedWith(INTERRUPTED) from None
        waiting = [step.path for step in workspace.runs.approvals() if step.run_id == found.id]
        if not face.json:
            face.show(current, lambda: (outcome(current), *_failure(current)))
        face.say("Next: " + "\n      ".join(next_commands(current, waiting)))
        raise FinishedWith(exit_code(current))


@click.command("resume", cls=Verb)
@click.argument("run")
@click.option("--from", "from_step", metavar="STEP", help="Do this step and what comes after it again, though they have ended.")
@wait_option
@pass_face
def resume_verb(face: Face, *, run: str, from_step: str | None, wait: bool) -> None:
    """Go on with a run that is paused, failed, cancelled or lost its server; finished steps are not repeated."""
    from hishamos.records.record import now

    with face.open() as workspace:
        since = now()
        current = workspace.runs.resume(run, from_step=from_step)
        if wait:
            current = watched(face, workspace, current, since=since)
        finish(face, workspace, current)


@click.command("fork", cls=Verb)
@click.argument("run")
@click.option("--from", "from_step", required=True, metavar="STEP", help="The first step that is done again.")
@inputs_option
@click.option("--model", metavar="NAME", help="A model, route or policy instead of the old run's.")
@click.option("--budget", metavar="USD", help="A hard limit on the new run.")
@click.option("--current", is_flag=True, help="Take the workflow as it is now, not as the old run kept it.")
@tag_option
@wait_option
@pass_face
def fork_verb(face: Face, *, run: str, from_step: str, inputs: tuple[str, ...], model: str | None, budget: str | None, current: bool, wait: bool) -> None:
    """Start a new run from a step of an old one; what stands before it is neither done nor paid again. Ctrl-C cancels the new run."""
    with face.open() as workspace:
        changes: dict[str, Any] = {name: value for name, value in (("model", model), ("budget_usd", budget)) if value is not None}
        if current:
            changes["definition"] = "current"
        if inputs:
            definition = workspace.workflows.get(workspace.runs.get(run).name)
            changes["inputs"] = parse_inputs(inputs, definition.inputs, of=f"workflow {definition.name}", root=workspace.root)
        made = workspace.runs.fork(run, from_step, changes)
        face.say(f"Run {made.id} in {workspace.root}")
        if wait:
            made = watched(face, workspace, made, cancel=True)
        finish(face, workspace, made)


@click.command("pause", cls=Verb)
@click.argument("run")
@pass_face
def pause_verb(face: Face, *, run: str) -> None:
    """Stop a run before its next step or call."""
    from hishamos.cli.watching import outcome

    with face.open() as workspace:
        current = workspace.runs.pause(run)
        face.show(current, lambda: (outcome(current),), then=f"Next: hishamos resume {current.id}")


@click.command("cancel", cls=Verb)
@click.argument("run")
@pass_face
def cancel_verb(face: Face, *, run: str) -> None:
    """Cancel a run and the calls it has under way."""
    from hishamos.cli.watching import outcome

    with face.open() as workspace:
        current = workspace.runs.cancel(run)
        face.show(current, lambda: (outcome(current),), then=f"Next: hishamos show {current.id}")


@click.command("approve", cls=Verb)
@click.argument("run")
@click.argument("step")
@click.option("--reject", is_flag=True, help="Decide against it.")
@click.option("--comment", default="", metavar="TEXT", help="Why; kept with the decision.")
@wait_option
@pass_face
def approve_verb(face: Face, *, run: str, step: str, reject: bool, comment: str, wait: bool) -> None:
    """Decide on a step that waits for approval, and watch the run go on."""
    from hishamos.records.record import now

    with face.open() as workspace:
        since = now()
        current = workspace.runs.approve(run, step, decision="reject" if reject else "approve", comment=comment)
        if wait:
            current = watched(face, workspace, current, since=since)
        if reject:
            _rejected(face, current)
        finish(face, workspace, current)


@click.command("signal", cls=Verb)
@click.argument("run")
@click.argument("name")
@click.option("--data", metavar="JSON", help="What the waiting step gives as its output's data.")
@wait_option
@pass_face
def signal_verb(face: Face, *, run: str, name: str, data: str | None, wait: bool) -> None:
    """Set an event that a run waits for, or will wait for, and watch the run go on."""
    from hishamos.records.record import now

    with face.open() as workspace:
        since = now()
        current = workspace.runs.signal(run, name, _json(data))
        if wait:
            current = watched(face, workspace, current, since=since)
        finish(face, workspace, current)


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(what=f"--data is no JSON: {error}", where="signal", next="Write, for example, --data '{\"ok\": true}'.") from None


def _rejected(face: Face, run: Run) -> None:
    """Show a run that was rejected: the decision was carried out, so the verb succeeded."""
    from hishamos.cli.watching import outcome

    face.show(run, lambda: (outcome(run),), then=f"Next: hishamos show {run.id}")
    raise FinishedWith(0)
