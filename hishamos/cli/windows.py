"""Verbs that open a window on the workspace: the console, JupyterLab."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.verbs import Verb
from hishamos.errors import InvalidInput, ServerError

CONSOLE_PORT = 8501
LAB_PORT = 8888
START_S = 60.0


@click.command("console", cls=Verb)
@click.option("--port", type=click.IntRange(1, 65535), help=f"The port on this machine; left out, the first free one from {CONSOLE_PORT}.")
@click.option("--browser/--no-browser", default=False, help="Open a browser window.")
@pass_face
def console_verb(face: Face, *, port: int | None, browser: bool) -> None:
    """Open the console on this machine's loopback address. Ctrl-C ends it; runs go on."""
    from hishamos.opening import shipped

    with face.open() as workspace:
        root = workspace.root
    app = shipped("app")
    chosen = _port(port, CONSOLE_PORT)
    command = [sys.executable, "-m", "streamlit", "run", str(app / "main.py"), "--server.address", "127.0.0.1", "--server.port", str(chosen)]
    command += ["--server.headless", "true", "--browser.gatherUsageStats", "false"]
    _serve(face, command, app, root, path="/", port=chosen, browser=browser)


@click.command("lab", cls=Verb)
@click.option("--port", type=click.IntRange(1, 65535), help=f"The port on this machine; left out, the first free one from {LAB_PORT}.")
@click.option("--browser/--no-browser", default=True, help="Open a browser window.")
@pass_face
def lab_verb(face: Face, *, port: int | None, browser: bool) -> None:
    """Open JupyterLab in the workspace; the shipped notebooks are copied to notebooks/ where they are missing. Ctrl-C ends it."""
    from hishamos.settings import find_root

    root = find_root(face.path)
    copied = copy_notebooks(root / "notebooks")
    if copied:
        face.say(f"Copied to {root / 'notebooks'}: {', '.join(copied)}")
    chosen = _port(port, LAB_PORT)
    command = [sys.executable, "-m", "jupyterlab", "--ip", "127.0.0.1", "--port", str(chosen), "--ServerApp.port_retries=0"]
    command += [f"--ServerApp.root_dir={root}", "--log-level=ERROR", *([] if browser else ["--no-browser"])]
    # It listens on loopback and asks for a token; root in a container is refused otherwise.
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="hishamos-lab-") as folder:
        variables = {
            "JUPYTER_TOKEN": token,
            **{name: os.pathsep.join(filter(None, [folder, os.environ.get(name)])) for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH")},
        }
        _own_kernel(Path(folder))
        _no_news(Path(folder))
        _serve(face, command, root, str(root), path=f"/lab?token={token}", port=chosen, browser=False, variables=variables)


def _no_news(folder: Path) -> None:
    """Let JupyterLab not ask on its first page whether it may fetch news from its makers."""
    page = folder / "labconfig" / "page_config.json"
    page.parent.mkdir()
    page.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}))


def _own_kernel(folder: Path) -> None:
    """Put this interpreter's kernel before any other of the name ``python3``: one that somebody installed may know no HishamOS."""
    from ipykernel.kernelspec import write_kernel_spec

    write_kernel_spec(folder / "kernels" / "python3")


def copy_notebooks(folder: Path) -> list[str]:
    """Copy the shipped notebooks that the folder does not have; returns their names."""
    from hishamos.opening import shipped

    source = shipped("notebooks")
    if source.resolve() == folder.resolve():
        return []
    missing = [notebook for notebook in sorted(source.glob("*.ipynb")) if not (folder / notebook.name).exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
    for notebook in missing:
        shutil.copyfile(notebook, folder / notebook.name)
    return [notebook.name for notebook in missing]


def _port(wanted: int | None, first: int) -> int:
    if wanted is not None:
        if not _free(wanted):
            raise InvalidInput(what=f"Port {wanted} is taken", where="--port", next="Choose another, or leave --port out.")
        return wanted
    for port in range(first, first + 100):
        if _free(port):
            return port
    raise InvalidInput(what=f"The ports {first} to {first + 99} are all taken", where="this machine", next="Name a free one with --port.")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _serve(face: Face, command: list[str], folder: Path, root: str, *, path: str, port: int, browser: bool, variables: Mapping[str, str] | None = None) -> None:
    """Run a window's server in the foreground until Ctrl-C; say its address once it answers."""
    url = f"http://127.0.0.1:{port}{path}"
    # A token travels in the environment: everybody on the machine sees the command line.
    environment = {**os.environ, "HISHAMOS_WORKSPACE": root, **(variables or {})}
    # Who ends this process by a signal ends the window too: it would keep its port, and nobody would know of it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    process = _started(command, folder, environment)
    try:
        _answered(process, port, command[2])
        face.show({"url": url, "workspace": root, "pid": process.pid}, lambda: (url,), then=f"Workspace {root}. Ctrl-C ends this window; runs go on.")
        if browser:
            click.launch(url)
        code = process.wait()
    except KeyboardInterrupt:
        code = 0
    finally:
        _end(process)
    raise FinishedWith(1 if code else 0)


def _started(command: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def _answered(process: subprocess.Popen[bytes], port: int, what: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(problem=f"{what} ended at once with code {process.returncode}", where=f"port {port}", next=f"Try it alone: python -m {what}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise ServerError(problem=f"{what} did not answer within {START_S:.0f} s", where=f"port {port}", next=f"Try it alone: python -m {what}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
