"""``hishamos serve``: keeps the workspace's server up, from this terminal or by a unit of the operating system."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from hishamos.contracts.units import Unit

HOLD_S = 5.0
"""How often the server is asked whether it is there; it leaves after minutes without a request."""
TRY_S = 30


@click.command("serve", cls=Verb)
@click.option("--install", is_flag=True, help="Write a systemd user unit (Linux) or launchd agent (macOS) that keeps the server up, and start it.")
@click.option("--uninstall", is_flag=True, help="Remove it again.")
@pass_face
def serve_verb(face: Face, *, install: bool, uninstall: bool) -> None:
    """Keep the workspace's server up until Ctrl-C, or by a unit of the operating system.

    Other machines can't reach it: it listens on a socket of this machine's user only.
    """
    from hishamos.contracts.units import unit
    from hishamos.settings import find_root

    if install and uninstall:
        raise click.UsageError("--install or --uninstall, not both")
    known = unit(find_root(face.path).resolve())
    if install:
        _install(face, known)
    elif uninstall:
        _uninstall(face, known)
    else:
        _hold(face)


def _install(face: Face, unit: Unit) -> None:
    unit.file.parent.mkdir(parents=True, exist_ok=True)
    unit.file.write_text(unit.text, encoding="utf-8")
    failed = _failed(unit.start)
    environment = Path.home() / ".config" / "hishamos" / "environment"
    words = [f"Written: {unit.file}"]
    if failed:
        words += [f"It could not be started here ({failed}). Type:", *(f"    {' '.join(line)}" for line in unit.start)]
    else:
        words.append("It runs, and starts again with you; the server stays until: hishamos serve --uninstall")
    if unit.file.suffix == ".service":
        words.append(f"Keys named env:NAME stand for it in {environment} (NAME=value lines, only yours to read); keyring: and file: need nothing.")
        words.append("To have it run while you are not logged in: loginctl enable-linger")
    face.show({"unit": unit.name, "file": str(unit.file), "started": not failed, "problem": failed or None}, lambda: words)
    if failed:
        raise FinishedWith(1)


def _uninstall(face: Face, unit: Unit) -> None:
    was = unit.installed
    if was:
        _failed(unit.stop)  # one that does not run can't be stopped, and need not
        unit.file.unlink()
    words = f"Removed: {unit.file}" if was else f"Nothing is installed: {unit.file}"
    face.show({"unit": unit.name, "file": str(unit.file), "removed": was}, lambda: (words,))


def _failed(lines: tuple[tuple[str, ...], ...]) -> str:
    """Run commands one after another; returns what went wrong with the first that fails, empty when none does."""
    for line in lines:
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=TRY_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{line[0]}: {error}"
        if done.returncode:
            return f"{' '.join(line)}: {done.stderr.strip() or f'exit code {done.returncode}'}"
    return ""


def _hold(face: Face) -> None:
    """Ask the server now and then whether it is there, which keeps it; one that has left is started again by that."""
    with face.open() as workspace:
        server = workspace.health.status().server
        told = {"workspace": workspace.root, "address": server.address if server else None, "pid": server.pid if server else None}
        face.show(told, lambda: (f"The server of {workspace.root} is held up. It has no TCP listener: only this user of this machine reaches it.",))
        face.say("Ctrl-C lets go of it.")
        try:
            while True:
                time.sleep(HOLD_S)
                workspace.health.ping()
        except KeyboardInterrupt:
            face.say("Let go. It leaves by itself when there is nothing to do; at once: hishamos server stop")
