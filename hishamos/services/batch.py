"""``ws.batch``: a notebook executed once per row, as a run of one step that has a notebook step for each row."""

from __future__ import annotations

import os
import tempfile
from builtins import list as List  # noqa: N812 - one import style for all services
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from hishamos.contracts.batch import Batch
from hishamos.contracts.notebooks import NOTEBOOKS_AT_ONCE
from hishamos.errors import InvalidInput, UnknownName
from hishamos.kernels.declared import NotebookFacts, read_notebook, runnable, typed_rows
from hishamos.kernels.execution import NATIVE
from hishamos.records.batches import MOST_ROWS, BatchInfo, BatchRow, RowStatus, RunnableNotebook
from hishamos.records.definitions import StepDefinition, WorkflowDefinition
from hishamos.records.record import canonical, new_id
from hishamos.records.runs import Run, RunKind, RunState
from hishamos.security import redact
from hishamos.services.batch_summary import STEP, SUMMARY, folder_of, rows_at, statuses
from hishamos.services.notebook_cells import workflow_name
from hishamos.services.service import Service, implements
from hishamos.services.settling import settled
from hishamos.services.starting import start_run

RESUMED = frozenset({RunState.FAILED, RunState.CANCELLED, RunState.PAUSED})
LOOKED_AT = 50
"""So many earlier batches of a notebook are looked at for the same rows."""


