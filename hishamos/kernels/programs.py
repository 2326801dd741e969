"""Runs programs for one workspace: no shell, few variables, a process group that is ended as a whole, bounded output and memory."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from hishamos.contracts.programs import ProgramEnd
from hishamos.kernels.execution import end_group

SUPERVISOR = Path(__file__).with_name("supervisor.py")
KEPT = ("HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
"""Variables that a program gets beside ``PATH``; none that holds a key."""
LINGER_S = 1.0
"""How long a program's output is read after its end, seconds."""
USUAL = "/usr/local/bin:/usr/bin:/bin"


class Programs:
    """Starts programs; what is still at work when it closes is ended."""

    def __init__(self) -> None:
        self._running: set[Program] = set()
        self._lock = threading.Lock()
        self.closed = False

    def prepare(self, name: str, arguments: Sequence[str], *, folder: Path, stdin: str | None, limit: int, memory: int) -> Program:
        """Return a program that can be run once. ``limit``: most bytes of each output; ``memory``: bytes for each of its processes."""
        return Program(self, name, arguments, folder, stdin, limit, memory)

    def close(self) -> None:
        """End every program, and start none any more."""
        with self._lock:
            self.closed = True
            running = list(self._running)
        for program in running:
            program.stop()

    def note(self, program: Program, *, running: bool) -> None:
        """Keep in mind what has to be ended at the end."""
        with self._lock:
            (self._running.add if running else self._running.discard)(program)


class Program:
    """One program: :meth:`run` blocks until it has ended, :meth:`stop` ends it from any thread, also before it began."""

    def __init__(self, programs: Programs, name: str, arguments: Sequence[str], folder: Path, stdin: str | None, limit: int, memory: int) -> None:
        self._programs, self._name, self._arguments = programs, name, list(arguments)
        self._folder, self._stdin, self._limit, self._memory = folder, stdin, limit, memory
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def stop(self) -> None:
        """End the program and everything that it started."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                end_group(self._process.pid)

    def run(self) -> ProgramEnd:
        """Run the program to its end."""
        search = _search_path()
        path = self._name if os.path.isabs(self._name) else shutil.which(self._name, path=search)
        if path is None:
            return ProgramEnd(problem=f"there is no program {self._name} in {search}")
        control, held = os.pipe()
        outcome, told = os.pipe()
        command = [sys.executable, "-I", "-S", str(SUPERVISOR), str(control), str(told), str(self._memory), path, *self._arguments]
        self._programs.note(self, running=True)
        try:
            with tempfile.TemporaryFile() as given:
                given.write((self._stdin or "").encode())
                given.seek(0)
                with self._lock:
                    if self._stopped or self._programs.closed:
                        return ProgramEnd(stopped=True)
                    process = self._process = subprocess.Popen(
                        command,
                        stdin=given,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        cwd=self._folder,
                        env=environment(),
                        pass_fds=(control, told),
                        start_new_session=True,
                    )
            os.close(told)
            told = -1
            return self._ended(process, outcome)
        except OSError as error:
            return ProgramEnd(problem=f"it could not be started: {error.strerror}")
        finally:
            self._programs.note(self, running=False)
            for descriptor in (control, held, outcome, told):
                if descriptor >= 0:
                    os.close(descriptor)

    def _ended(self, process: subprocess.Popen[bytes], outcome: int) -> ProgramEnd:
        assert process.stdout is not None
        assert process.stderr is not None
        texts = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray(), outcome: bytearray()}
        too_much, last = False, None
        with selectors.DefaultSelector() as selector:
            for descriptor in texts:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(None if last is None else max(0.0, last - time.monotonic()))
                if not ready and last is not None:
                    break  # somebody who left the group still holds the output open
                for key, _ in ready:
                    part = os.read(key.fd, 65_536)
                    texts[key.fd] += part
                    if not part:
                        selector.unregister(key.fd)
                    if key.fd == outcome:
                        end_group(process.pid)  # what it left behind would hold its output open
                        last = time.monotonic() + LINGER_S
                    elif len(texts[key.fd]) > self._limit and not too_much:
                        too_much = True
                        end_group(process.pid)
        with self._lock:  # once the process is reaped its number may be another's
            end_group(process.pid)
            process.wait()
            self._process = None
        stdout, stderr, said = (bytes(text).decode("utf-8", "replace") for text in texts.values())
        process.stdout.close()
        process.stderr.close()
        if self._stopped:
            return ProgramEnd(stopped=True)
        if too_much:
            return ProgramEnd(problem=f"it printed more than {self._limit} bytes")
        if not said.lstrip("-").isdigit():
            return ProgramEnd(problem=said or "it was killed from outside")
        return ProgramEnd(code=int(said), stdout=stdout, stderr=stderr)


def environment() -> dict[str, str]:
    """Return the few variables that a process of the workspace gets: none that holds a key."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {"PATH": _search_path()}


def _search_path() -> str:
    """Return the absolute folders of ``PATH``: a program is never found in the folder that somebody happens to be in."""
    folders = [folder for folder in os.environ.get("PATH", USUAL).split(os.pathsep) if os.path.isabs(folder)]
    return os.pathsep.join(folders) or USUAL
