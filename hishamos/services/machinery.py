"""The concrete store, gateway and engine that the composition root chose, handed to every service."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hishamos.contracts.models import ModelGateway
from hishamos.records.configuration import Settings
from hishamos.records.workspaces import ServerInfo

if TYPE_CHECKING:
    from hishamos.dispatch.dispatcher import Dispatcher
    from hishamos.engine.runner import Runner
    from hishamos.gateway.gateway import Gateway
    from hishamos.kernels.desks import Desks
    from hishamos.records.actors import Actor
    from hishamos.records.calls import CommandResult
    from hishamos.services.catalog import Catalog
    from hishamos.services.service import ActingRun
    from hishamos.store.connectors import Connector
    from hishamos.store.journal import StoreJournal
    from hishamos.store.ledger import StoreLedger
    from hishamos.store.work import StoreWork
    from hishamos.store.workforce import Workforce
    from hishamos.workspace import Workspace


@dataclass
class Machinery:
    """One workspace's parts. Everything here is shared by all actors and threads of the process."""

    root: Path
    settings: Callable[[], Settings]
    """The settings in force; read again when the file changes."""
    store: Connector
    ledger: StoreLedger
    journal: StoreJournal
    work: StoreWork
    """Results, projects and issues."""
    gateway: Gateway
    models: ModelGateway
    """The same gateway, as the port that callers need."""
    runner: Runner
    desks: Desks
    """Where runs call functions of notebooks and scripts back."""
    dispatcher: Dispatcher
    """Who works on runs: this process where it is the only one, else the workers."""
    workforce: Workforce
    """Which processes there are, and what waits for them."""
    catalog: Catalog
    """Commands, agents and workflows of the workspace and the library."""
    server: Callable[[], ServerInfo | None]
    """The server's own facts; None where the services run in the caller's process."""
    schema_version: int
    """The store's schema."""
    workspace_as: Callable[[Actor, ActingRun | None, str], Workspace]
    """The workspace for an actor, and for the run it acts for if any; its changing calls take their ids from a name and their position."""
    settings_error: Callable[[], str | None]
    """What is wrong with hishamos.toml since its last good version; None when nothing is."""
    secrets: Callable[[], list[str]] = list
    """The keys that this process knows."""
    answering: dict[tuple[str, str], Future[CommandResult]] = field(default_factory=dict)
    """The answers that are under way in this process, by conversation and message."""
    repeated: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    """The newest client-made ids that came a second time: the first time, stalled somewhere, may come after them."""
    schedules_changed: Callable[[], None] = lambda: None
    """Have what starts scheduled runs look at the schedules again."""
    ending: Callable[[str], AbstractContextManager[None]] | None = None
    """Take nothing new, have runs and calls stop, and let the process leave afterwards, whatever comes of it; what is handed over says why.

    None where the services run in the caller's process, which nobody may end for him.
    """