@implements(Batch)
class BatchService(Service):
    """Implements :class:`hishamos.contracts.batch.Batch`."""

    def start(
        self,
        notebook: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        jobs: int = 2,
        output: str | None = None,
        fresh: bool = False,
        reuse: bool = False,
        kernel: str | None = None,
        timeout_s: float | None = None,
        cells: bool = False,
    ) -> Run:
        """See the contract."""
        return self._start("batch.start", notebook, rows, jobs=jobs, output=output, fresh=fresh, reuse=reuse, kernel=kernel, timeout_s=timeout_s, cells=cells)

    def run(
        self,
        notebook: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        jobs: int = 2,
        output: str | None = None,
        fresh: bool = False,
        reuse: bool = False,
        kernel: str | None = None,
        timeout_s: float | None = None,
        cells: bool = False,
    ) -> Run:
        """See the contract."""
        return self.run_later(notebook, rows, jobs=jobs, output=output, fresh=fresh, reuse=reuse, kernel=kernel, timeout_s=timeout_s, cells=cells).result()

    def run_later(
        self,
        notebook: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        jobs: int = 2,
        output: str | None = None,
        fresh: bool = False,
        reuse: bool = False,
        kernel: str | None = None,
        timeout_s: float | None = None,
        cells: bool = False,
    ) -> Future[Run]:
        """The answer of :meth:`run`, at once as a future; no thread waits."""
        run = self._start("batch.run", notebook, rows, jobs=jobs, output=output, fresh=fresh, reuse=reuse, kernel=kernel, timeout_s=timeout_s, cells=cells)
        return settled(self.machinery, run.id)

    def list(self, *, state: RunState | None = None, limit: int = 100) -> List[BatchInfo]:
        """See the contract."""
        found = self.machinery.journal.history.found(state=state, kind=RunKind.BATCH.value, limit=limit)
        return self._told(found)

    def notebooks(self) -> List[RunnableNotebook]:
        """See the contract."""
        return runnable(self.root)

    def rows(self, run: str, *, status: RowStatus | None = None, after: int = -1, limit: int = MOST_ROWS) -> List[BatchRow]:
        """See the contract."""
        found, history = self._batch(run), self.machinery.journal.history
        now = statuses(found, history.states_below([found.id], STEP)[found.id])
        wanted = [index for index, one in enumerate(now) if index > after and status in {None, one}]
        return rows_at(history, found, wanted[:limit])

    def executed(self, run: str, index: int) -> str:
        """See the contract."""
        found, where = self._batch(run), f"batch {run}, row {index + 1}"
        if not 0 <= index < len(found.inputs["rows"]):
            raise InvalidInput(what="there is no such row", where=where, next=f"It has {len(found.inputs['rows'])}.")
        row = rows_at(self.machinery.journal.history, found, [index])[0]
        if row.output_path is None:
            raise InvalidInput(what=f"it has no executed notebook, it is {row.status}", where=where, next="It has one once it was executed.")
        try:
            return Path(row.output_path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            what = f"its executed notebook can't be read: {error}"
            raise InvalidInput(what=what, where=row.output_path, next="Put it back, or execute the rows anew: --fresh (fresh=True).") from None

    def get(self, run: str) -> BatchInfo:
        """See the contract."""
        return self._told([self._batch(run)])[0]

    def _told(self, runs: Sequence[Run]) -> List[BatchInfo]:
        history = self.machinery.journal.history
        states = history.states_below([run.id for run in runs], STEP)
        return [_told(run, statuses(run, states[run.id]), folder_of(history.pinned(run.id))) for run in runs]

    def _start(
        self, verb: str, notebook: str, rows: Sequence[Mapping[str, Any]], *, jobs: int, output: str | None, fresh: bool, cells: bool, **how: Any
    ) -> Run:
        path = self._found(notebook)
        facts = read_notebook(path)
        check_amount(len(rows), jobs, how["timeout_s"])
        given = typed_rows(facts, path, rows, cells=cells)
        self._check_secrets(path, given)
        _check_kernel(path, facts, how["kernel"])
        inputs = {"notebook": str(path), "notebook_hash": facts.version, "rows": given, "jobs": jobs, **how}
        if output:
            inputs["output"] = str(self._folder(output))
        earlier = None if fresh else self._earlier(path, inputs)
        if earlier is not None:
            return self._again(verb, earlier)
        identity = new_id()
        folder = self._folder(output) if output else self._folder(None) / identity
        check_folder(folder)
        definition = _definition(path, facts, folder, jobs, nonce=identity if fresh else None, **how)
        return start_run(self, definition, inputs, kind=RunKind.BATCH, verb=verb, identity=identity)

    def _check_secrets(self, notebook: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse keys: papermill writes parameters in clear text into every executed notebook."""
        secrets = self.machinery.secrets()
        for number, row in enumerate(rows, 1):
            for name, value in row.items():
                if any(redact(text, secrets) != text for text in _texts(value)):
                    what = f"the value of {name!r} is or looks like a key, which would stand in clear text in the executed notebook"
                    following = "Keep it in the server's environment or a keyring, and have the notebook call models through ws."
                    raise InvalidInput(what=what, where=f"{notebook.name}, row {number}", next=following)

    def _folder(self, output: str | None) -> Path:
        folder = Path(output).expanduser() if output else Path("data") / "local" / "batches"
        return folder if folder.is_absolute() else self.root / folder

    def _earlier(self, notebook: Path, inputs: Mapping[str, Any]) -> Run | None:
        """Return the newest batch of the same notebook text with the same rows, executed by the same kernel into the same folder."""
        wanted = canonical(_identity(inputs))
        runs = self.machinery.journal.history.found(kind=RunKind.BATCH.value, name=workflow_name(notebook), limit=LOOKED_AT)
        return next((run for run in runs if run.inputs.get("notebook_hash") == inputs["notebook_hash"] and canonical(_identity(run.inputs)) == wanted), None)

    def _again(self, verb: str, run: Run) -> Run:
        """Go on with a batch that has not succeeded: only what is missing is executed. A finished one is returned as it is."""
        if run.state in RESUMED:
            check_folder(folder_of(self.machinery.journal.history.pinned(run.id)))
            journal, owner = self.machinery.journal, self.machinery.runner.owner
            self.change(verb, type(None), lambda transaction: journal.queue(transaction, run.id, owner))
            self.machinery.dispatcher.dispatch(run.id)
        return self.machinery.journal.history.get(run.id)

    def _batch(self, run: str) -> Run:
        history = self.machinery.journal.history
        found = history.get(history.identify(run))
        if found.kind is not RunKind.BATCH:
            known = [one.id for one in history.found(kind=RunKind.BATCH.value, limit=100)]
            raise UnknownName.among("batch", run, known, "See: hishamos runs --kind batch")
        return found

    def _found(self, notebook: str) -> Path:
        path = Path(notebook).expanduser()
        return path if path.is_absolute() else self.root / path


def _told(run: Run, rows: Sequence[RowStatus], folder: Path) -> BatchInfo:
    summary = folder / SUMMARY
    return BatchInfo(
        run=run.id,
        state=run.state,
        notebook=run.inputs["notebook"],
        jobs=run.inputs.get("jobs", 0),
        reuse=run.inputs.get("reuse", False),
        rows=dict(Counter(rows)),
        folder=str(folder),
        summary=str(summary) if summary.is_file() else None,
        cost_nanos=run.cost_nanos,
        unpriced=run.unpriced,
        attempts=run.attempts,
        offline=run.offline,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
    )


def check_amount(rows: int, jobs: int, timeout_s: float | None) -> None:
    """Raise where there are no rows or too many, or where they can't be executed so."""
    if not rows:
        raise InvalidInput(what="there is no row", where="ws.batch", next="Give at least one row of parameters.")
    if rows > MOST_ROWS:
        following = "Give it in parts, or let one notebook do many of them with ws.map."
        raise InvalidInput(what=f"{rows:,} rows are too many: a batch has at most {MOST_ROWS:,}", where="ws.batch", next=following)
    if not 1 <= jobs <= NOTEBOOKS_AT_ONCE:
        raise InvalidInput(what=f"jobs is {jobs}", where="ws.batch", next=f"Give a number from 1 to {NOTEBOOKS_AT_ONCE}.")
    if timeout_s is not None and not timeout_s > 0:
        raise InvalidInput(what=f"timeout_s is {timeout_s}", where="ws.batch", next="Give seconds, more than 0.")


def check_folder(folder: Path) -> None:
    """Raise where no file can be written into a folder, which is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        what = f"executed notebooks can't be written there: {os.strerror(error.errno or 0)}"
        raise InvalidInput(what=what, where=str(folder), next="Choose another folder with --output (output=), or make this one writable.") from None


def _check_kernel(notebook: Path, facts: NotebookFacts, kernel: str | None) -> None:
    wanted = kernel or facts.kernel or NATIVE
    if wanted == NATIVE:
        return
    from jupyter_client.kernelspec import KernelSpecManager

    known = sorted(KernelSpecManager().find_kernel_specs())
    if wanted not in known:
        names = f"Installed: {', '.join(known)}. Install it, or name one of these with --kernel (kernel=)."
        raise InvalidInput(what=f"the kernel {wanted!r} is not installed", where=str(notebook), next=names)


def _identity(inputs: Mapping[str, Any]) -> list[Any]:
    return [inputs.get(name) for name in ("notebook_hash", "rows", "output", "kernel")]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from (str(name), *_texts(inner))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)


def _definition(
    notebook: Path, facts: NotebookFacts, folder: Path, jobs: int, *, nonce: str | None, reuse: bool, kernel: str | None, timeout_s: float | None
) -> WorkflowDefinition:
    given = {"notebook": str(notebook), "version": facts.version, "folder": str(folder), "concurrency": jobs}
    given |= {"reuse": reuse, "kernel": kernel, "limit_s": timeout_s, "nonce": nonce}
    step = StepDefinition.model_validate({"id": STEP, "type": "batch", "with": {name: value for name, value in given.items() if value is not None}})
    outputs = {"executed": "{{ steps.notebooks.output.executed }}", "summary": "{{ steps.notebooks.output.summary }}"}
    return WorkflowDefinition(name=workflow_name(notebook), description=f"{notebook.name} for each row", steps=(step,), outputs=outputs)
