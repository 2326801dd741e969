"""Verbs about money: spend, budgets, balances."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.verbs import Verb, VerbGroup
from hishamos.errors import InvalidInput
from hishamos.records.record import nanos

if TYPE_CHECKING:
    from rich.table import Table

    from hishamos.records.money import Budget, InvoiceCheck

DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command("spend", cls=Verb)
@click.option("--by", default="model", show_default=True, metavar="NAMES", help="Group by these, with commas: model, day, workflow, run_id, …")
@click.option("--since", type=DAY, help="From this day or time (UTC) on.")
@click.option("--until", type=DAY, help="Up to this day or time (UTC).")
@click.option("--run", metavar="RUN", help="Only this run.")
@click.option("--project", metavar="KEY", help="Only this project.")
@pass_face
def spend_verb(face: Face, *, by: str, since: datetime | None, until: datetime | None, run: str | None, project: str | None) -> None:
    """Show the spend, grouped. Offline answers cost nothing and count in no success rate."""
    from hishamos.cli.documents import frame_rows
    from hishamos.cli.tables import spend_table

    groups = [name.strip() for name in by.split(",") if name.strip()]
    with face.open() as workspace:
        one = workspace.runs.get(run).id if run else None
        rows = frame_rows(workspace.ledger.spend(by=groups, since=_utc(since), until=_utc(until), run=one, project=project))
        face.show(rows, lambda: (spend_table(rows, groups),) if rows else ("Nothing was spent, and nothing asked.",))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


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
        )
        for one in budgets
    ]
    columns = ("Budget", "Scope", "Period", "Limit", "Spent", "Reserved", "Used", "Kind")
    return table("Budgets", columns, rows, right=("Limit", "Spent", "Reserved", "Used"))


@budget_verb.command("set")
@click.argument("name")
@click.option("--limit", required=True, metavar="USD", help="The limit, a decimal number.")
@click.option("--scope", default="workspace", show_default=True, help="workspace, project:KEY, user:NAME, workflow:NAME or run.")
@click.option("--period", default="month", show_default=True, type=click.Choice(("day", "month", "total")), help="What the limit is for.")
@click.option("--soft", is_flag=True, help="Warn only; refuse nothing.")
@pass_face
def set_budget(face: Face, *, name: str, limit: str, scope: str, period: Literal["day", "month", "total"], soft: bool) -> None:
    """Create or change a budget."""
    with face.open() as workspace:
        made = workspace.budgets.set(name, limit_usd=limit, scope=scope, period=period, hard=not soft)
        face.show(made, lambda: (_table([made]),))


@budget_verb.command("remove")
@click.argument("name")
@pass_face
def remove_budget(face: Face, name: str) -> None:
    """Remove a budget; the ledger keeps what was spent."""
    with face.open() as workspace:
        workspace.budgets.remove(name)
        face.show({"removed": name}, lambda: (f"Removed {name}.",))


@click.command("reconcile", cls=Verb)
@click.argument("invoice", required=False)
@click.option("--balances", is_flag=True, help="Hold every budget's balance against the sum over the ledger; what it does without an invoice.")
@click.option("--day", metavar="COLUMN", help="The invoice's column with the day, where it has no usual name.")
@click.option("--model", metavar="COLUMN", help="The one with the model.")
@click.option("--usd", metavar="COLUMN", help="The one with the amount in USD.")
@click.option("--timezone", default="UTC", show_default=True, help="Whose days the invoice's are.")
@click.option("--tolerance", default="0.01", show_default=True, metavar="USD", help="A line that differs by no more counts as equal.")
@pass_face
def reconcile_verb(
    face: Face, *, invoice: str | None, balances: bool, day: str | None, model: str | None, usd: str | None, timezone: str, tolerance: str
) -> None:
    """Hold a provider's INVOICE (a CSV file) against the ledger by day and model, or every balance against it. Exit code 1 when something differs."""
    if invoice is not None and balances:
        raise InvalidInput(what="one thing at a time", where="hishamos reconcile", next="Give an invoice, or --balances.")
    if invoice is None:
        _balances(face)
    else:
        _invoice(face, invoice, {"day": day, "model": model, "usd": usd}, timezone, _tolerance(tolerance))


def _balances(face: Face) -> None:
    from hishamos.charts.formats import money
    from hishamos.cli.tables import table

    with face.open() as workspace:
        checks = workspace.ledger.balances()
        rows = [(one.budget, one.period, money(one.balance_nanos), money(one.ledger_nanos), "✓ equal" if one.equal else "✕ differs") for one in checks]
        columns = ("Budget", "Period", "Balance", "Ledger", "")
        face.show(checks, lambda: (table("Balances", columns, rows, right=("Balance", "Ledger")),) if checks else ("No balances yet.",))
    if not all(one.equal for one in checks):
        raise FinishedWith(1)


def _invoice(face: Face, file: str, columns: dict[str, str | None], timezone: str, tolerance: int) -> None:
    from hishamos.charts.formats import money
    from hishamos.cli.invoices import read_invoice
    from hishamos.cli.tables import table

    lines = read_invoice(file, columns)
    with face.open() as workspace:
        checks = workspace.ledger.reconcile(lines, timezone=timezone)
    rows = [
        (one.day.isoformat(), one.model, _amount(one.invoiced_nanos), _amount(one.ledger_nanos), _difference(one, tolerance), _remarks(one)) for one in checks
    ]
    figures = ("Invoice", "Ledger", "Difference")
    different = sum(abs(one.difference_nanos) > tolerance for one in checks)
    sums = f"Invoice {money(sum(one.invoiced_nanos or 0 for one in checks))}, ledger {money(sum(one.ledger_nanos or 0 for one in checks))}."
    words = f"{different} of {len(checks)} lines differ." if different else "All lines agree."
    shown = table("Invoice and ledger", ("Day", "Model", *figures, ""), rows, right=figures)
    face.show([_document(one) for one in checks], lambda: (shown,), then=f"{sums} {words}")
    if different:
        raise FinishedWith(1)


def _amount(nanos: int | None) -> str:
    from hishamos.charts.formats import missing, money

    return missing() if nanos is None else money(nanos)


def _difference(check: InvoiceCheck, tolerance: int) -> str:
    from hishamos.charts.formats import money

    if abs(check.difference_nanos) <= tolerance:
        return "✓ equal"
    return ("-" if check.difference_nanos < 0 else "+") + money(abs(check.difference_nanos))


def _remarks(check: InvoiceCheck) -> str:
    """Say what usually explains a difference."""
    from hishamos.charts.formats import money

    parts = [f"on the invoice as {', '.join(check.named)}"] if check.named else []
    parts += ["not on the invoice"] if check.invoiced_nanos is None else []
    parts += ["not in the ledger"] if check.ledger_nanos is None else []
    parts += [f"{check.estimated} estimated, {money(check.estimated_nanos)}"] if check.estimated else []
    parts += [f"{check.unpriced} unpriced"] if check.unpriced else []
    return "; ".join(parts)


def _document(check: InvoiceCheck) -> dict[str, object]:
    return {**check.model_dump(mode="json"), "difference_nanos": check.difference_nanos}


def _tolerance(text: str) -> int:
    try:
        found = nanos(Decimal(text))
    except (InvalidOperation, ValueError):
        found = -1
    if found < 0:
        raise InvalidInput(what=f"{text!r} is no tolerance", where="--tolerance", next="Give a decimal number of USD, 0 or more.")
    return found
