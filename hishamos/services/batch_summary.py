"""What a batch came to: its rows as they stand, and the notebook that tells of them where there is no server, no network and no script."""

from __future__ import annotations

import base64
import html
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hishamos.charts.formats import count, duration, missing, money, state_label
from hishamos.charts.row_bars import RowBar, row_bars_png
from hishamos.contracts.journal import Pinned
from hishamos.engine.steptype import ChildEnd
from hishamos.records.batches import BatchRow, RowStatus
from hishamos.records.record import Failure, content_hash, now
from hishamos.records.runs import Run, Step, StepState

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery
    from hishamos.store.history import RunHistory

STEP = "notebooks"
SUMMARY = "summary.ipynb"
STATUS: dict[StepState, RowStatus] = {
    StepState.SUCCEEDED: "succeeded",
    StepState.FAILED: "failed",
    StepState.TIMED_OUT: "failed",
    StepState.CANCELLED: "cancelled",
    StepState.RUNNING: "running",
}
"""A step's state as a row's status; the others are pending."""
SHOWN = 1_000
"""So many rows, and failures, are listed one by one."""
_CELL = "padding:3px 10px 3px 0;border-bottom:1px solid rgba(128,128,128,.25);vertical-align:top;text-align:{}"
_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px"
RIGHT = frozenset({"Row", "Time", "Cost"})


def folder_of(pinned: Pinned) -> Path:
    """Return where a batch's executed notebooks go."""
    given = pinned.workflow.steps[0].with_
    return Path(given["folder"]) if "folder" in given else Path(str(given["step"]["with"]["output"])).parent  # a batch of an earlier version


def batch_rows(history: RunHistory, run: Run, ends: Sequence[ChildEnd] = ()) -> list[BatchRow]:
    """Return a batch's rows. ``ends``: how they ended where the journal may not say so yet."""
    found = rows_at(history, run, range(len(run.inputs.get("rows", []))))
    return [_as_ended(row, end) for row, end in zip(found, ends, strict=True)] if ends else found


def rows_at(history: RunHistory, run: Run, indexes: Iterable[int]) -> list[BatchRow]:
    """Return the rows at these indexes."""
    paths = {index: _path(index) for index in indexes}
    steps = {step.path: step for step in history.steps_at(run.id, list(paths.values()))}
    return [_row(index, run.inputs["rows"][index], steps.get(path)) for index, path in paths.items()]


def statuses(run: Run, states: Mapping[str, str]) -> list[RowStatus]:
    """Return the status of each row. ``states``: of the steps that have begun, by path."""
    return [STATUS.get(StepState(states.get(_path(index), "pending")), "pending") for index in range(len(run.inputs.get("rows", [])))]


def _path(index: int) -> str:
    return f"{STEP}[{index}]"


def write_summary(machinery: Machinery, run: str, path: str, folder: Path, ends: Sequence[ChildEnd]) -> str:  # noqa: ARG001 - a batch is one step
    """Write the summary of a batch whose rows have ended, whole or not at all, and return where it is."""
    found = machinery.journal.history.get(run)
    rows = batch_rows(machinery.journal.history, found, ends)
    target = folder / SUMMARY
    part = folder / f".{SUMMARY}.part"
    folder.mkdir(parents=True, exist_ok=True)
    part.write_text(json.dumps(summary(found, rows, folder, machinery.root), indent=1, ensure_ascii=False), encoding="utf-8")
    part.replace(target)
    return str(target)


def summary(run: Run, rows: Sequence[BatchRow], folder: Path, root: Path) -> dict[str, Any]:
    """Return the notebook that tells how a batch went: counts, chart, table, failures, and what to do about them."""
    notebook, failed = Path(run.inputs["notebook"]), [row for row in rows if row.status != "succeeded"]
    states = Counter(row.status for row in rows)
    told = ", ".join(f"{count(number)} {state_label(state)}" for state, number in states.most_common())
    cells = [
        _markdown(f"# {_inert(notebook.name)}: {told}", f"{_facts(run, rows)}"),
        _shown(
            f'import hishamos\n\nws = hishamos.open({str(root)!r})\nws.batch.rows("{run.id}")',
            {"image/png": base64.b64encode(_chart(rows, notebook.name)).decode(), "text/plain": f"Time of each row of {notebook.name}"},
            {"text/html": _table(rows, folder), "text/plain": _plain(rows)},
        ),
    ]
    if failed:
        cells.append(_markdown("## What failed", *_failures(failed[:SHOWN], folder)))
        if len(failed) > SHOWN:
            cells.append(_markdown(f"And {count(len(failed) - SHOWN)} more: `ws.batch.rows('{run.id}')`."))
        cells.append(
            _markdown("## Again, only what is missing", f"In a terminal: `hishamos resume {run.id}`, or the same `hishamos batch` line.")
            | {"metadata": {"tags": ["retry"]}}
        )
    for number, cell in enumerate(cells):
        cell["id"] = f"summary-{number}"
    facts = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": facts | {"hishamos": {"run": run.id, "rows": dict(states)}}, "nbformat": 4, "nbformat_minor": 5}


