"""Two runs side by side, in words: what differs, and what does not."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from hishamos.charts.formats import count, duration, exact_usd, missing, state_label
from hishamos.records.result_comparisons import ResultComparison
from hishamos.records.run_comparisons import ComparedRun, ComparedStep, Difference, RunComparison

LONG = 120
"""Characters of a value that are shown."""
LINES = 12
"""Lines of a text's difference that are shown."""
MOST = 20
"""Differences that are shown; how many more there are is said."""
HASH = 12


def verdict(comparison: RunComparison) -> str:
    """Return in a sentence whether both gave the same."""
    before, after = comparison.before, comparison.after
    if not after.ended:
        return f"{state_label(after.state)}: what comes out is not known yet"
    if before.state != after.state:
        return f"{state_label(after.state)} where the earlier run {state_label(before.state).partition(' ')[2]}"
    if comparison.differing:
        return f"the outputs differ in {count(comparison.differing)} {'place' if comparison.differing == 1 else 'places'}"
    if comparison.identical:
        return "the same outputs, byte for byte"
    made = len(comparison.renamed)
    return f"the same outputs but for {count(made)} {'id' if made == 1 else 'ids'} that each run makes anew" if made else "the same outputs"


def sides(comparison: RunComparison) -> list[tuple[str, str, str]]:
    """Return the facts of both runs: what, before, now."""
    rows = []
    for name, told in _SIDES:
        before, after = (told(side) for side in (comparison.before, comparison.after))
        if before or after:
            rows.append((name, before or missing(), after or missing()))
    return rows


def changes(comparison: RunComparison) -> Iterator[str]:
    """Yield what the later run was given that is not what the earlier one was given, and what its models cost now."""
    for one in comparison.inputs:
        yield f"input {_difference(one)}"
    for file in comparison.files:
        now = f"is {file.after[:HASH]}" if file.after else "is gone"
        yield f"file {file.name} ({file.path}): sha256 was {file.before[:HASH]}, {now}"
    for definition in comparison.definitions:
        yield f"{definition.kind} {definition.name}: version {definition.before or missing()}, now {definition.after or missing()}"
    for price in comparison.prices:
        yield f"price of {price.model}, {price.kind}: {_amount(price.before)}, now {_amount(price.after)} USD per million tokens"
    gone = [model for model in comparison.before.models if model not in comparison.after.models]
    new = [model for model in comparison.after.models if model not in comparison.before.models]
    if comparison.after.ended and (gone or new):
        yield f"served by {', '.join(comparison.after.models) or 'no model'} instead of {', '.join(comparison.before.models) or 'no model'}"


def steps(comparison: RunComparison) -> Iterator[str]:
    """Yield the steps that went otherwise."""
    for step in comparison.steps:
        if not step.same:
            yield _step(step)


def outputs(comparison: RunComparison) -> Iterator[str]:
    """Yield the lines that tell where the outputs differ."""
    for one in comparison.outputs[:MOST]:
        yield from _lines(one)
    more = comparison.differing - min(MOST, len(comparison.outputs))
    if more > 0:
        yield f"and {count(more)} more"


def differences_told(found: Iterable[Difference]) -> Iterator[str]:
    """Yield the lines that tell differences of plain data."""
    for one in found:
        yield from _lines(one)


def result_comparison_text(comparison: ResultComparison) -> str:
    """Return how two results compare as text."""
    head = f"{comparison.after.title}: result {comparison.after.id} beside {comparison.before.id}"
    parts = [head, *(f"  {line}" for line in differences_told(comparison.differences))] if comparison.differences else [f"{head}, they say the same"]
    return "\n".join([*parts, *(["", comparison_text(comparison.runs)] if comparison.runs else [])])


def comparison_text(comparison: RunComparison) -> str:
    """Return the whole as text."""
    rows = [("", "before", "now"), *sides(comparison)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    table = [f"{name:<{widths[0]}}  {before:<{widths[1]}}  {now}" for name, before, now in rows]
    parts = [f"{comparison.after.name}: {verdict(comparison)}", *table]
    for title, lines in (("Changed", list(changes(comparison))), ("Steps that differ", list(steps(comparison))), ("Outputs", list(outputs(comparison)))):
        parts += ["", f"{title}:", *(f"  {line}" for line in lines)] if lines else []
    return "\n".join(line.rstrip() for line in parts)


def _spend(side: ComparedRun) -> str:
    if side.offline and not side.cost_nanos and not side.unpriced:
        return "offline"
    words = f"{exact_usd(side.cost_nanos)} USD" + (f" + {side.unpriced} unpriced" if side.unpriced else "")
    return words + (f", {side.cached} cached" if side.cached else "")


_SIDES = (
    ("run", lambda side: side.id),
    ("state", lambda side: state_label(side.state)),
    ("error", lambda side: _short(side.error) if side.error else ""),
    ("models", lambda side: ", ".join(side.models)),
    ("calls", lambda side: f"{count(side.calls)}, {count(side.attempts)} attempts" if side.attempts else ""),
    ("spend", _spend),
    ("time", lambda side: "" if side.seconds is None else duration(side.seconds)),
)


def _step(step: ComparedStep) -> str:
    before, after = (state_label(state) if state else "not begun" for state in (step.state_before, step.state_after))
    states = after if before == after else f"{before}, now {after}"
    models = "" if step.model_before == step.model_after else f", {step.model_before or missing()}, now {step.model_after or missing()}"
    return f"{step.path}: {states}{models}{'' if before != after else ', another output'}"


def _lines(one: Difference) -> Iterator[str]:
    before, after = one.before, one.after
    if one.change == "changed" and isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        told = [line for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0) if not line.startswith(("---", "+++", "@@"))]
        yield f"{one.place or 'output'}:"
        yield from (f"  {_cut(line)}" for line in told[:LINES])
        if len(told) > LINES:
            yield f"  and {count(len(told) - LINES)} more lines"
    else:
        yield _difference(one)


def _difference(one: Difference) -> str:
    place = one.place or "output"
    if one.change == "added":
        return f"{place}: {_short(one.after)} is new"
    return f"{place}: {_short(one.before)} is gone" if one.change == "gone" else f"{place}: {_short(one.before)} → {_short(one.after)}"


def _short(value: Any) -> str:
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str) -> str:
    flat = " ".join(text.split()) if "\n" in text else text
    return flat if len(flat) <= LONG else f"{flat[: LONG - 1]}…"


def _amount(value: Any) -> str:
    if value is None:
        return missing()
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
