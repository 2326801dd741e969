"""The verb that does a run again and says what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.running import wait_option, watched
from hishamos.cli.values import tag_option
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from hishamos.records.run_comparisons import RunComparison


@click.command("repeat", cls=Verb)
@click.argument("run")
@click.option("--accept-changes", is_flag=True, help="Take files as they are now, though they were others then.")
@tag_option
@wait_option
@pass_face
def repeat_verb(face: Face, *, run: str, accept_changes: bool, wait: bool) -> None:
    """Do a run again and say what differs: files, models, prices, outputs, cost, time. All is asked and paid anew. Ctrl-C cancels the new run."""
    from hishamos.charts.comparison_lines import changes
    from hishamos.cli.watching import exit_code

    with face.open() as workspace:
        comparison = workspace.runs.repeat(run, accept_changes=accept_changes)
        face.say(f"Run {comparison.id} repeats {comparison.before.id} in {workspace.root}")
        for line in changes(comparison):
            face.say(f"! {line}")
        current = workspace.runs.get(comparison.id)
        if wait:
            current = watched(face, workspace, current, cancel=True)
            comparison = workspace.runs.compare(current.id)
        face.show(comparison, lambda: _parts(comparison), then=f"Next: hishamos {'show' if current.ended else 'follow'} {current.id}")
        raise FinishedWith(exit_code(current))


def _parts(comparison: RunComparison) -> list[Any]:
    from hishamos.charts.comparison_lines import changes, outputs, sides, steps, verdict
    from hishamos.cli.tables import table

    parts: list[Any] = [table(f"{comparison.after.name}: {verdict(comparison)}", ("", "Before", "Now"), sides(comparison))]
    for title, lines in (("Changed", changes(comparison)), ("Steps that differ", steps(comparison)), ("Outputs", outputs(comparison))):
        told = list(lines)
        parts += ["", title, *(f"  {line}" for line in told)] if told else []
    return parts
