"""Executes a notebook by papermill with marks that are true: a cell that never ran does not look completed, whatever ended the notebook.

papermill marks the cell at which a kernel died, and every one after it, as completed. Here the cell at work is marked failed and shows why,
those after it stay pending.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill.execute
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillException, PapermillExecutionError

from hishamos.kernels.papermill_engine import HishamosEngine
from hishamos.kernels.plain_receipt import add_receipt, introduced

LOOK_S = 0.05
"""How often a kernel at work is looked at, seconds."""
SAVED_S = 2.0
"""A notebook at work is written at most so often, seconds."""
DIED = "KernelDied"
SHOWN = 2_000

Verdict = Callable[[], str | None]


class Manager(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """Marks cells as they ran, and writes a notebook that takes long now and then."""

    _saved_at = 0.0

    def save(self, **_: Any) -> None:
        """Write the notebook if it was not written of late."""
        if time.monotonic() - self._saved_at >= SAVED_S:
            super().save()
            self._saved_at = time.monotonic()

    def notebook_start(self, **named: Any) -> None:
        """Begin with every cell pending."""
        self._saved_at = time.monotonic()
        super().notebook_start(**named)

    def notebook_complete(self, **_: Any) -> None:
        """Note when the notebook ended. A cell that never ran stays pending."""
        self.end_time = self.now()
        facts = self.nb.metadata.papermill
        facts["end_time"], facts["duration"] = self.end_time.isoformat(), (self.end_time - self.start_time).total_seconds()
        self.complete_pbar()
        self.cleanup_pbar()
        self._saved_at = 0.0
        self.save()


class Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Executes the cells. ``forked``: the kernel, where it is one of ours; ``verdict``: why whoever watches had the notebook ended."""

    def __init__(self, manager: Manager, *, forked: Any = None, verdict: Verdict = lambda: None, **named: Any) -> None:
        super().__init__(manager, km=forked, **named)
        self._forked, self._verdict = forked, verdict
        self._left = False
        self.on_cell_executed = self._look_for_the_end
        if forked is not None:
            self.kc = forked.client

    def execute(self, **named: Any) -> Any:
        """Execute all cells up to the first one that fails, or at which the kernel dies."""
        self.reset_execution_trackers()
        with self.setup_kernel(**named):
            if self.papermill_execute_cells():
                self.nb.metadata["language_info"] = self._language()
            self.set_widgets_metadata()
        return self.nb

    def papermill_execute_cells(self) -> bool:
        """Execute the cells; False where the kernel died, or was told to end."""
        for index, cell in enumerate(self.nb.cells):
            self.nb_man.cell_start(cell, index)
            if cell.get("id"):  # as a notebook's face tells its kernel which cell is at work
                self.kc.session.metadata = {"cellId": cell["id"]}
            try:
                self.execute_cell(cell, index)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                died = not isinstance(error, CellExecutionError)
                if died:
                    note_death(cell, self._how(error))
                self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                return not died
            except BaseException as error:
                self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                raise
            finally:
                self.nb_man.cell_complete(cell, cell_index=index)
            if self._left:
                return False
        return True

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Keep an output; what is printed comes in pieces that end where the kernel happened to send them, and is one text again."""
        out = super().output(outs, msg, display_id, cell_index)
        if out is not None and len(outs) > 1 and all(one.output_type == "stream" and one.name == out.get("name") for one in outs[-2:]):
            outs[-2].text += outs.pop().text
        return out

    def _look_for_the_end(self, *, execute_reply: dict[str, Any], **_: Any) -> None:
        """Note that a cell called ``quit()`` or ``exit()``: its kernel ends in a moment, and whether the next cells come before that is a matter of luck."""
        told = execute_reply["content"].get("payload", ())
        self._left = any(part.get("source") == "ask_exit" and not part.get("keepkernel") for part in told)
        if self._left and self._forked is not None:
            self._forked.leaving = True

    def _language(self) -> Any:
        return self._forked.language if self._forked else self.wait_for_reply(self.kc.kernel_info())["content"]["language_info"]

    def _how(self, error: BaseException) -> str:
        if self._forked is not None:
            return str(self._forked.how())
        return self._verdict() or (f"its kernel died: {error}" if isinstance(error, DeadKernelError) else str(error))

    async def _async_poll_kernel_alive(self) -> None:
        """See nbclient, which looks once a second."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._forked is None and self._verdict() is not None:
                with contextlib.suppress(RuntimeError):
                    await ensure_async(self.km.shutdown_kernel(now=True))
            try:
                await self._async_check_alive()
            except DeadKernelError:
                self.task_poll_for_reply.cancel()
                return


