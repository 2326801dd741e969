"""The terminal as people use it: a process of its own, in a workspace of its own, with the real server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.rigs import nursery

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OLLAMA_HOST", "HISHAMOS_WORKSPACE")
OFFLINE = ("--model", "offline/extractive")


@dataclass
class Terminal:
    """Types lines in a folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: Literal["forked", "real"] = "forked"
    """How lines that are left running are started, where a nursery is."""

    def command(self, *line: str) -> list[str]:
        return [sys.executable, "-m", "hishamos", *line]

    @property
    def surroundings(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in KEYS}
        return {**kept, "NO_COLOR": "1", **self.environment}

    def type(self, *line: str, stdin: str | None = None, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Type a line and wait for its end. The process is forked from the nursery, unless the test asks for ``real_processes``."""
        if nursery.available():
            return nursery.run(line, folder=self.folder, environment=self.surroundings, stdin=stdin, timeout=timeout)
        return subprocess.run(
            self.command(*line), cwd=self.folder, env=self.surroundings, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )

    def json(self, *line: str, code: int = 0) -> Any:
        """Type a line with --json, hold it to its promise of one document on one line, and return the document."""
        done = self.type(*line, "--json")
        assert done.returncode == code, (line, done.returncode, done.stdout, done.stderr)
        assert done.stdout.endswith("\n")
        assert done.stdout.count("\n") == 1, done.stdout
        return json.loads(done.stdout)

    def start(self, *line: str) -> nursery.Client:
        """Start a line and leave it running; the caller interrupts or awaits it."""
        if nursery.available() and self.started == "forked":
            return nursery.type_line(line, folder=self.folder, environment=self.surroundings)
        return subprocess.Popen(
            self.command(*line), cwd=self.folder, env=self.surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def interrupt(self, process: nursery.Client) -> tuple[int, str, str]:
        """Press Ctrl-C and return exit code, stdout and stderr."""
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def until(self, *line: str, holds: Any, seconds: float = 30) -> Any:
        """Type a line until its document satisfies ``holds``, and return that."""
        deadline = time.monotonic() + seconds
        while True:
            document = self.json(*line)
            if holds(document):
                return document
            assert time.monotonic() < deadline, document
            time.sleep(0.2)

    def file(self, name: str, text: str | bytes) -> str:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name


def _terminal(prefix: str) -> Iterator[Terminal]:
    terminal = Terminal(Path(tempfile.mkdtemp(prefix=prefix)))
    (terminal.folder / "hishamos.toml").write_text("")
    yield terminal
    terminal.type("server", "stop")
    shutil.rmtree(terminal.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def terminal() -> Iterator[Terminal]:
    """A terminal in a workspace that the tests of a session share."""
    yield from _terminal("hos-terminal-")


@pytest.fixture
def own_terminal() -> Iterator[Terminal]:
    """A terminal in a workspace that one test has for itself."""
    yield from _terminal("hos-own-")


REPORTS = """id,title,body
R-1,Login fails,"Nobody can sign in since the update, everyone gets 'invalid credentials' and all work stops."
R-2,Sign in impossible,"Since the update sign in fails for everyone with 'invalid credentials'. All work stops."
R-3,Button misplaced,"The save button sits a little too far left on the settings page. Cosmetic, but ugly."
R-4,asdf,asdf qwer zxcv
R-5,App crashes on export,"The app crashes every time I export a file to PDF and the file is lost."
"""


@pytest.fixture(scope="session")
def triaged(terminal: Terminal) -> dict[str, Any]:
    """The document of a finished triage of five reports in the shared workspace."""
    terminal.file("reports.csv", REPORTS)
    document: dict[str, Any] = terminal.json("run", "triage_bugs", "-i", "file=reports.csv", "-i", "publish=yes", *OFFLINE)
    return document
