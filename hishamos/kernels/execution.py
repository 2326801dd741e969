"""Executes a notebook: a child process with its own process group, a time limit, and an outcome that can be trusted."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from hishamos.errors import HishamosError, InvalidInput, StepFailed
from hishamos.kernels.receipt_cell import put_receipt
from hishamos.records.receipts import Receipt
from hishamos.records.record import new_id, now
from hishamos.records.runs import Run

POLL_S = 0.05
MakeReceipt = Callable[[str, Path, Mapping[str, Any], datetime], Receipt]
"""Makes the receipt of an execution: its id, the notebook, its parameters, when it began."""
log = logging.getLogger(__name__)


class NotebookExecutor:
    """Runs notebooks for one workspace; what is still at work when it closes is ended. ``receipt``: makes what each executed notebook ends in."""

    def __init__(self, root: Path, receipt: MakeReceipt) -> None:
        self._root, self._receipt = root, receipt
        self._running: set[int] = set()
        self._acting: dict[str, tuple[Run, str]] = {}
        """The runs and steps whose notebooks are at work, by the token that only their processes were given."""
        self._closed = False

    def execute(self, notebook: Path, parameters: Mapping[str, Any], output: Path, *, run: Run, step: str, timeout_s: float) -> dict[str, Any]:
        """Execute ``notebook`` with ``parameters`` into ``output``, which appears only when it is complete.

        ``run``, ``step``: what calls made in the notebook belong to, see :meth:`acting`. ``timeout_s``: seconds for the whole notebook.
        Raises :class:`StepFailed` with the failing cell and the reason; the output then holds what had run.
        """
        output.parent.mkdir(parents=True, exist_ok=True)
        begun, since, execution = time.monotonic(), now(), new_id(16)
        with tempfile.TemporaryDirectory(prefix="hishamos-nb-") as folder:
            given, outcome, part = Path(folder) / "parameters.json", Path(folder) / "outcome.json", Path(folder) / output.name
            given.write_text(json.dumps(dict(parameters)), encoding="utf-8")
            token = secrets.token_hex(16)
            self._acting[token] = (run, step)
            try:
                arguments = [str(notebook), str(part), "--parameters", str(given), "--execution", execution, "--outcome", str(outcome)]
                ended = self._run(arguments, token, timeout_s)
            finally:
                del self._acting[token]
            if part.exists():
                self._finish(part, execution, notebook, parameters, since)
                draft = output.with_suffix(".part")
                draft.write_bytes(part.read_bytes())
                draft.replace(output)
            found = json.loads(outcome.read_text(encoding="utf-8")) if outcome.exists() else {"ok": False, "cell": None, "reason": ended}
        if not found["ok"]:
            cell = "" if found["cell"] is None else f", cell {found['cell']}"
            raise StepFailed(step=f"{notebook.name}{cell}", reason=found["reason"], output=str(output))
        return {"output": str(output), "seconds": round(time.monotonic() - begun, 3)}

    def acting(self, token: str) -> tuple[Run, str]:
        """Return the run and step that a notebook at work belongs to; it knows only its token, so it can't name another's.

        Raises :class:`InvalidInput` once the notebook is not waited for any more: what it does then, nobody would read.
        """
        found = self._acting.get(token)
        if found is None:
            what = "this notebook's step has ended, or was begun by a server that is gone"
            raise InvalidInput(what=what, where="HISHAMOS_ACTING", next="Its run goes on without this process: see hishamos runs.")
        return found

    def close(self) -> None:
        """End every notebook that is at work."""
        self._closed = True
        for pid in list(self._running):
            end_group(pid)

    def _finish(self, part: Path, execution: str, notebook: Path, parameters: Mapping[str, Any], since: datetime) -> None:
        """Let the executed notebook end in its receipt. Without one it is still what it is: a store that is away does not undo what was executed."""
        try:
            put_receipt(part, self._receipt(execution, notebook, parameters, since))
        except (HishamosError, OSError, ValueError, KeyError) as error:
            log.warning("%s has no receipt: %s", notebook.name, error)

    def _run(self, arguments: list[str], acting: str, timeout_s: float) -> str:
        """Run the child to its end and return, in words, how it ended."""
        environment = os.environ | {"HISHAMOS_WORKSPACE": str(self._root), "HISHAMOS_ACTING": acting, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hishamos.kernels.child", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=self._root,
        )
        self._running.add(process.pid)
        try:
            _, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return f"it took longer than {timeout_s:g} s"
        finally:
            # The kernel is a child of the child: the whole group goes, also after a clean end.
            end_group(process.pid)
            process.wait()
            self._running.discard(process.pid)
        if self._closed:
            return "the workspace's server left"
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        return f"its process ended with code {process.returncode}: {last[0]}"


def end_group(group: int) -> None:
    """Kill a process group; nothing happens when it has gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
