"""How a run compares with another one: inputs, definitions, prices, models, steps, outputs, money and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import Pinned
from hishamos.records.money import Price
from hishamos.records.record import canonical
from hishamos.records.run_comparisons import ComparedRun, ComparedStep, DefinitionChange, Difference, FileChange, PriceChange, RunComparison
from hishamos.records.runs import Run, RunKind, Step, StepState
from hishamos.store.statements import statements
from hishamos.text.differences import differences, renamed

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery

SQL = statements("comparing")
MOST = 100
"""Differences of the outputs that are told; the rest is counted."""
PAGE = 1_000
STEPS = 1_000
NOTEBOOK = "notebook"
"""What the notebook of a batch is called among its files."""
KINDS = {"input": "input", "output": "output", "cached_input": "input", "cache_write": "input", "reasoning": "output"}
"""Kinds of tokens, and which kind's price holds where one has none of its own."""
TIMES = {"notebook": ("seconds",)}
"""What of a step's output is its time, by type."""
ENDED_WITH_OUTPUT = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})


def compared(machinery: Machinery, before: Run, after: Run) -> RunComparison:
    """Return how ``after`` compares with ``before``, as both stand now."""
    journal = machinery.journal
    (pinned, _, files), (pinned_now, _, files_now) = journal.to_fork(before.id), journal.to_fork(after.id)
    steps, steps_now = (journal.history.steps(run.id, under="", state=None, after=None, limit=STEPS) for run in (before, after))
    names = _made_anew(machinery, before, after, steps, steps_now)
    told, differing = _outputs(machinery, before, after, names)
    sides = [_side(machinery, run) for run in (before, after)]
    outputs = canonical(before.outputs)
    return RunComparison(
        before=sides[0],
        after=sides[1],
        repeats=after.repeats == before.id,
        inputs=tuple(islice(differences(_inputs(before), _inputs(after)), MOST)),
        files=tuple(_files(given_files(before, files), given_files(after, files_now))),
        # A batch's own definition names its folder; its notebook stands among the files.
        definitions=() if before.kind is RunKind.BATCH else tuple(_definitions(pinned, pinned_now)),
        prices=tuple(_prices(machinery, before, after)),
        steps=tuple(_steps(steps, steps_now, names)),
        outputs=tuple(told),
        differing=differing,
        identical=differing == 0 and after.ended and outputs == canonical(after.outputs),
        renamed=tuple((old, new) for old, new in names.items() if old in outputs),
    )


