"""Executes notebooks: each in a process of its own, with a time limit, and an outcome that can be trusted."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from hishamos.contracts.notebooks import NotebookCall, NotebookEnd
from hishamos.contracts.verbs import Verb
from hishamos.errors import HishamosError, InvalidInput, NotebookFailed, NotebookTimedOut
from hishamos.kernels.declared import NotebookFacts, read_notebook
from hishamos.kernels.declared_result import declared_result
from hishamos.kernels.notebook_pool import ENDING_S, FORKS, NotebookPool, NotebookProcess
from hishamos.kernels.receipt_cell import put_receipt
from hishamos.kernels.true_marks import mend
from hishamos.records.receipts import Receipt
from hishamos.records.record import content_hash, derived_id, now
from hishamos.records.runs import Run
from hishamos.security import redact

ACTING, NOTEBOOK, EXECUTION = "HISHAMOS_ACTING", "HISHAMOS_NOTEBOOK", "HISHAMOS_EXECUTION"
"""The variables by which a notebook's calls are known."""
MakeReceipt = Callable[[str, Path, Mapping[str, Any], datetime], Receipt]
"""Makes the receipt of an execution: its id, the notebook, its parameters, when it began."""
log = logging.getLogger(__name__)
LATE_S = 10.0
"""A process that says nothing so long after a notebook's time is over is ended, seconds."""
NATIVE = "python3"
"""The kernel that is a fork of ours."""


class NotebookExecutor:
    """Executes notebooks for one workspace; what is still at work when it closes is ended.

    ``receipt``: makes what each executed notebook ends in; ``memory_mb``: most megabytes for a notebook; ``secrets``: what no notebook is given.
    """

    def __init__(self, root: Path, receipt: MakeReceipt, *, memory_mb: Callable[[], int], secrets: Callable[[], Iterable[str]] = list) -> None:
        self._root, self._receipt, self._secrets = root, receipt, secrets
        self.memory_mb = memory_mb
        self.pool = NotebookPool(root, self.variables)
        self._acting: dict[str, Acting] = {}
        """What the notebooks at work are executed for, by the token that only their processes were given."""

    def prepare(self, call: NotebookCall) -> Execution:
        """Return an execution that can be made once; see :class:`hishamos.contracts.notebooks.PrepareNotebook`."""
        return Execution(self, call)

    def variables(self) -> dict[str, str]:
        """Return the environment of a notebook: the server's, without anything that is or looks like a key."""
        hidden = list(self._secrets())
        kept = {name: value for name, value in os.environ.items() if redact(value, hidden) == value}
        return kept | {"HISHAMOS_WORKSPACE": str(self._root), "PYTHONUNBUFFERED": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}

    @contextlib.contextmanager
    def acted(self, call: NotebookCall) -> Any:
        """Return the token with which a notebook's process can act for its step, as long as it is at work."""
        token = secrets.token_hex(16)
        self._acting[token] = Acting(call)
        try:
            yield token
        finally:
            del self._acting[token]

    def acting(self, token: str) -> Acting:
        """Return what a notebook at work is executed for; it knows only its token, so it can't name another's.

        Raises :class:`InvalidInput` once the notebook is not waited for any more: what it does then, nobody would read.
        """
        found = self._acting.get(token)
        if found is None:
            what = "this notebook's step has ended, or was begun by a server that is gone"
            raise InvalidInput(what=what, where=ACTING, next="Its run goes on without this process: see hishamos runs.")
        return found

    def finish(self, part: Path, call: NotebookCall, since: datetime) -> None:
        """Let an executed notebook end in its receipt, before it stands under its name. ``part``: where it is written; ``since``: when it began.

        Without one it is still what it is: a store that is away does not undo what was executed.
        """
        try:
            put_receipt(part, self._receipt(execution_of(call), call.notebook, call.parameters, since))
        except (HishamosError, OSError, ValueError, KeyError) as error:
            log.warning("%s has no receipt: %s", call.notebook.name, error)

    def close(self) -> None:
        """End every notebook that is at work."""
        self.pool.close()


def execution_of(call: NotebookCall) -> str:
    """Return what an execution's calls are known by: the same when it is begun anew after its server died, so that its receipt has them all."""
    return derived_id(f"notebook {call.run.id}/{call.step}/{call.attempt}", 16)


class Acting:
    """A notebook at work, as the server meets what it asks."""

    def __init__(self, call: NotebookCall) -> None:
        self.run: Run = call.run
        self.step = call.step
        self._place = f"{call.run.id}/{call.step}/{call.attempt}"
        self._names: dict[str, str] = {}
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def name(self, identity: str | None, verb: Verb, arguments: Mapping[str, Any]) -> str | None:
        """Return the id of a call that the notebook makes.

        It is the same for the n-th such call of the notebook however often that is begun: where a server died at it, what it had asked and got
        is found again. ``identity``: the client's own, which says whether the call is a repeat.
        """
        if identity is None or verb.kind in {"read", "table"}:
            return identity
        with self._lock:
            if identity not in self._names:
                asked = content_hash([verb.service, verb.name, {name: repr(value) for name, value in arguments.items()}], 40)
                self._asked[asked] += 1
                self._names[identity] = f"{self._place}/{asked}/{self._asked[asked]}"
            return self._names[identity]


