"""The verb that shows who changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hishamos.cli.face import Face, pass_face
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from rich.table import Table

    from hishamos.records.audit import AuditEntry


@click.command("audit", cls=Verb)
@click.option("--action", metavar="NAME", help="Only this action, such as ledger.reprice.")
@click.option("--subject", metavar="NAME", help="Only what was done to this: a model, an attempt, a budget.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="At most this many.")
@pass_face
def audit_verb(face: Face, *, action: str | None, subject: str | None, limit: int) -> None:
    """List who changed what, newest first."""
    with face.open() as workspace:
        found = workspace.audit.list(action=action, subject=subject, limit=limit)
        face.show(found, lambda: (_table(found),) if found else ("No entry: nobody has corrected the ledger or changed a budget.",))


def _table(entries: list[AuditEntry]) -> Table:
    from hishamos.charts.formats import clock, count, exact_usd, missing
    from hishamos.cli.tables import table

    rows = [
        (clock(one.happened_at), one.actor, one.action, one.subject, one.value_before or missing(), one.value_after or missing(),
         count(one.attempts), exact_usd(one.added_nanos) or missing())
        for one in entries
    ]  # fmt: skip
    columns = ("When (UTC)", "Who", "Action", "Subject", "Before", "After", "Attempts", "Added USD")
    return table("Audit", columns, rows, right=columns[6:])
