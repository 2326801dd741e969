"""``ws.batch``: a notebook executed once per row, as a run whose step is a map of notebook steps."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - one import style for all services
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hishamos.contracts.services import Batch
from hishamos.errors import InvalidInput
from hishamos.kernels.declared import check
from hishamos.records.definitions import StepDefinition, WorkflowDefinition
from hishamos.records.record import content_hash, new_id
from hishamos.records.runs import Run, RunKind, RunState, Step, StepState
from hishamos.records.workspaces import BatchRow
from hishamos.services.service import Service, implements
from hishamos.services.starting import start_run

STEP = "notebooks"
STATUS = {
    StepState.SUCCEEDED: "succeeded",
    StepState.FAILED: "failed",
    StepState.TIMED_OUT: "failed",
    StepState.CANCELLED: "cancelled",
    StepState.RUNNING: "running",
}
"""A step's state as a row's status; the others are pending."""
RESUMED = frozenset({RunState.FAILED, RunState.CANCELLED, RunState.PAUSED})


@implements(Batch)
class BatchService(Service):
    """Implements :class:`hishamos.contracts.services.Batch`."""

    def start(self, notebook: str, rows: Sequence[Mapping[str, Any]], *, jobs: int = 2, output: str | None = None, fresh: bool = False) -> Run:
        """See the contract."""
        path = self._found(notebook)
        if not rows:
            raise InvalidInput(what="there is no row", where="ws.batch.start", next="Give at least one row of parameters.")
        check(path, rows)
        folder = self._folder(output)
        inputs = {"notebook": str(path), "notebook_hash": content_hash(path.read_text(encoding="utf-8")), "rows": [dict(row) for row in rows]}
        if output:
            inputs["output"] = str(folder)
        earlier = None if fresh else self._earlier(path, inputs)
        if earlier is not None:
            return self._again(earlier)
        identity = new_id()
        definition = _definition(path, folder if output else folder / identity, jobs)
        return start_run(self, definition, inputs, kind=RunKind.BATCH, verb="batch.start", identity=identity)

    def rows(self, run: str) -> List[BatchRow]:
        """See the contract."""
        found = self.machinery.journal.history.get(run)
        steps = {step.path: step for step in self.machinery.journal.history.steps(found.id, under=STEP, state=None, after=None, limit=1_000_000)}
        return [_row(index, parameters, steps.get(f"{STEP}[{index}]")) for index, parameters in enumerate(found.inputs.get("rows", []))]

    def _folder(self, output: str | None) -> Path:
        folder = Path(output).expanduser() if output else Path("data") / "local" / "batches"
        return folder if folder.is_absolute() else self.root / folder

    def _earlier(self, notebook: Path, inputs: Mapping[str, Any]) -> Run | None:
        """Return the newest batch of the same notebook text with the same rows."""
        runs = self.machinery.journal.history.found(state=None, kind=RunKind.BATCH.value, name=notebook.stem, project=None, limit=100)
        return next((run for run in runs if content_hash(run.inputs) == content_hash(inputs)), None)

    def _again(self, run: Run) -> Run:
        """Go on with a batch that has not succeeded: only what is missing is executed. A finished one is returned as it is."""
        if run.state in RESUMED:
            journal, owner = self.machinery.journal, self.machinery.runner.owner
            self.change("batch.start", type(None), lambda transaction: journal.queue(transaction, run.id, owner))
            self.machinery.dispatcher.dispatch(run.id)
        return self.machinery.journal.history.get(run.id)

    def _found(self, notebook: str) -> Path:
        path = Path(notebook).expanduser()
        return path if path.is_absolute() else self.root / path


def _definition(notebook: Path, folder: Path, jobs: int) -> WorkflowDefinition:
    inner = {
        "type": "notebook",
        "with": {"notebook": str(notebook), "parameters": "{{ row }}", "output": str(folder) + "/{{ '%04d' | format(row_index) }}.ipynb"},
    }
    step = StepDefinition.model_validate(
        {"id": STEP, "type": "map", "with": {"over": "{{ inputs.rows }}", "as": "row", "concurrency": jobs, "step": inner}, "retry": {"attempts": 1}}
    )
    return WorkflowDefinition(
        name=notebook.stem, description=f"{notebook.name} for each row", steps=(step,), outputs={"executed": "{{ steps.notebooks.output }}"}
    )


def _row(index: int, parameters: dict[str, Any], step: Step | None) -> BatchRow:
    if step is None:
        return BatchRow(index=index, status="pending", parameters=parameters)
    seconds = (step.finished_at - step.started_at).total_seconds() if step.finished_at and step.started_at else None
    return BatchRow.model_validate(
        {
            "index": index,
            "status": STATUS.get(step.state, "pending"),
            "parameters": parameters,
            "output_path": (step.output or {}).get("output") if step.output else None,
            "error": step.error.message if step.error else None,
            "cost_nanos": step.cost_nanos,
            "seconds": seconds,
            "reused": step.reused,
        }
    )
