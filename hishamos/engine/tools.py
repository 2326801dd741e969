"""What the engine was composed with: its two ports, its threads, its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import Journal
from hishamos.contracts.models import ModelGateway
from hishamos.contracts.notebooks import PrepareNotebook
from hishamos.engine.background import Background
from hishamos.engine.keeping import Keeping
from hishamos.engine.outside import Outside
from hishamos.engine.steptype import ChildEnd, Lane
from hishamos.engine.timers import Timers
from hishamos.records.configuration import WorkspaceSettings
from hishamos.records.record import now
from hishamos.records.runs import Run

if TYPE_CHECKING:
    WorkspaceFor = Callable[[Run, str], Any]


Clock = Callable[[], datetime]
Summarize = Callable[[str, str, Path, Sequence[ChildEnd]], str]
"""Takes the run, the path of the step that has the rows, the folder for the summary, how the rows ended; returns where it is."""


@dataclass
class Tools:
    """Shared by all runs of a runner."""

    journal: Journal
    gateway: ModelGateway
    settings: Callable[[], WorkspaceSettings]
    workspace_for: WorkspaceFor
    """The run's workspace for the step at a path, acting as the run's actor."""
    notebook: PrepareNotebook | None
    summary: Summarize
    """Writes the summary of a batch."""
    outside: Outside
    """What lies outside of the workspace."""
    dispatch: Callable[[str], object]
    """Has a queued run worked on in this process, beside the run whose step started it."""
    owner: str
    lease_s: float
    timers: Timers
    pool: ThreadPoolExecutor
    lanes: Mapping[Lane, Background]
    """Where blocking work takes turns."""
    keeping: Keeping
    clock: Clock = now