def _facts(run: Run, rows: Sequence[BatchRow]) -> str:
    seconds = sum(row.seconds or 0.0 for row in rows)
    reused = sum(row.reused for row in rows)
    spent = money(run.cost_nanos) + (f" and {count(run.unpriced)} unpriced calls" if run.unpriced else "") if run.attempts else "no model was asked"
    parts = [f"Run `{run.id}`", f"cost **{spent}**" if run.attempts else spent, f"{count(run.attempts)} attempts", f"{duration(seconds)} of notebooks"]
    parts += ["⌁ offline model, not a real answer"] if run.offline else []
    parts += [f"{count(reused)} rows of an earlier batch were taken over, at no cost"] if reused else []
    version = str(run.inputs.get("notebook_hash", ""))[:12]
    return " · ".join([*parts, f"notebook `{version}`", f"rows `{content_hash(run.inputs.get('rows'), 12)}`", f"written {now():%Y-%m-%d %H:%M} UTC"])


def _chart(rows: Sequence[BatchRow], name: str) -> bytes:
    return row_bars_png([RowBar(row.index + 1, row.status, row.seconds) for row in rows], f"Time of each row of {name}")


def _line(row: BatchRow) -> dict[str, str]:
    given = ", ".join(f"{name}={value!r}" for name, value in row.parameters.items())
    state = state_label(row.status) + (f", {state_label('reused')}" if row.reused else "")
    return {
        "Row": count(row.index + 1),
        "State": state,
        "Parameters": given if len(given) <= 200 else f"{given[:199]}…",
        "Time": duration(row.seconds),
        "Cost": money(row.cost_nanos),
    }


def _table(rows: Sequence[BatchRow], folder: Path) -> str:
    lines = []
    for row in rows[:SHOWN]:
        cells = {name: html.escape(text) for name, text in _line(row).items()} | {"Notebook": _link(row, folder)}
        lines.append("<tr>" + "".join(f'<td style="{_CELL.format(_side(name))}">{cell}</td>' for name, cell in cells.items()) + "</tr>")
    names = (*_line(rows[0]), "Notebook")
    head = "<tr>" + "".join(f'<th style="{_CELL.format(_side(name))}">{name}</th>' for name in names) + "</tr>"
    rest = f"<p>and {count(len(rows) - SHOWN)} more rows</p>" if len(rows) > SHOWN else ""
    return f'<div dir="auto" style="overflow-x:auto"><table style="{_TABLE}">{head}{"".join(lines)}</table>{rest}</div>'


def _side(name: str) -> str:
    return "right" if name in RIGHT else "left"


def _link(row: BatchRow, folder: Path) -> str:
    if row.output_path is None:
        return missing()
    path = Path(row.output_path)
    return f'<a href="{html.escape(_address(path, folder))}">{html.escape(path.name)}</a>'


def _address(path: Path, folder: Path) -> str:
    return path.name if path.parent == folder else path.as_uri()


def _plain(rows: Sequence[BatchRow]) -> str:
    return "\n".join("  ".join(_line(row).values()) for row in rows[:SHOWN])


def _failures(rows: Sequence[BatchRow], folder: Path) -> list[str]:
    found = []
    for row in rows:
        cell = "" if row.cell is None else f", cell {row.cell}"
        link = "" if row.output_path is None else f" [{Path(row.output_path).name}]({_address(Path(row.output_path), folder)})"
        found.append(f"- **row {row.index + 1}**{cell}, {state_label(row.status)}: {_inert(row.reason or row.error or 'it was not executed')}{link}")
    return ["\n".join(found)]


def _inert(text: str) -> str:
    """Return a text that Markdown shows as it is: what a notebook raised is nobody's markup."""
    flat = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()#+!|~$" else sign for sign in html.escape(flat[:2000], quote=False))


def _markdown(*parts: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": "\n\n".join(parts)}


def _shown(source: str, *pictures: dict[str, str]) -> dict[str, Any]:
    outputs = [{"output_type": "display_data", "metadata": {}, "data": data} for data in pictures]
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "source": source, "outputs": outputs}


def _row(index: int, parameters: dict[str, Any], step: Step | None) -> BatchRow:
    if step is None:
        return BatchRow(index=index, status="pending", step=_path(index), parameters=parameters)
    facts = step.error.facts if step.error else {}
    output = step.output or facts
    return BatchRow.model_validate(
        {
            "index": index,
            "status": STATUS.get(step.state, "pending"),
            "step": step.path,
            "parameters": parameters,
            "output_path": output.get("output"),
            "error": step.error.message if step.error else None,
            "cell": facts.get("cell"),
            "reason": _reason(step.error),
            "cost_nanos": step.cost_nanos,
            "seconds": _seconds(step),
            "result": output.get("result"),
            "reused": step.reused,
        }
    )


def _as_ended(row: BatchRow, end: ChildEnd) -> BatchRow:
    facts = end.error.facts if end.error else {}
    given: dict[str, Any] = {"status": STATUS.get(end.state, "pending"), "output_path": (end.output or facts).get("output")}
    if isinstance(end.output, dict) and row.seconds is None:
        given["seconds"] = end.output.get("seconds")
    if end.error is not None:
        given |= {"error": end.error.message, "cell": facts.get("cell"), "reason": _reason(end.error)}
    return row.model_copy(update=given)


def _reason(error: Failure | None) -> str | None:
    return None if error is None else str(error.facts.get("reason") or error.message)


def _seconds(step: Step) -> float | None:
    if step.reused or not (step.finished_at and step.started_at):
        return (step.output or {}).get("seconds") if step.reused else None
    return (step.finished_at - step.started_at).total_seconds()
