"""Cards about money: attempts at providers, spend, budgets, forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from hishamos.charts.formats import clock, count, duration, exact_usd, missing, money, some
from hishamos.charts.ranges import forecast_words, part_amounts, times_words
from hishamos.notebook import markup
from hishamos.records.calls import Attempt, AttemptStatus
from hishamos.records.forecasts import Forecast
from hishamos.records.money import Budget

if TYPE_CHECKING:
    import pandas

LISTED = 100
"""Attempts, and groups of spend, that a card lists."""
TIMES = ("hour", "day", "month")
SPEND_COLUMNS = ("calls", "attempts", "succeeded", "failed", "fell_back")
"""What stands behind the groups in every frame of ``ws.ledger.spend``: by it the frame is known, also when it was sorted or cut."""


def attempts_card(attempts: Sequence[Attempt]) -> str:
    """Return a list of attempts at providers over time; why a model was asked stands in it where a route chose."""
    rows = [
        (
            markup.badges(attempt.status, offline=attempt.offline),
            markup.text(attempt.step_id or missing()),
            markup.name(attempt.model),
            markup.text(attempt.cause or ""),
            duration(None if attempt.latency_ms is None else attempt.latency_ms / 1000),
            count(attempt.input_tokens),
            count(attempt.output_tokens),
            missing() if attempt.status is AttemptStatus.SENT else money(attempt.cost_nanos),
            markup.text(attempt.why),
        )
        for attempt in attempts[:LISTED]
    ]
    headings = ("state", "step", "model", "cause", "latency", "tokens in", "tokens out", "cost", "why")
    more = markup.line(f"and {count(len(attempts) - LISTED)} more", muted=True) if len(attempts) > LISTED else ""
    table = markup.table(headings, rows, right=(4, 5, 6, 7)) + more
    unpriced = sum(attempt.cost_nanos is None and attempt.status is not AttemptStatus.SENT for attempt in attempts)
    total = sum(attempt.cost_nanos or 0 for attempt in attempts)
    facts = (count(len(attempts)), money(total) + (f" + {count(unpriced)} unpriced" if unpriced else ""))
    offline = any(attempt.offline for attempt in attempts)
    foot = f"exactly {exact_usd(total)} USD" if total else ""
    return markup.card(markup.head("Attempts", *facts, offline=offline, kind="ledger"), _waterfall(attempts) + table, foot)


def _waterfall(attempts: Sequence[Attempt]) -> str:
    if len(attempts) < 2:
        return ""
    from hishamos.charts.attempts import MOST, waterfall_png

    shown = f"the first {MOST} of them" if len(attempts) > MOST else f"{len(attempts)} of them"
    return markup.picture(waterfall_png(attempts), f"Attempts over time, {shown}; the table below says the same")


def is_spend(frame: pandas.DataFrame) -> bool:
    """Return whether a frame is an answer of ``ws.ledger.spend``."""
    names = [str(name) for name in frame.columns]
    return "calls" in names and tuple(names[names.index("calls") :][: len(SPEND_COLUMNS)]) == SPEND_COLUMNS and "cost_nanos" in names


def spend_card(frame: pandas.DataFrame) -> str:
    """Return a frame of ``ws.ledger.spend`` as a card: a chart, each group, the sum."""
    names = [str(name) for name in frame.columns]
    groups = names[: names.index("calls")]
    records = cast("list[dict[str, Any]]", frame.to_dict("records"))
    offline, unpriced = sum(_whole(row.get("offline")) for row in records), sum(_whole(row["unpriced"]) for row in records)
    total = sum(_whole(row["cost_nanos"]) for row in records)
    rows = [
        (
            *(markup.name(_group(row[name])) for name in groups),
            *(count(_whole(row[name])) for name in ("calls", "attempts", "failed", "fell_back", "input_tokens", "output_tokens")),
            duration(None if _gap(row["p50_ms"]) else float(row["p50_ms"]) / 1000),
            markup.text(_cost(row)),
        )
        for row in records[:LISTED]
    ]
    headings = (*groups, "calls", "attempts", "failed", "fell back", "tokens in", "tokens out", "p50", "cost")
    more = markup.line(f"and {count(len(records) - LISTED)} more", muted=True) if len(records) > LISTED else ""
    table = markup.table(headings, rows, right=range(len(groups), len(headings))) + more if rows else markup.line("No attempt was made yet.", muted=True)
    head = markup.head("Spend", money(total) + (f" + {count(unpriced)} unpriced" if unpriced else ""), kind="by " + ", ".join(groups))
    notes = [*([f"exactly {exact_usd(total)} USD"] if total else []), *([f"{some(offline, 'offline attempt')}: free, and in no rate"] if offline else [])]
    return markup.card(head, _spend_chart(frame, groups, total) + table, markup.SEPARATOR.join(map(markup.text, notes)))


def _spend_chart(frame: pandas.DataFrame, groups: Sequence[str], total: int) -> str:
    """Draw money over time, or by group; nothing where nothing cost anything."""
    if not total or len(frame) < 2 or not groups:
        return ""
    from hishamos.charts.spend import bars_png, spend_png

    words = f"Spend by {', '.join(groups)}; the table below says the same"
    times = [name for name in groups if name in TIMES]
    if times:
        named = frame.assign(**{times[0]: [_group(value) for value in frame[times[0]]]})
        other = next((name for name in groups if name not in TIMES), None)
        return markup.picture(spend_png(named, by=times[0], colour=other), words)
    sums: dict[str, float] = {}
    for row in frame.to_dict("records"):
        name = " · ".join(_group(row[group]) for group in groups)
        sums[name] = sums.get(name, 0.0) + _whole(row["cost_nanos"]) / 1e9
    return markup.picture(bars_png({name: usd for name, usd in sums.items() if usd}, "USD"), words)  # what is free or unpriced is no 0


def _cost(row: dict[str, Any]) -> str:
    offline, unpriced, attempts = _whole(row.get("offline")), _whole(row["unpriced"]), _whole(row["attempts"])
    if attempts and offline == attempts:
        return "offline"
    if unpriced and unpriced == attempts - offline - _whole(row.get("cached")):
        return "unpriced"
    return money(_whole(row["cost_nanos"])) + (f" + {count(unpriced)} unpriced" if unpriced else "")


def _group(value: Any) -> str:
    if _gap(value):
        return missing()
    return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00") if hasattr(value, "strftime") and hasattr(value, "hour") else str(value)


def _whole(value: Any) -> int:
    return 0 if _gap(value) else int(value)


def _gap(value: Any) -> bool:
    import pandas as pd

    return value is None or bool(pd.isna(value))


def budget_body(budget: Budget) -> str:
    """Return how much of a budget is used: a bar, its words, the shares that were passed."""
    limit = max(1, budget.limit_nanos)
    used, reserved = budget.committed_nanos / limit, budget.reserved_nanos / limit
    colour = "red" if used >= 1 or budget.closed else "amber" if any(Decimal(str(used)) >= share for share in budget.warn_at) else "green"
    words = f"{money(budget.committed_nanos)} of {money(budget.limit_nanos)}, {money(budget.reserved_nanos)} reserved"
    told = f'<div style="margin-top:4px;font-variant-numeric:tabular-nums">{markup.text(words)}{markup.SEPARATOR}{100 * used:.0f} %</div>'
    warned = "".join(markup.line(f"{markup.text(one.message)} {clock(one.passed_at)} UTC", colour="amber") for one in budget.warnings)
    return markup.bar(used, colour, reserved) + told + warned


def budget_card(budget: Budget) -> str:
    """Return a budget's card."""
    kind = ("hard: calls beyond it are refused" if budget.hard else "soft: it warns and refuses nothing") + (", closed" if budget.closed else "")
    return markup.card(markup.head(budget.name, f"{budget.scope}, {budget.period}", kind="budget"), budget_body(budget), markup.text(kind))


