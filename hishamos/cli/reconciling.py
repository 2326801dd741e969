"""The verb that holds the books against one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.values import parse_columns
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hishamos.records.invoices import InvoiceDifference, Reconciliation
    from hishamos.records.money import BalanceCheck


@click.command("reconcile", cls=Verb)
@click.argument("invoice", required=False, metavar="[INVOICE.csv]")
@click.option("--balances", is_flag=True, help="Hold every budget's balance against the sums over the ledger (what it does without a file).")
@click.option("--columns", multiple=True, metavar="WHAT=COLUMN", help="Which column holds the day, provider, model, amount, … where its name is unusual.")
@click.option("--provider", metavar="NAME", help="Whose invoice it is, as in the ledger; left out, as the file says.")
@click.option("--timezone", metavar="ZONE", help="Whose days the invoice has; left out, the workspace's. Providers mostly bill by UTC.")
@click.option("--threshold", default="0", show_default=True, metavar="USD", help="Differences of a day and model up to this are none.")
@pass_face
def reconcile_verb(
    face: Face, *, invoice: str | None, balances: bool, columns: tuple[str, ...], provider: str | None, timezone: str | None, threshold: str
) -> None:
    """Hold the books against one another. Exit code 1 when they differ.

    With a provider's invoice (CSV: day, model, amount in USD, and maybe provider, input_tokens, output_tokens, requests): the ledger's days and
    models against the invoice's. Without: every budget's balance against the ledger.
    """
    if invoice is not None and balances:
        raise click.UsageError("--balances takes no file; leave one of the two out.")
    with face.open() as workspace:
        if invoice is None:
            checks = workspace.ledger.balances()
            equal = _show_balances(face, checks)
        else:
            named = parse_columns(columns, "WHAT=COLUMN", "amount=Charge")
            found = workspace.ledger.reconcile(invoice, columns=named, provider=provider, timezone=timezone, threshold_usd=threshold)
            face.show(found, lambda: _invoice(found), then=_reasons(found))
            equal = found.equal
    if not equal:
        raise FinishedWith(1)


def _show_balances(face: Face, checks: list[BalanceCheck]) -> bool:
    differing = [one for one in checks if not one.equal]
    then = "Next: hishamos budget remove NAME, then set it again: its balance begins anew with the ledger's sum." if differing else ""
    face.show(checks, lambda: _balances(checks, differing), then=then)
    return not differing


def _balances(checks: list[BalanceCheck], differing: list[BalanceCheck]) -> list[RenderableType]:
    from hishamos.charts.formats import count, exact_usd
    from hishamos.cli.tables import table

    if not checks:
        return ["No budget has a balance yet: there is nothing to compare."]
    if not differing:
        return [f"✓ {count(len(checks))} {'balance equals' if len(checks) == 1 else 'balances equal'} the sums over the ledger, to the nano-dollar."]
    rows = []
    for one in differing:
        place = one.period if one.scope == "workspace" else f"{one.period}, {one.scope}"
        figures = (("committed", one.committed_nanos, one.ledger_committed_nanos), ("reserved", one.reserved_nanos, one.ledger_reserved_nanos))
        rows += [(one.budget, place, kind, exact_usd(ours), exact_usd(sums), exact_usd(ours - sums)) for kind, ours, sums in figures if ours != sums]
    columns = ("Budget", "Period", "Figure", "Balance USD", "Ledger USD", "Difference USD")
    return [table(f"✕ {count(len(differing))} of {count(len(checks))} balances differ from the ledger", columns, rows, right=columns[3:])]


def _invoice(found: Reconciliation) -> list[RenderableType]:
    from hishamos.charts.formats import count, missing
    from hishamos.cli.documents import decimal_text
    from hishamos.cli.tables import table

    differing = [row for row in found.rows if row.differs]
    whole = f"{found.first} to {found.last} ({found.timezone}), {', '.join(found.providers) or 'no provider'}"
    sums = f"ledger {decimal_text(found.ours_usd)} USD, invoice {decimal_text(found.theirs_usd)} USD, difference {decimal_text(found.difference_usd)} USD"
    within = f" within {decimal_text(found.threshold_usd)} USD" if found.threshold_usd else ""
    sign = "✕" if differing else "✓"
    shown: list[RenderableType] = [f"{sign} {count(len(found.rows) - len(differing))} of {count(len(found.rows))} days and models are equal{within}: {whole}"]
    if differing:
        rows = [
            (
                row.day.isoformat(),
                row.model,
                missing() if row.side == "invoice" else decimal_text(row.ours_usd),
                missing() if row.side == "ledger" else decimal_text(row.theirs_usd),
                decimal_text(row.difference_usd),
                _parts(row),
            )
            for row in differing
        ]
        columns = ("Day", "Model", "Ledger USD", "Invoice USD", "Difference USD", "Of ours")
        shown.append(table("", columns, rows, right=columns[2:5]))
    shown.append(f"Sums: {sums}.")
    shown += [f"Taken for {model}: {name}" for name, model in found.matched.items()]
    shown += [f"Only on the invoice: {name} ({why})" for name, why in found.unmatched.items()]
    known = {row.model for row in found.rows if row.side != "ledger"}
    return shown + [f"Only in the ledger: {model}" for model in sorted({row.model for row in found.rows} - known)]


def _parts(row: InvoiceDifference) -> str:
    """Name what of ours is not certain: the usual reasons of a difference."""
    from hishamos.charts.formats import count, money

    parts = [f"{money(row.estimated_nanos)} estimated"] if row.estimated_nanos else []
    parts += [f"{money(row.orphaned_nanos)} held by orphans"] if row.orphaned_nanos else []
    parts += [f"{count(row.unpriced)} attempts unpriced"] if row.unpriced else []
    return ", ".join(parts)


def _reasons(found: Reconciliation) -> str:
    differing = [row for row in found.rows if row.differs]
    if any(row.unpriced for row in differing):
        return 'Next: give unpriced models a price in hishamos.toml ([prices."provider/model"]).'
    return "Next: hishamos spend --by day,model,usage_source" if differing else ""
