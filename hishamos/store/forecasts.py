"""Tokens of earlier work, from the ledger, and the forecasts that are kept with runs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from hishamos.records.calls import Usage
from hishamos.records.forecasts import Forecast
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector

SQL = statements("forecasts")
LATEST = 200
"""So many pieces of earlier work are looked at, the latest."""


def earlier_work(
    store: Connector, before: datetime, *, command: str | None = None, agent: str | None = None, workflow: str | None = None, model: str | None = None
) -> list[Usage]:
    """Return the tokens of steps, or of questions outside of runs, that succeeded before a moment: each with its retries and repairs, newest first.

    ``command``: with its version. Answers of the offline model and of the cache are none.
    """
    values = {"before": before, "command": command, "agent": agent, "workflow": workflow, "model": model, "limit": LATEST}
    kinds = ("input", "cached", "cache_write", "output", "reasoning")
    return [Usage(**{kind: row[kind] for kind in kinds}, source="provider") for row in store.fetch(SQL["units_of_work"], values)]


def earlier_times(store: Connector, before: datetime, *, command: str | None, model: str) -> list[float]:
    """Return how many seconds the providers took for the latest pieces of work on a model; ``command``: with its version, None for any."""
    values = {"before": before, "command": command, "model": model, "limit": LATEST}
    return [row["ms"] / 1000 for row in store.fetch(SQL["times_of_work"], values)]


def keep(store: Connector, run: str, forecast: Forecast) -> None:
    """Keep a run's forecast; the first one stays."""
    values = {"run_id": run, "forecast": forecast.model_dump_json()}
    store.transaction(lambda transaction: transaction.execute(SQL["insert_forecast"], values))


def kept(store: Connector, run: str) -> Forecast | None:
    """Return a run's forecast; None where nothing was to be paid, or the process died before it was made."""
    row = store.fetch_one(SQL["forecast_of_run"], {"run_id": run})
    return None if row is None else Forecast.model_validate_json(row["forecast"])
