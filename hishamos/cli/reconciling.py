"""The verb that holds the books against one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hishamos.records.money import BalanceCheck


@click.command("reconcile", cls=Verb)
@click.option("--balances", is_flag=True, help="Hold every budget's balance against the sums over the ledger (what it does without any option).")
@pass_face
def reconcile_verb(face: Face, *, balances: bool) -> None:  # noqa: ARG001 - the flag names what happens anyway
    """Hold the books against one another. Exit code 1 when they differ."""
    with face.open() as workspace:
        checks = workspace.ledger.balances()
    differing = [one for one in checks if not one.equal]
    then = "Next: hishamos budget remove NAME, then set it again: its balance begins anew with the ledger's sum." if differing else ""
    face.show(checks, lambda: _balances(checks, differing), then=then)
    if differing:
        raise FinishedWith(1)


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
