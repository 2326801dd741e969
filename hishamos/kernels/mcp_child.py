"""An MCP server as a child process: its messages are lines of bounded length, and with it ends everything that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from hishamos.errors import McpFailed
from hishamos.kernels.execution import end_group
from hishamos.kernels.programs import SUPERVISOR, environment

LONGEST = 4 * 2**20
"""Bytes of one line."""
MOST = 32 * 2**20
"""Bytes of all that a server may print while it is open."""
STRAY = 100
"""Lines that are no messages, which careless servers print, before it is given up."""
ENDING_S = 1.0
"""How long a server may take to end by itself, and then to be ended, seconds."""
SAID = 300
"""Characters of its last words that are told."""


class ServerChild:
    """The program, from :meth:`open` to :meth:`end`."""

    def __init__(self, name: str, command: Sequence[str], variables: Mapping[str, str], folder: Path) -> None:
        self._name, self._command, self._folder = name, command, folder
        self._environment = environment() | dict(variables)
        self._process: asyncio.subprocess.Process | None = None
        self._last = b""
        self._listening: asyncio.Task[None] | None = None
        self._control = self._outcome = -1

    async def open(self) -> None:
        """Start it; raises :class:`McpFailed` where there is no such program."""
        program = self._command[0]
        path = program if os.path.isabs(program) else shutil.which(program, path=self._environment["PATH"])
        if path is None:
            raise McpFailed(server=self._name, problem=f"there is no program {program} in {self._environment['PATH']}", next="Install it, or name it whole.")
        control, self._control = os.pipe()
        self._outcome, told = os.pipe()
        # Programs of other languages take far more addresses than memory: no limit on them here.
        arguments = ["-I", "-S", str(SUPERVISOR), str(control), str(told), str(resource.RLIM_INFINITY), path, *self._command[1:]]
        pipe = asyncio.subprocess.PIPE
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                cwd=self._folder,
                env=self._environment,
                pass_fds=(control, told),
                start_new_session=True,
                limit=LONGEST,
            )
        finally:
            os.close(control)
            os.close(told)
        self._listening = asyncio.create_task(self._listen())

    async def send(self, text: str) -> None:
        """Hand it one message."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # that it ended is told by what it prints no more
            self._process.stdin.write(text.encode() + b"\n")
            await self._process.stdin.drain()

    async def messages(self) -> AsyncIterator[str]:
        """Give what may be messages; raises :class:`McpFailed` for what is none, and when it ends."""
        assert self._process is not None
        assert self._process.stdout is not None
        size = stray = 0
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                raise self._failed(f"it printed a line of more than {LONGEST:,} bytes") from None
            size += len(line)
            if not line:
                raise await self._ended()
            if size > MOST:
                raise self._failed(f"it printed more than {MOST:,} bytes")
            if line.lstrip().startswith(b"{"):
                yield line.decode("utf-8", "replace")
            elif line.strip():
                stray += 1
                if stray > STRAY:
                    raise self._failed(f"it prints what is no message: {line[:80].decode('utf-8', 'replace').strip()!r}")

    async def end(self, *, kindly: bool) -> None:
        """End it and everything that it started; ``kindly``: it may leave by itself first."""
        process = self._process
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            if kindly:
                await self._waited()
        self._let_go()
        if process is not None:
            await self._waited()
            end_group(process.pid)
            await process.wait()
        if self._listening is not None:
            self._listening.cancel()
        if self._outcome >= 0:
            os.close(self._outcome)
            self._outcome = -1

    def _let_go(self) -> None:
        """Have the supervisor end all that is below it: it watches this descriptor."""
        if self._control >= 0:
            os.close(self._control)
            self._control = -1

    async def _waited(self) -> None:
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), ENDING_S)

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while part := await self._process.stderr.read(65_536):
            self._last = (self._last + part)[-4 * SAID :]

    async def _ended(self) -> McpFailed:
        await self._waited()
        os.set_blocking(self._outcome, False)
        told = b""
        with contextlib.suppress(BlockingIOError):
            told = os.read(self._outcome, 500)
        text = told.decode("utf-8", "replace")
        words = self._last.decode("utf-8", "replace").strip().splitlines()[-1:]
        how = f"it ended with code {text}" if text.lstrip("-").isdigit() else text or "it closed its output"
        return self._failed(how + "".join(f": {line[-SAID:]}" for line in words))

    def _failed(self, problem: str) -> McpFailed:
        return McpFailed(server=self._name, problem=problem, next="Do without it.")