def note_death(cell: Any, reason: str) -> None:
    """Write into a cell why it did not end."""
    cell.outputs.append(nbformat.v4.new_output("error", ename=DIED, evalue=reason, traceback=[f"{DIED}: {reason}"]))


def run_engine(nb: Any, kernel_name: str, output_path: str | None, options: dict[str, Any]) -> Any:
    """Execute a notebook as papermill asks its engines to; returns it executed."""
    manager_options = {name: options.pop(name) for name in ("progress_bar", "log_output", "autosave_cell_every") if name in options}
    manager = Manager(nb, output_path=output_path, **manager_options)
    introduction = contextlib.nullcontext() if "forked" in options else introduced(options.get("input_path"))
    for name in ("input_path", "timeout"):
        options.pop(name, None)
    options["startup_timeout"] = options.pop("start_timeout", 60)
    options["timeout"] = options.pop("execution_timeout", None)
    manager.notebook_start()
    with introduction as plain:
        try:
            Client(manager, kernel_name=kernel_name, **options).execute()
        finally:
            manager.cleanup_pbar()
            manager.notebook_complete()
    if plain is not None:
        add_receipt(manager.nb, plain)
    return manager.nb


def execute(order: dict[str, Any], kernel: Any, verdict: Verdict) -> dict[str, Any]:
    """Execute what a worker was ordered to and return how it went: ``state``, and for a failure ``cell``, ``count`` and ``reason``.

    ``order``: ``notebook``, ``part`` (where it is written), ``output`` (what that will be called), ``parameters``, ``kernel``, ``folder``,
    ``facts`` (what the executed notebook keeps about its run).
    """
    told: dict[str, Any] = {"state": "succeeded", "cell": None, "count": None, "reason": None}
    papermill_engines.register("hishamos", HishamosEngine)  # also where the package is used without having been installed
    try:
        papermill.execute.execute_notebook(
            _plain(order["notebook"]),
            _plain(order["part"]),
            order["parameters"],
            engine_name="hishamos",
            kernel_name=order["kernel"],
            language=order["language"],
            progress_bar=False,
            cwd=order["folder"],
            log_output=False,
            forked=kernel,
            verdict=verdict,
        )
    except PapermillExecutionError as error:
        reason = error.evalue if error.ename == DIED else f"{error.ename}: {error.evalue}"
        told |= {"state": "failed", "cell": error.cell_index, "count": error.exec_count, "reason": reason[:SHOWN]}
    except (PapermillException, OSError, RuntimeError, ValueError) as error:
        told |= {"state": "failed", "reason": verdict() or f"{type(error).__name__}: {error}"[:SHOWN]}
    if Path(order["part"]).exists():
        _written(order, told)
    return told


def _written(order: dict[str, Any], told: dict[str, Any]) -> None:
    notebook = nbformat.read(order["part"], 4)
    notebook.metadata.papermill["output_path"] = order["output"]
    notebook.metadata["hishamos"] = order["facts"] | {name: value for name, value in told.items() if value is not None}
    nbformat.write(notebook, order["part"])


def _plain(path: str) -> str:
    """Return a path in which papermill finds nothing to fill in."""
    return path.replace("{", "{{").replace("}", "}}")
