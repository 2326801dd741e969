"""What ``ws.batch`` is made of: a notebook for each row, reused where the workspace has it executed with these parameters, and a summary."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from hishamos.contracts.journal import RowState
from hishamos.engine.steps.notebook import NotebookInputs, NotebookStep
from hishamos.engine.steptype import Child, Children, Done, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import InvalidInput, ItemsFailed
from hishamos.records.definitions import Retry, StepDefinition
from hishamos.records.record import content_hash

SHOWN = 3
ROW = "batch_row"


class BatchInputs(StepInputs):
    """Which notebook, and how it is executed for the rows of the run's inputs."""

    notebook: str
    version: str
    """Hash of its text."""
    folder: str
    """Where the executed notebooks go."""
    concurrency: int = Field(ge=1)
    reuse: bool = False
    kernel: str | None = None
    limit_s: float | None = None
    """The time limit of a row, seconds; left out: the workspace's."""
    nonce: str | None = None
    """What makes the rows others than those of every batch before."""


class BatchStep(StepType[BatchInputs]):
    """Arranges the rows; once all have ended it writes the summary, and fails where one of them failed."""

    name = "batch"
    inputs = BatchInputs
    raw = frozenset(BatchInputs.model_fields)
    composite = True

    def run(self, context: StepContext, inputs: BatchInputs) -> Result:
        """See the plug."""
        rows = context.run.inputs["rows"]
        if context.children is None:
            keys = _keys(inputs, rows)
            return Waiting(children=Children(len(rows), lambda index: _row(inputs, rows[index], index, keys[index]), inputs.concurrency))
        summary = context.background(lambda: context.summary(Path(inputs.folder)))
        if not summary.ready:
            return Waiting([summary])
        failed = [(index, end) for index, end in enumerate(context.children) if not end.passed]
        if failed:
            reasons = "; ".join(end.error.message if end.error else f"row {index + 1}: {end.state.value}" for index, end in failed[:SHOWN])
            more = f"; and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
            raise ItemsFailed(step=context.path, failed=len(failed), total=len(rows), reasons=f"{reasons}{more} All of them: {summary.value}")
        return Done({"executed": [end.output for end in context.children], "summary": summary.value})


class BatchRowInputs(NotebookInputs):
    """A notebook, and by what the workspace knows its execution."""

    key: str
    version: str
    """Hash of the notebook's text as it was when the batch was started."""


class BatchRowStep(NotebookStep):
    """One row: taken over where the notebook was executed with these parameters before, else executed."""

    name = ROW
    inputs: ClassVar[type[NotebookInputs]] = BatchRowInputs

    def run(self, context: StepContext, inputs: NotebookInputs) -> Result:
        """See the plug."""
        assert isinstance(inputs, BatchRowInputs)
        key, earlier = context.memory.get("earlier") or _earlier(context, inputs.key)
        context.memory["earlier"] = key, earlier
        if earlier is not None:
            copied = context.background(lambda: _copied(earlier["output"], str(inputs.output)))
            if not copied.ready:
                return Waiting([copied])
            return Done({**earlier, "output": inputs.output}, reused=True)
        if "notebook" not in context.memory:
            _check_unchanged(inputs)
        result = super().run(context, inputs)
        if isinstance(result, Done):
            context.row_ended(RowState(key, context.attempt, "succeeded", result.output))
        return result


def _keys(inputs: BatchInputs, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return by what the workspace knows each execution: notebook and parameters, and of equal rows which one it is."""
    found, seen = [], Counter[str]()
    for row in rows:
        same = content_hash([inputs.version, row, inputs.kernel, inputs.nonce], 40)
        seen[same] += 1
        found.append(f"batch/{same}/{seen[same]}")
    return found


def _row(inputs: BatchInputs, row: dict[str, Any], index: int, key: str) -> Child:
    given = {
        "notebook": "{{ notebook }}",
        "parameters": "{{ row }}",
        "output": "{{ output }}",
        "key": key,
        "version": inputs.version,
        "reuse": inputs.reuse,
        "kernel": inputs.kernel,
    }
    names = {"notebook": inputs.notebook, "row": row, "output": str(Path(inputs.folder) / f"{index + 1:04d}.ipynb")}
    definition = StepDefinition.model_validate({"type": ROW, "with": given, "timeout": inputs.limit_s, "retry": Retry(attempts=1)})
    return Child(f"[{index}]", definition, names)


def _check_unchanged(inputs: BatchRowInputs) -> None:
    """Raise for a notebook that is another one now: what it gives is not what the row's key says."""
    path = Path(inputs.notebook)
    if path.is_file() and content_hash(path.read_text(encoding="utf-8")) != inputs.version:
        what = f"{path.name} was changed since its batch was started"
        raise InvalidInput(what=what, where=str(path), next="Start a batch of it: the same command again.")


def _earlier(context: StepContext, key: str) -> tuple[str, dict[str, Any] | None]:
    """Return the key under which this execution is to be kept, and what an earlier one gave, if its notebook is still there."""
    number = 0
    while True:
        name = f"{key}/{number}" if number else key  # another one where the files of the last were removed
        known = context.row_known(name)
        if known is None or known.state != "succeeded":
            return name, None
        if Path(known.output["output"]).is_file():
            return name, known.output
        number += 1


def _copied(source: str, target: str) -> None:
    if Path(source) == Path(target):
        return
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    part = Path(target).with_suffix(".part")
    shutil.copyfile(source, part)
    part.replace(target)
