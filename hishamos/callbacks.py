"""Functions of this process that are called here for runs that were started here (``@hishamos.step``) and agents that were asked here."""

from __future__ import annotations

import base64
import importlib
import inspect
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hishamos.contracts.verbs import Verb
from hishamos.errors import HishamosError, ServerError, to_wire
from hishamos.frames.parameter_rows import batch_arguments
from hishamos.records.callbacks import CallBack, CalledBack, Offer, offered, registered
from hishamos.records.plain import plain_data
from hishamos.records.record import new_id
from hishamos.records.runs import Run
from hishamos.workspace import Workspace

OFFERED = frozenset({("workflows", "start"), ("runs", "resume"), ("runs", "fork"), ("runs", "repeat")})
BATCHES = frozenset({("batch", "run"), ("batch", "start")})
PIPED = "hishamos.remote.piped:workspace"
"""What makes a function's ``ws``; by name, for only a function that wants one needs it."""
AT_ONCE = 8
"""So many functions of one run are called at once."""
AGAIN_S = 0.2
TRIES = 10


def called(workspace: Workspace, verb: Verb, arguments: dict[str, Any], call: Callable[[dict[str, Any]], Any]) -> Any:
    """Return what a verb's ``call`` gives; it is told what this process offers to the run that it begins, or to the agent that it asks."""
    if (verb.service, verb.name) in OFFERED and registered and arguments.get("functions") is None:
        desk = Desk(workspace, dict(registered))
        begun = call({**arguments, "functions": desk.offer()})
        run = getattr(begun, "after", begun)  # a repeat tells the run beside the one that it repeats
        if run.where == "kernel":
            desk.open(run.id)
        return begun
    if (verb.service, verb.name) in BATCHES:
        arguments = {**arguments, **batch_arguments(arguments, Path(workspace.root))}
        return call(arguments) if verb.name == "start" else waited(workspace, workspace.batch.start(**arguments))
    tools = arguments.get("tools")
    if (verb.service, verb.name) != ("agents", "ask") or not tools or isinstance(tools, Offer):
        return call(arguments)
    desk = Desk(workspace, {tool.__name__: tool for tool in tools})
    offer = desk.tools()
    desk.open(None)
    try:
        return call({**arguments, "tools": offer})
    finally:
        workspace.functions.leave(offer.desk)


def waited(workspace: Workspace, run: Run) -> Run:
    """Return a run as it is at its end, or as it is when the caller is interrupted: it goes on without him."""
    try:
        return workspace.watch(workspace, run.id, None)
    except KeyboardInterrupt:
        return workspace.runs.get(run.id)


class Desk:
    """Calls functions for one run, or for one question to an agent."""

    def __init__(self, workspace: Workspace, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._workspace, self._functions = workspace, functions
        self._name = new_id(20)
        self._of_agent = False

    def offer(self) -> Offer:
        """Return the functions as they are offered to a run."""
        return Offer(desk=self._name, functions=tuple(offered(name, function) for name, function in self._functions.items()))

    def tools(self) -> Offer:
        """Return the functions as models are told of them; raises :class:`InvalidInput` for one that can't be a tool."""
        from hishamos.engine.toolbox import described

        self._of_agent = True
        return Offer(desk=self._name, tools=tuple(described(function) for function in self._functions.values()))

    def open(self, run: str | None) -> None:
        """Begin to make the calls, in threads, until there are no more."""
        threading.Thread(target=self._serve, args=(run,), name="functions", daemon=True).start()

    def _serve(self, run: str | None) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="function") as pool:
            for _ in range(TRIES):
                try:
                    for call in self._workspace.functions.calls(self._name, run=run):
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
            if self._of_agent:
                from hishamos.engine.toolbox import call_function

                return CalledBack(value=call_function(function, call.arguments, lambda: self._run_workspace(call), call.function))
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
