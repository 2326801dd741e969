"""Verbs about the workspace's server: status, stop, logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import Face, pass_face
from hishamos.cli.verbs import VerbGroup

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from hishamos.contracts.wire import Places
    from hishamos.records.workspaces import Health


@click.group("server", cls=VerbGroup)
def server_verb() -> None:
    """See or stop the workspace's server. It is started by the first verb that needs it and leaves by itself."""


def _places(face: Face) -> Places:
    from hishamos.contracts.wire import Places
    from hishamos.settings import find_root

    return Places(find_root(face.path))


@server_verb.command("status")
@pass_face
def server_status(face: Face) -> None:
    """Say whether a server runs and what it does. Starts none."""
    from hishamos.remote.discovery import answers, find

    places = _places(face)
    found = find(places)
    if found is None or not answers(found):
        document: dict[str, Any] = {"running": False, "workspace": str(places.root), "health": None}
        face.show(document, lambda: (f"No server runs for {places.root}; the next verb that needs one starts it.",))
        return
    with face.open() as workspace:
        health = workspace.health.status()
    face.show({"running": True, "workspace": health.workspace, "health": health}, lambda: (_health(health),))


def _health(health: Health) -> Table:
    from hishamos.charts.formats import clock, money
    from hishamos.cli.tables import facts

    server = health.server
    unpriced = f" + {health.month_unpriced} unpriced" if health.month_unpriced else ""
    return facts(
        [
            ("Workspace", health.workspace),
            ("Store", health.store),
            ("Size", None if health.size_bytes is None else f"{health.size_bytes / 2**20:.1f} MiB"),
            ("Server", f"pid {server.pid}, since {clock(server.started_at)} UTC" if server else "in this process"),
            ("Address", server.address if server else None),
            ("Version", f"{health.version}, schema {health.schema_version}"),
            ("Runs", f"{health.running} running, {health.queued} queued, {health.waiting} waiting"),
            ("Open calls", health.open_calls),
            ("This month", money(health.month_cost_nanos) + unpriced),
            ("Settings", health.settings_error),
        ]
    )


@server_verb.command("stop")
@pass_face
def server_stop(face: Face) -> None:
    """Ask the server to leave; running work is journalled and goes on in the next one."""
    from hishamos.remote import proxies

    places = _places(face)
    ran = proxies.stop(places.root)
    words = "The server has left." if ran else f"No server ran for {places.root}."
    face.show({"stopped": ran, "workspace": str(places.root)}, lambda: (words,))


@server_verb.command("logs")
@click.option("--lines", default=50, show_default=True, type=click.IntRange(1), help="The last so many lines.")
@pass_face
def server_logs(face: Face, lines: int) -> None:
    """Print the end of the server's log."""
    log = _places(face).log
    found = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:] if log.exists() else []
    face.show({"log": str(log), "lines": found}, lambda: _literal(found or [f"No log yet: {log}"]))


def _literal(lines: list[str]) -> list[Text]:
    from rich.text import Text

    return [Text(line) for line in lines]
