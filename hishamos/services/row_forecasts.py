"""What a map over rows will cost and how long it takes: rows that are answered already cost nothing, equal ones cost once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, quantiles
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import MapOptions
from hishamos.engine.rows import row_key, row_request
from hishamos.errors import HishamosError
from hishamos.records.definitions import AgentDefinition, CommandDefinition
from hishamos.records.forecasts import Forecast
from hishamos.records.record import canonical
from hishamos.records.runs import Run
from hishamos.services.forecasting import LEAST, Forecaster, some
from hishamos.store.forecasts import earlier_times
from hishamos.store.uploads import different_rows, some_rows

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery

KEYS_AT_ONCE = 1_000
Range = tuple[float, float, float]


def forecast_of_rows(
    machinery: Machinery,
    command: CommandDefinition,
    agent: AgentDefinition | None,
    rows: Sequence[Mapping[str, Any]],
    options: MapOptions,
    target: str,
    *,
    of: int | None,
) -> Forecast:
    """Return what a map will cost and take. ``of``: how many different rows there are, where ``rows`` are only some of them."""
    different = list({canonical(row): row for row in rows}.values())
    known = _answered(machinery, command, agent, different, options, target)
    share = 1.0 if of is None or not different else max(1.0, of / len(different))
    reused = round(len(known) * share)
    number = round(len(different) * share) - reused
    new = [row for place, row in enumerate(different) if place not in known]
    forecast = Forecaster(machinery, target).rows(command, agent, new or different, number=number, output=options.output)
    notes = (f"{len(different):,} rows evenly taken were looked at",) if share > 1 else ()
    found = forecast.model_copy(update={"rows": len(rows) if of is None else of, "reused": reused, "notes": notes})
    return _with_time(machinery, found, command, number, options.concurrency)


def forecast_of_map(machinery: Machinery, command: CommandDefinition, agent: AgentDefinition | None, run: Run, options: MapOptions) -> Forecast:
    """Return what a map that was just started was to cost, were none of its rows answered before."""
    number, total = different_rows(machinery.store, run.id), run.steps_total
    rows = [{**options.inputs, **row} for row in some_rows(machinery.store, run.id, some(range(total)))]
    forecast = Forecaster(machinery, run.model, run.created_at).rows(command, agent, rows, number=number, output=options.output)
    return forecast.model_copy(update={"rows": total})


def _answered(
    machinery: Machinery,
    command: CommandDefinition,
    agent: AgentDefinition | None,
    rows: Sequence[Mapping[str, Any]],
    options: MapOptions,
    target: str,
) -> set[int]:
    """Return the places of the rows that the workspace has answers to, by the key that a map would give them."""
    keys: dict[str, int] = {}
    for place, row in enumerate(rows if not command.attach else ()):  # what files hold is known when they are read
        try:
            keys[row_key(command, row_request(command, agent, row, options, target, machinery.root), options)] = place
        except HishamosError:
            continue  # such a row fails, and costs nothing
    listed, found = list(keys), set()
    for start in range(0, len(listed), KEYS_AT_ONCE):
        states = machinery.journal.states_of_rows(listed[start : start + KEYS_AT_ONCE])
        found |= {keys[key] for key, state in states.items() if state.state == "succeeded"}
    return found


def _with_time(machinery: Machinery, forecast: Forecast, command: CommandDefinition, number: int, concurrency: int) -> Forecast:
    """Add how long it takes: from the times of earlier answers, so many at once, no faster than the provider's limit of requests a minute."""
    if number == 0:
        return forecast.model_copy(update=dict.fromkeys(("low_s", "likely_s", "high_s"), 0.0))
    model = next((model for part in forecast.parts for model in part.models), "")
    times = earlier_times(machinery.store, forecast.made_at, command=command.reference, model=model)
    if len(times) < LEAST:
        times = earlier_times(machinery.store, forecast.made_at, command=None, model=model)
    if len(times) < LEAST:
        return forecast
    provider = machinery.settings().providers.get(model.partition("/")[0])
    at_once = min(number, concurrency, provider.concurrency if provider else concurrency)
    least = number / provider.rpm * 60 if provider and provider.rpm and number > provider.rpm else 0.0
    low, likely, high = (max(least, each * number / at_once) for each in _range(times))
    return forecast.model_copy(update={"low_s": round(low, 3), "likely_s": round(likely, 3), "high_s": round(high, 3)})


def _range(times: Sequence[float]) -> Range:
    tenths = quantiles(sorted(times), n=10, method="inclusive")
    return tenths[0], mean(times), tenths[-1]
