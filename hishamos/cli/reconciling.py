"""The verb that holds the books against one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.values import parse_columns
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hishamos.records.audit import AuditEntry, Repricing
    from hishamos.records.invoices import InvoiceDifference, Reconciliation
    from hishamos.records.money import BalanceCheck


@click.command("reconcile", cls=Verb)
@click.argument("invoice", required=False, metavar="[INVOICE.csv]")
@click.option("--balances", is_flag=True, help="Hold every budget's balance against the sums over the ledger (what it does without a file).")
@click.option("--columns", multiple=True, metavar="WHAT=COLUMN", help="Which column holds the day, provider, model, amount, … where its name is unusual.")
@click.option("--provider", metavar="NAME", help="Whose invoice it is, as in the ledger; left out, as the file says.")
@click.option("--timezone", metavar="ZONE", help="Whose days the invoice has; left out, the workspace's. Providers mostly bill by UTC.")
@click.option("--threshold", default="0", show_default=True, metavar="USD", help="Differences of a day and model up to this are none.")
@click.option("--reprice", is_flag=True, help="Give attempts that were unpriced their cost, where their model has a price now.")
@click.option("--settle", metavar="CALL=USD", help="Declare what an orphan, or another estimate, truly cost; 0 for what was not billed.")
@pass_face
def reconcile_verb(
    face: Face,
    *,
    invoice: str | None,
    balances: bool,
    columns: tuple[str, ...],
    provider: str | None,
    timezone: str | None,
    threshold: str,
    reprice: bool,
    settle: str | None,
) -> None:
    """Hold the books against one another. Exit code 1 when they differ.

    With a provider's invoice (CSV: day, model, amount in USD, and maybe provider, input_tokens, output_tokens, requests): the ledger's days and
    models against the invoice's. Without: every budget's balance against the ledger. --reprice and --settle correct the ledger; see: hishamos audit
    """
    if sum((invoice is not None, balances, reprice, settle is not None)) > 1:
        raise click.UsageError("A file, --balances, --reprice and --settle are four different things; give one of them.")
    with face.open() as workspace:
        if reprice:
            equal = _show_repricing(face, workspace.ledger.reprice())
        elif settle is not None:
            call, usd = _declared(settle)
            equal = _show_settled(face, workspace.ledger.settle(call, usd))
        elif invoice is not None:
            named = parse_columns(columns, "WHAT=COLUMN", "amount=Charge")
            found = workspace.ledger.reconcile(invoice, columns=named, provider=provider, timezone=timezone, threshold_usd=threshold)
            face.show(found, lambda: _invoice(found), then=_reasons(found))
            equal = found.equal
        else:
            equal = _show_balances(face, workspace.ledger.balances())
    if not equal:
        raise FinishedWith(1)


def _declared(pair: str) -> tuple[str, str]:
    call, equals, usd = pair.partition("=")
    if not equals:
        raise click.UsageError(f"{pair!r} is no CALL=USD; write, for example: --settle {pair}=0")
    return call, usd


def _show_repricing(face: Face, found: Repricing) -> bool:
    from hishamos.charts.formats import count, exact_usd

    def draw() -> list[RenderableType]:
        lines: list[RenderableType] = [
            f"✓ {entry.subject}: {count(entry.attempts)} attempts have a cost now, {exact_usd(entry.added_nanos)} USD together" for entry in found.entries
        ]
        lines = lines or ["No unpriced attempt has a price now: nothing changed."]
        lines += [f"? {model}: {count(number)} attempts stay unpriced" for model, number in found.unpriced.items()]
        return lines + [f"? {model}: the tokens of {count(number)} attempts never came" for model, number in found.unknown_usage.items()]

    then = [f'Next: add [prices."{model}"] to hishamos.toml, then: hishamos reconcile --reprice' for model in list(found.unpriced)[:1]]
    then += ["Next: hishamos reconcile --settle ATTEMPT=USD, once the provider's bill tells the cost"] if found.unknown_usage else []
    face.show(found, draw, then="\n".join(then))
    return True


def _show_settled(face: Face, entry: AuditEntry) -> bool:
    from hishamos.charts.formats import exact_usd

    before = "unpriced" if entry.value_before is None else f"{exact_usd(int(entry.value_before))} USD"
    after = exact_usd(int(entry.value_after or 0))
    face.show(entry, lambda: (f"✓ Attempt {entry.subject} cost {after} USD, not {before}.",), then=f"Audit entry {entry.id}; see: hishamos audit")
    return True


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
        return 'Next: give unpriced models a price in hishamos.toml ([prices."provider/model"]), then: hishamos reconcile --reprice'
    return "Next: hishamos spend --by day,model,usage_source" if differing else ""
