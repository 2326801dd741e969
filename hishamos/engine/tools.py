"""What the engine was composed with: its two ports, its threads, its settings."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import Journal
from hishamos.contracts.models import ModelGateway
from hishamos.engine.background import Background
from hishamos.engine.keeping import Keeping
from hishamos.engine.outside import Outside
from hishamos.engine.steptype import ExecuteNotebook
from hishamos.engine.timers import Timers
from hishamos.records.configuration import WorkspaceSettings
from hishamos.records.record import now
from hishamos.records.runs import Run

if TYPE_CHECKING:
    WorkspaceFor = Callable[[Run, str], Any]


Clock = Callable[[], datetime]


@dataclass
class Tools:
    """Shared by all runs of a runner."""

    journal: Journal
    gateway: ModelGateway
    settings: Callable[[], WorkspaceSettings]
    workspace_for: WorkspaceFor
    """The run's workspace for the step at a path, acting as the run's actor."""
    notebook: ExecuteNotebook | None
    outside: Outside
    """What lies outside of the workspace."""
    dispatch: Callable[[str], object]
    """Has a queued run worked on in this process, beside the run whose step started it."""
    owner: str
    lease_s: float
    timers: Timers
    pool: ThreadPoolExecutor
    background: Background
    keeping: Keeping
    children: Background
    """Where calls wait for a child process."""
    clock: Clock = now
