"""Calls functions that are not the library's in a few child processes, kept for the next call as long as they are sound."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from hishamos.contracts.code import CodeCall, CodeEnd
from hishamos.errors import FunctionCrashed, FunctionFailed, HishamosError, from_wire
from hishamos.kernels.answering import Answering
from hishamos.kernels.channel import TooLong
from hishamos.kernels.interpreter import ENDING_S, MEGABYTE, Interpreter
from hishamos.security import redact

TRIES = 3
"""So many children are tried that die before they begin a call."""
USES = 500
"""After so many calls a child is replaced."""
IDLE_S = 120.0
"""How long a child without work is kept, seconds."""
GROWN = 0.5
"""The share of its memory that a child may hold between calls."""
PROCESSES = 64
"""Most processes of one call, the child itself counted."""
LOOK_S = 0.5
"""How often calls at work are looked at, seconds."""
EDGE = 250
"""Characters of what a function printed that its error's sentence tells, of the beginning and of the end."""
SHOWN = 2_000
"""Characters of what a function printed that its error keeps as a fact."""


class CodePool:
    """The child processes of one workspace.

    ``memory_mb``: the memory limit in force, megabytes. ``maker``: ``module:function`` that makes the workspace in a child.
    """

    def __init__(self, root: Path, memory_mb: Callable[[], int], maker: str) -> None:
        self._root, self._memory_mb, self._maker = root, memory_mb, maker
        self._idle: list[Interpreter] = []
        self._busy: set[Interpreter] = set()
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._watching = False
        self.closed = False

    def prepare(self, call: CodeCall, workspace: Callable[[], Any]) -> Call:
        """Return a call that can be made once; see :class:`hishamos.contracts.code.PrepareCode`."""
        return Call(self, call, workspace)

    @property
    def processes(self) -> list[int]:
        """The numbers of the process groups at hand, at work or not."""
        with self._lock:
            return [one.pid for one in (*self._idle, *self._busy)]

    def close(self) -> None:
        """End every child and what it started, and start none any more."""
        with self._lock:
            self.closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
            self._news.notify_all()
        for one in (*idle, *busy):
            one.end()
        for one in idle:
            one.clear()
        with self._news:  # a busy one is cleared by the thread that made the call, which may wait for an answer to it
            self._news.wait_for(lambda: not self._busy, ENDING_S)

    def take(self, top: str, stamp: str) -> Interpreter | None:
        """Return a child that has loaded no other source of ``top``; None once closed."""
        memory = self._memory_mb() * MEGABYTE
        with self._lock:
            if self.closed:
                return None
            fit = [one for one in self._idle if one.memory == memory and one.stamps.get(top, stamp) == stamp and one.alive]
            unfit = [one for one in self._idle if one not in fit]
            found = fit.pop() if fit else None
            self._idle = fit
            if found is not None:
                self._busy.add(found)
        for one in unfit:
            one.clear()
        found = found or self._started(memory)
        if found is not None:
            found.stamps[top] = stamp
        return found

    def give_back(self, interpreter: Interpreter, *, sound: bool) -> None:
        """Keep a child for the next call, or end it."""
        with self._lock:
            keep = sound and not self.closed and interpreter.uses < USES
            if keep:
                self._busy.discard(interpreter)
                interpreter.idle_since = time.monotonic()
                self._idle.append(interpreter)
        if keep:
            return
        interpreter.clear()
        with self._news:
            self._busy.discard(interpreter)
            self._news.notify_all()

    def _started(self, memory: int) -> Interpreter | None:
        made = Interpreter(self._root, memory, self._maker)
        with self._lock:
            if not self.closed:
                self._busy.add(made)
                if not self._watching:
                    self._watching = True
                    threading.Thread(target=self._watch, name="code-watch", daemon=True).start()
                return made
        made.clear()
        return None

    def _watch(self) -> None:
        """End children that have had nothing to do for long, and calls that take more memory or processes than they may."""
        while True:
            with self._news:
                self._news.wait(LOOK_S)
                if self.closed or not (self._idle or self._busy):
                    self._watching = False
                    return
                now = time.monotonic()
                old = [one for one in self._idle if now - one.idle_since > IDLE_S]
                self._idle = [one for one in self._idle if one not in old]
                busy = list(self._busy)
            for one in old:
                one.clear()
            for one in busy:
                verdict = _too_much(one)
                if verdict is not None:
                    one.end(verdict)


