"""Verbs about money: spend, budgets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import click

from hishamos.cli.face import Face, pass_face
from hishamos.cli.moments import DAY, utc
from hishamos.cli.verbs import Verb, VerbGroup

if TYPE_CHECKING:
    from rich.table import Table

    from hishamos.records.money import Budget


@click.command("spend", cls=Verb)
@click.option("--by", default="model", show_default=True, metavar="NAMES", help="Group by these, with commas: model, day, workflow, notebook, tag:NAME, …")
@click.option("--since", type=DAY, help="From this day or time (UTC) on.")
@click.option("--until", type=DAY, help="Up to this day or time (UTC).")
@click.option("--run", metavar="RUN", help="Only this run.")
@click.option("--project", metavar="KEY", help="Only this project.")
@click.option("--only", multiple=True, metavar="NAME=VALUE", help="Only what has this value: provider=openai, tag:customer=acme; nothing after = for none.")
@pass_face
def spend_verb(face: Face, *, by: str, since: datetime | None, until: datetime | None, run: str | None, project: str | None, only: tuple[str, ...]) -> None:
    """Show the spend, grouped. Offline answers cost nothing and count in no success rate."""
    from hishamos.cli.documents import frame_rows
    from hishamos.cli.tables import spend_table

    groups = [name.strip() for name in by.split(",") if name.strip()]
    with face.open() as workspace:
        one = workspace.runs.get(run).id if run else None
        chosen = {name.strip(): value or None for name, _, value in (part.partition("=") for part in only)}
        rows = frame_rows(workspace.ledger.spend(by=groups, since=utc(since), until=utc(until), run=one, project=project, only=chosen))
        face.show(rows, lambda: (spend_table(rows, groups),) if rows else ("Nothing was spent, and nothing asked.",))


@click.group("budget", cls=VerbGroup, invoke_without_command=True)
@click.pass_context
def budget_verb(context: click.Context) -> None:
    """List budgets with their balance, set or remove one."""
    if context.invoked_subcommand is not None:
        return
    face: Face = context.obj
    with face.open() as workspace:
        found = workspace.budgets.list()
        then = "" if found else "Next: hishamos budget set month --limit 50"
        face.show(found, lambda: (_table(found),) if found else ("No budgets: nothing limits the spend.",), then=then)


def _table(budgets: list[Budget]) -> Table:
    from hishamos.charts.formats import money, share
    from hishamos.cli.tables import table

    rows = [
        (
            one.name,
            one.scope,
            one.period,
            money(one.limit_nanos),
            money(one.committed_nanos),
            money(one.reserved_nanos),
            share(one.committed_nanos, one.limit_nanos),
            ("closed by an overrun" if one.closed else "hard") if one.hard or one.closed else "warns only",
            _warned(one),
        )
        for one in budgets
    ]
    columns = ("Budget", "Scope", "Period", "Limit", "Spent", "Reserved", "Used", "Kind", "Warned (UTC)")
    return table("Budgets", columns, rows, right=("Limit", "Spent", "Reserved", "Used"))


def _warned(budget: Budget) -> str:
    """Name the shares that were passed in this period; of a budget on every run only the latest."""
    from hishamos.charts.formats import clock, share

    shown = budget.warnings[-1:] if budget.scope == "run" else budget.warnings
    return ", ".join(f"{share(float(one.share), 1)} {clock(one.passed_at)}" for one in shown)


@budget_verb.command("set")
@click.argument("name")
@click.option("--limit", required=True, metavar="USD", help="The limit, a decimal number.")
@click.option("--scope", default="workspace", show_default=True, help="workspace, project:KEY, user:NAME, workflow:NAME or run.")
@click.option("--period", default="month", show_default=True, type=click.Choice(("day", "month", "total")), help="What the limit is for.")
@click.option("--soft", is_flag=True, help="Warn only, at the whole limit; refuse nothing.")
@click.option("--warn-at", metavar="SHARES", default="", help="Warn when these shares of the limit are passed, with commas: 0.5,0.8")
@pass_face
def set_budget(face: Face, *, name: str, limit: str, scope: str, period: Literal["day", "month", "total"], soft: bool, warn_at: str) -> None:
    """Create or change a budget."""
    with face.open() as workspace:
        shares = [share.strip() for share in warn_at.split(",") if share.strip()]
        made = workspace.budgets.set(name, limit_usd=limit, scope=scope, period=period, hard=not soft, warn_at=shares)
        face.show(made, lambda: (_table([made]),))


@budget_verb.command("remove")
@click.argument("name")
@pass_face
def remove_budget(face: Face, name: str) -> None:
    """Remove a budget; the ledger keeps what was spent."""
    with face.open() as workspace:
        workspace.budgets.remove(name)
        face.show({"removed": name}, lambda: (f"Removed {name}.",))
