"""The functions that ``@hishamos.step`` registered in this process, called here for the runs that were started here."""

from __future__ import annotations

import base64
import importlib
import inspect
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hishamos.contracts.verbs import Verb
from hishamos.errors import HishamosError, ServerError, to_wire
from hishamos.records.callbacks import CallBack, CalledBack, Offer, offered, registered
from hishamos.records.plain import plain_data
from hishamos.records.record import new_id
from hishamos.workspace import Workspace

OFFERED = frozenset({("workflows", "start"), ("runs", "resume"), ("runs", "fork")})
PIPED = "hishamos.remote.piped:workspace"
"""What makes a function's ``ws``; by name, for only a function that wants one needs it."""
AT_ONCE = 8
"""So many functions of one run are called at once."""
AGAIN_S = 0.2
TRIES = 10


def with_functions(workspace: Workspace, verb: Verb, arguments: dict[str, Any]) -> tuple[dict[str, Any], Desk | None]:
    """Return a verb's arguments with what this process offers to the run that it begins, and the desk at which that run's calls are made."""
    if (verb.service, verb.name) not in OFFERED or not registered or arguments.get("functions") is not None:
        return arguments, None
    desk = Desk(workspace)
    return {**arguments, "functions": desk.offer}, desk


class Desk:
    """Calls the functions for one run."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._functions = dict(registered)
        self.offer = Offer(desk=new_id(20), functions=tuple(offered(name, function) for name, function in self._functions.items()))

    def serve(self, run: Any) -> Any:
        """Begin to make a run's calls, if it has any to make; returns the run."""
        if run.where == "kernel":
            threading.Thread(target=self._serve, args=(run.id,), name=f"functions of {run.id}", daemon=True).start()
        return run

    def _serve(self, run: str) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="function") as pool:
            for _ in range(TRIES):
                try:
                    for call in self._workspace.functions.calls(self.offer.desk, run=run):
                        pool.submit(self._make, call)
                    return
                except ServerError:  # it left or was killed: the run goes on with the next one
                    time.sleep(AGAIN_S)

    def _make(self, call: CallBack) -> None:
        try:
            self._workspace.functions.answer(call.id, self._end(call))
        except HishamosError:
            return  # nobody waits for it any more

    def _end(self, call: CallBack) -> CalledBack:
        function = self._functions[call.function]
        try:
            given = {"ws": self._run_workspace(call)} if "ws" in inspect.signature(function).parameters else {}
            return CalledBack(value=plain_data(function(**call.arguments, **given)))
        except HishamosError as error:
            return CalledBack(error=to_wire(error))
        except BaseException as error:  # noqa: BLE001 - whatever a function raises is its step's failure
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
            place = f" (line {frames[-1].lineno} of {frames[-1].name})" if frames else ""
            return CalledBack(raised=type(error).__name__, reason=f"{error}{place}"[:2000])

    def _run_workspace(self, call: CallBack) -> Workspace:
        """Return the run's workspace: what is asked goes through the call, so that it counts for the run and a repeated step writes once."""

        def ask(head: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
            told = self._workspace.functions.ask(call.id, head, base64.b64encode(body).decode())
            return told.head, base64.b64decode(told.body)

        module, _, maker = PIPED.partition(":")
        made: Workspace = getattr(importlib.import_module(module), maker)(self._workspace.root, ask)
        return made