def _too_much(interpreter: Interpreter) -> str | None:
    """Return in words what a child with all that it started takes too much of; None when all is well."""
    try:
        processes = psutil.Process(interpreter.pid).children(recursive=True)
        held = sum(_memory(one) for one in processes)
    except psutil.Error:
        return None
    if len(processes) > PROCESSES:
        return f"it started more than {PROCESSES} processes"
    if held > interpreter.memory:
        return f"it took more than {_limit(interpreter)}"
    return None


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _limit(interpreter: Interpreter) -> str:
    return f"{interpreter.memory // MEGABYTE} MB of memory; more has to be allowed: step_memory_mb under [workspace] in hishamos.toml"


class Call:
    """One call: :meth:`run` blocks until it has ended, :meth:`stop` ends it from any thread, also before it began."""

    def __init__(self, pool: CodePool, call: CodeCall, workspace: Callable[[], Any]) -> None:
        self._pool, self._call, self._workspace = pool, call, workspace
        self._lock = threading.Lock()
        self._interpreter: Interpreter | None = None
        self._stopped = False

    def stop(self) -> None:
        """See the contract."""
        with self._lock:
            self._stopped = True
            if self._interpreter is not None:
                self._interpreter.end()

    def run(self) -> CodeEnd:
        """See the contract."""
        try:
            arguments = json.dumps(dict(self._call.arguments)).encode()
        except (TypeError, ValueError) as error:
            return CodeEnd(error=self._failed(type(error).__name__, f"an argument is no plain data: {error}"))
        for tried in range(1, TRIES + 1):
            interpreter = self._pool.take(self._call.module.partition(".")[0], self._call.stamp)
            if interpreter is None:
                return CodeEnd(stopped=True)
            with self._lock:
                self._interpreter = None if self._stopped else interpreter
            if self._interpreter is None:
                self._pool.give_back(interpreter, sound=True)
                return CodeEnd(stopped=True)
            sound = False
            try:
                end, sound, begun = self._made(interpreter, arguments)
            finally:
                with self._lock:
                    self._interpreter = None
                self._pool.give_back(interpreter, sound=sound)
            if begun or end.stopped or tried == TRIES:
                return end
        raise AssertionError("unreachable")

    def _made(self, interpreter: Interpreter, arguments: bytes) -> tuple[CodeEnd, bool, bool]:
        """Make the call; tells too whether the child can be used again, and whether it had begun: one that was dead before is not the call's doing."""
        call, begun = self._call, False
        interpreter.begin_call()
        answering = Answering(self._workspace)
        try:
            interpreter.send({"module": call.module, "attribute": call.attribute}, arguments)
            while (message := interpreter.receive()) is not None:
                head, body = message
                if "begun" in head:
                    begun = True
                elif "ask" in head:
                    interpreter.send(*answering.answer(head["ask"], body))
                else:
                    return self._ended(interpreter, head, body), not head["left"] and head["held"] < interpreter.memory * GROWN, True
        except TooLong:
            begun = True
            interpreter.end("more than 64 MB at once were to go to it or come from it; pass the path of a file")
        except OSError:
            pass  # it ended while it was spoken to
        finally:
            answering.close()
        interpreter.outlive()
        if interpreter.verdict is None and (self._stopped or self._pool.closed):
            return CodeEnd(stopped=True), False, True
        return CodeEnd(error=self._crashed(interpreter)), False, begun

    def _ended(self, interpreter: Interpreter, head: dict[str, Any], body: bytes) -> CodeEnd:
        if head.get("value"):
            return CodeEnd(value=json.loads(body))
        if "error" in head:
            return CodeEnd(error=from_wire(head["error"]))
        reason = str(head["reason"]) or "no message"
        if head["memory"]:
            reason = f"it needed more than {_limit(interpreter)}"
        place = f" ({head['place']})" if head["place"] else ""
        return CodeEnd(error=self._failed(str(head["raised"]), redact(reason)[:SHOWN] + place, interpreter, redact(str(head["trace"]))))

    def _failed(self, kind: str, reason: str, interpreter: Interpreter | None = None, trace: str = "") -> HishamosError:
        printed = redact(interpreter.printed()) if interpreter else ""
        said = f". It printed: {_short(printed)}" if printed else ""
        call = self._call
        return FunctionFailed(step=call.step, function=call.function, kind=kind, reason=reason + said, printed=printed[-SHOWN:], trace=trace)

    def _crashed(self, interpreter: Interpreter) -> HishamosError:
        printed = redact(interpreter.printed())
        said = f". It printed: {_short(printed)}" if printed else ""
        call, how = self._call, interpreter.how()
        return FunctionCrashed(step=call.step, function=call.function, kind="Crash", reason=how + said, printed=printed[-SHOWN:])


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 2 * EDGE else f"{flat[:EDGE]} … {flat[-EDGE:]}"
