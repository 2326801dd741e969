"""Who does the work of a workspace, for ``ws.health.workers`` and the doctor."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from hishamos.errors import BrokerError
from hishamos.records.record import now
from hishamos.records.workers import WorkerStatus, Workforce
from hishamos.records.workspaces import Finding

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery


def workforce(machinery: Machinery) -> Workforce:
    """Return who works, what waits and what was given up."""
    messages, problem, known = None, "", machinery.workforce
    try:
        messages = machinery.dispatcher.messages()
    except BrokerError as error:
        problem = str(error)
    return Workforce(
        broker=machinery.dispatcher.address,
        messages=messages,
        problem=problem,
        workers=tuple(known.workers() or [_alone(machinery)]),
        queues=tuple(known.queues()),
        tasks=tuple(known.tasks()),
        retries=known.retries(),
        dead=tuple(known.dead()),
    )


def findings(machinery: Machinery) -> list[Finding]:
    """Return what the doctor says of the broker and the workers; nothing where the server does the work."""
    found = workforce(machinery)
    if found.broker == "local":
        return []
    if found.problem:
        return [Finding(subject="broker", state="problem", found=found.problem, advice="Runs wait in the store until it is back; those at work go on.")]
    workers = [one for one in found.workers if one.kind == "worker"]
    broker = Finding(subject="broker", state="ok", found=f"{found.broker} answers, {found.messages} messages wait")
    if not workers:
        nobody = f"none is there, {found.queued} runs wait"
        return [broker, Finding(subject="workers", state="problem", found=nobody, advice="Start one or more: hishamos worker")]
    places = f"{len(workers)} with {sum(one.places for one in workers)} places, {len(found.tasks)} runs at work, {found.queued} wait"
    return [broker, Finding(subject="workers", state="ok", found=places)]


def _alone(machinery: Machinery) -> WorkerStatus:
    """Return this process as the only one that works."""
    info, moment = machinery.server(), now()
    return WorkerStatus(
        owner=machinery.runner.owner,
        kind="server",
        host=socket.gethostname(),
        pid=os.getpid(),
        places=machinery.settings().workspace.runs,
        at_work=machinery.runner.active,
        started_at=info.started_at if info else moment,
        seen_at=moment,
    )