def given_files(run: Run, files: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of all files that a run was given, the notebook of a batch among them."""
    if run.kind is not RunKind.BATCH:
        return dict(files)
    return {**files, NOTEBOOK: {"path": run.inputs[NOTEBOOK], "sha256": run.inputs["notebook_hash"]}}


def file_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[FileChange]:
    """Return the files whose content is another one, or that are gone; both by the input's name."""
    return list(_files(before, now))


def _files(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[FileChange]:
    for name, fact in before.items():
        now = after.get(name, {}).get("sha256")
        if now != fact["sha256"]:
            yield FileChange(name=name, path=after.get(name, fact)["path"], before=fact["sha256"], after=now)


def _inputs(run: Run) -> dict[str, Any]:
    """A map's inputs are its rows, a batch's notebook is a file: what stands in the run about these is told elsewhere."""
    return {} if run.kind is RunKind.MAP else {name: value for name, value in run.inputs.items() if name not in {"notebook_hash", "output"}}


def _definitions(before: Pinned, after: Pinned) -> Iterator[DefinitionChange]:
    if before.workflow.version != after.workflow.version:
        yield DefinitionChange(kind="workflow", name=before.workflow.name, before=before.workflow.version, after=after.workflow.version)
    yield from _versions("command", before.commands, after.commands)
    yield from _versions("agent", before.agents, after.agents)


def _versions(kind: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[DefinitionChange]:
    for name in sorted({*before, *after}):
        old, new = (one[name].version if name in one else None for one in (before, after))
        if old != new:
            yield DefinitionChange(kind=kind, name=name, before=old, after=new)


def _prices(machinery: Machinery, before: Run, after: Run) -> Iterator[PriceChange]:
    """Compare what each model of the earlier run cost then with what it cost in the later one; where that asked it not, with today's price."""
    then, later = (_prices_of(machinery, run) for run in (before, after))
    for model, old in sorted(then.items()):
        new = later[model] if model in later else machinery.gateway.prices.price(model)
        for kind, parent in KINDS.items():
            amounts = [None if price is None else getattr(price, kind) or getattr(price, parent) for price in (old, new)]
            if amounts[0] != amounts[1]:
                yield PriceChange(model=model, kind=kind, before=amounts[0], after=amounts[1])


def _prices_of(machinery: Machinery, run: Run) -> dict[str, Price | None]:
    rows = machinery.store.fetch(SQL["prices_of_run"], {"run": run.id})
    return {row["model"]: None if row["price"] is None else Price.model_validate_json(row["price"]) for row in rows}


def _side(machinery: Machinery, run: Run) -> ComparedRun:
    rows = machinery.store.fetch(SQL["models_of_run"], {"run": run.id})
    return ComparedRun(
        id=run.id,
        name=run.name,
        kind=run.kind,
        state=run.state,
        where=run.where,
        error=run.error.message if run.error else None,
        outputs=run.outputs,
        models=tuple(row["model"] for row in rows if row["served"]),
        cost_nanos=run.cost_nanos,
        unpriced=run.unpriced,
        calls=run.calls,
        attempts=run.attempts,
        cached=sum(int(row["cached"]) for row in rows),
        offline=run.offline,
        seconds=(run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else None,
    )


def _made_anew(machinery: Machinery, before: Run, after: Run, steps: list[Step], later: list[Step]) -> dict[str, str]:
    """Return the ids that each run makes anew: its own, those of its child runs and of its results, the earlier one's to the later one's."""
    names = {before.id: after.id}
    now = {step.path: step for step in later}
    for step in steps:
        other = now.get(step.path)
        if step.type == "workflow" and step.output and other is not None and other.output:
            names[step.output["run"]] = other.output["run"]
    results = [[one.id for one in machinery.work.results(run=run.id, project=None, search=None, limit=PAGE)] for run in (before, after)]
    if len(results[0]) == len(results[1]):
        names |= dict(zip(*results, strict=True))
    return {old: new for old, new in names.items() if old != new}


def _steps(before: list[Step], after: list[Step], names: Mapping[str, str]) -> Iterator[ComparedStep]:
    then, now = ({step.path: step for step in steps} for steps in (before, after))
    for path in [*then, *(path for path in now if path not in then)]:
        old, new = then.get(path), now.get(path)
        facts = {f"{name}_{side}": value for side, step in (("before", old), ("after", new)) for name, value in _facts(step).items()}
        yield ComparedStep(path=path, same=_alike(old, new, names), **facts)


def _facts(step: Step | None) -> dict[str, Any]:
    if step is None:
        return {}
    seconds = (step.finished_at - step.started_at).total_seconds() if step.finished_at and step.started_at else None
    return {"state": step.state, "model": step.model, "cost": step.cost_nanos, "seconds": seconds}


def _alike(old: Step | None, new: Step | None, names: Mapping[str, str]) -> bool:
    if old is None or new is None or old.state != new.state:
        return False
    left_out = TIMES.get(old.type, ())
    outputs = [{**one.output, **dict.fromkeys(left_out)} if left_out and isinstance(one.output, dict) else one.output for one in (old, new)]
    return canonical(renamed(outputs[0], names)) == canonical(outputs[1])


def _outputs(machinery: Machinery, before: Run, after: Run, names: Mapping[str, str]) -> tuple[list[Difference], int]:
    """Return the first differences of what came out, and how many there are; none as long as the later run has not ended."""
    if not after.ended:
        return [], 0
    if before.kind is RunKind.MAP:
        found = _rows(machinery, before, after)
    else:
        old, new = (_without_times(run) for run in (before, after))
        found = differences(renamed(old, names), new)
    told, count = [], 0
    for one in found:
        if count < MOST:
            told.append(one)
        count += 1
    return told, count


def _without_times(run: Run) -> Any:
    """Return what came out of a run; of a batch without how long each notebook took."""
    if run.kind is not RunKind.BATCH or not isinstance(run.outputs, dict):
        return run.outputs
    executed = [{**one, "seconds": None} if isinstance(one, dict) else one for one in run.outputs.get("executed") or []]
    return {**run.outputs, "executed": executed}


def _rows(machinery: Machinery, before: Run, after: Run) -> Iterator[Difference]:
    """Compare a map row by row, a page at a time."""
    last = -1
    while True:
        pages = [machinery.journal.history.map_rows(run.id, after=last, limit=PAGE) for run in (before, after)]
        if not any(pages):
            return
        for old, new in zip(*pages, strict=False):
            yield from differences({"status": old.status, "output": old.output}, {"status": new.status, "output": new.output}, f"rows[{old.index}]")
        last += PAGE