class Execution:
    """One execution, as :class:`hishamos.contracts.notebooks.PreparedNotebook`."""

    def __init__(self, executor: NotebookExecutor, call: NotebookCall) -> None:
        self._executor, self._call = executor, call
        self._lock = threading.Lock()
        self._process: NotebookProcess | None = None
        self._stopped = False

    def stop(self) -> None:
        """See the contract."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            if self._process is not None:
                self._process.stop("its step was stopped")

    def run(self) -> NotebookEnd:
        """See the contract."""
        begun, since, call = time.monotonic(), now(), self._call
        try:
            facts = read_notebook(call.notebook)
            call.output.parent.mkdir(parents=True, exist_ok=True)
        except (HishamosError, OSError) as error:
            return NotebookEnd(error=error if isinstance(error, HishamosError) else self._failed({"reason": f"{type(error).__name__}: {error}"}))
        part = call.output.with_name(f".{call.output.stem}.part{call.output.suffix}")
        part.unlink(missing_ok=True)
        with self._executor.acted(call) as token:
            told = self._executed(facts, self._order(facts, part, token))
        if told is None:
            return NotebookEnd(stopped=True)
        if part.exists():
            if told.get("broken"):
                mend(part, told["reason"])
            self._executor.finish(part, call, since)
            part.replace(call.output)
        if self._stopped:
            return NotebookEnd(stopped=True)
        if told["state"] != "succeeded":
            return NotebookEnd(error=self._failed(told))
        return NotebookEnd(seconds=round(time.monotonic() - begun, 3), result=declared_result(call.output))

    def _order(self, facts: NotebookFacts, part: Path, token: str) -> dict[str, Any]:
        call, kernel = self._call, self._call.kernel or facts.kernel or NATIVE
        return {
            "notebook": str(call.notebook),
            "part": str(part),
            "output": str(call.output),
            "parameters": dict(call.parameters),
            "kernel": kernel,
            "language": facts.language,
            "forked": FORKS and kernel == NATIVE,
            "reuse": call.reuse and FORKS and kernel == NATIVE,
            "folder": str(call.notebook.parent),
            "variables": self._executor.variables() | {ACTING: token, NOTEBOOK: str(call.notebook), EXECUTION: execution_of(call)},
            "timeout_s": call.timeout_s,
            "memory_mb": self._executor.memory_mb(),
            "facts": {"run": call.run.id, "step": call.step, "workspace": str(self._executor._root)},
        }

    def _executed(self, facts: NotebookFacts, order: dict[str, Any]) -> dict[str, Any] | None:
        """Have the order carried out; None where nobody may any more."""
        pool = self._executor.pool
        process = pool.take(facts.imports, (order["memory_mb"],) if order["reuse"] else None)
        if process is None:
            return None
        process.fits = (order["memory_mb"],)
        told: dict[str, Any] | None = None
        late = True
        try:
            with self._lock:
                if self._stopped:
                    return None
                self._process = process
            told = self._told(process, order)
            late = False
        except TimeoutError:
            told = {"state": "failed", "reason": f"it took longer than its limit of {order['timeout_s']:g} s, and did not end", "broken": True}
        finally:
            with self._lock:
                self._process = None
            pool.give_back(process, keep=bool(told and told.get("keep")), kill=late)
        if told is None:
            if pool.closed:
                return None
            told = {"state": "failed", "reason": "its process died, maybe for want of memory", "broken": True}
        return told

    def _told(self, process: NotebookProcess, order: dict[str, Any]) -> dict[str, Any] | None:
        with contextlib.suppress(OSError):
            process.order(order)
        until = time.monotonic() + order["timeout_s"] + LATE_S
        while True:
            left = until - time.monotonic()
            try:
                return process.told(max(0.01, min(left, ENDING_S)))
            except TimeoutError:
                if left < ENDING_S or self._stopped:
                    raise

    def _failed(self, told: Mapping[str, Any]) -> HishamosError:
        call, cell = self._call, told.get("cell")
        place = "" if cell is None else f", cell {cell}" + (f" (In [{told['count']}])" if told.get("count") else "")
        reason = redact(str(told["reason"]), self._executor._secrets())
        if reason.startswith("MemoryError"):
            reason += f" (it may take {self._executor.memory_mb()} MB; more has to be allowed: step_memory_mb under [workspace] in hishamos.toml)"
        facts = {"step": call.step, "notebook": call.notebook.name, "place": place, "cell": cell, "output": str(call.output), "run": call.run.id}
        kind = NotebookTimedOut if "took longer than its limit" in reason else NotebookFailed
        return kind(**facts, reason=reason, seconds=f"{call.timeout_s:g}")


def end_group(group: int) -> None:
    """Kill a process group; nothing happens when it has gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
