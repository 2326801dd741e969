"""The console served as users serve it, for tests in a real browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.rigs import nursery

SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]


def serve(folder: Path, *, real: bool = False) -> Iterator[str]:
    """Serve the console of a workspace, give its address, and end it; ``real``: by processes that are started as users start them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = ["--workspace", str(folder), "console", "--port", str(port), "--no-browser"]
    environment = os.environ | {"HISHAMOS_WORKSPACE": str(folder)}
    process: nursery.Child | subprocess.Popen[bytes]
    with open(os.devnull, "r+b") as nothing:
        if nursery.available() and not real:
            process = nursery.start("hishamos", line, [nothing.fileno()] * 3, folder=folder, environment=environment)
        else:
            environment.pop(nursery.ADDRESS, None)
            command = [sys.executable, "-m", "hishamos", *line]
            process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, cwd=folder, env=environment)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).read()
            break
        except OSError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(30)
