"""Verbs about who does the work: start a worker, see all of them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import Face, pass_face
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from hishamos.records.workers import Workforce

SHOWN = 20


@click.command("worker", cls=Verb)
@click.option("--concurrency", type=click.IntRange(1, 10_000), metavar="N", help="How many runs at once; left out, runs of [workspace], which is 32.")
@pass_face
def worker_verb(face: Face, *, concurrency: int | None) -> None:
    """Work on this workspace's runs until Ctrl-C or SIGTERM; then they go on in another worker.

    For workspaces with broker = "redis://…" and store = "postgresql://…". Any number of workers on any number of machines; each needs the
    workspace's folder, the packages, and the providers' keys in its environment.
    """
    from hishamos.settings import find_root

    order = [sys.executable, "-m", "hishamos.server.worker", "--workspace", str(find_root(face.path))]
    order += [] if concurrency is None else ["--concurrency", str(concurrency)]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, order)  # noqa: S606 - the worker takes this process over: a signal meets it, not a parent


@click.command("workers", cls=Verb)
@pass_face
def workers_verb(face: Face) -> None:
    """Show who does the work, what waits for it and since when, what is tried again, and the runs given up because their processes died."""
    with face.open() as workspace:
        found = workspace.health.workers()
        face.show(found, lambda: _parts(found), then="" if not found.dead else f"Next: hishamos show {found.dead[0].run}")


def _parts(found: Workforce) -> list[Any]:
    from hishamos.charts.formats import clock, count, duration, missing
    from hishamos.cli.tables import facts, table

    owners = {worker.owner: f"{worker.host}, pid {worker.pid}" for worker in found.workers}
    workers = [(owners[one.owner], one.kind, count(one.places), count(one.at_work), f"{clock(one.started_at)} UTC") for one in found.workers]
    broker = found.broker if found.messages is None else f"{found.broker}, {count(found.messages)} messages wait"
    parts: list[Any] = [
        facts([("Broker", broker), ("", found.problem), ("In line", f"{count(found.queued)} runs"), ("Tried again", f"{count(found.retries)} steps")]),
        "",
        table("Processes", ("Process", "Kind", "Places", "At work", "Since"), workers, right=("Places", "At work")),
    ]
    if found.queues:
        rows = [(count(one.priority), count(one.queued), duration(one.oldest_s)) for one in found.queues]
        parts += ["", table("In line", ("Priority", "Runs", "Oldest"), rows, right=("Priority", "Runs", "Oldest"))]
    if found.tasks:
        work = [
            (
                one.run,
                one.name,
                one.user_name or missing(),
                count(one.priority),
                owners.get(one.owner or "", missing()),
                duration(one.seconds),
                count(one.deaths),
            )
            for one in found.tasks[:SHOWN]
        ]
        numbers = ("Priority", "For", "Deaths")
        parts += ["", table(f"At work ({count(len(found.tasks))})", ("Run", "Name", "User", "Priority", "Process", "For", "Deaths"), work, right=numbers)]
    if found.dead:
        lost = [(one.run, one.name, one.user_name or missing(), count(one.deaths), one.reason) for one in found.dead[:SHOWN]]
        parts += ["", table("Given up: whoever worked on them died", ("Run", "Name", "User", "Deaths", "Reason"), lost, right=("Deaths",))]
    return parts