def budgets_card(budgets: Sequence[Budget]) -> str:
    """Return all budgets in one card."""
    parts = [
        f'<div style="margin-top:8px">{markup.line(f"<strong>{markup.text(one.name)}</strong> {markup.text(one.scope)}, {one.period}")}{budget_body(one)}</div>'
        for one in budgets
    ]
    return markup.card(markup.head("Budgets", count(len(budgets))), "".join(parts), "next: <code>ws.budgets.set(name, limit_usd=…)</code>")


def forecast_card(forecast: Forecast) -> str:
    """Return a forecast's card: the range, and how each step's amounts were found."""
    rows = [
        (markup.text(part.step), markup.text(part.subject), markup.text(", ".join(part.models)), times_words(part), *part_amounts(part), markup.text(part.how))
        for part in forecast.parts
    ]
    headings = ("step", "asks", "model", "times", "low", "likely", "high", "how it was found")
    body = markup.line(f"<strong>{markup.text(forecast_words(forecast))}</strong>") + (markup.table(headings, rows, right=(3, 4, 5, 6)) if rows else "")
    foot = f"{markup.text(forecast.name)}@{forecast.version[:12]} · nothing was sent or paid; retries are not in it"
    return markup.card(markup.head(forecast.name, offline=forecast.offline, kind="forecast"), body, foot)
