"""The one place where concrete stores, adapters, dispatchers and services meet."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from hishamos.contracts.journal import InLine
from hishamos.contracts.verbs import Verb
from hishamos.dispatch.celery import CeleryDispatcher, Taker, application, prefix
from hishamos.dispatch.dispatcher import Dispatcher
from hishamos.dispatch.threads import ThreadsDispatcher
from hishamos.engine.outside import Outside, nothing_outside
from hishamos.engine.runner import Runner
from hishamos.engine.web import send
from hishamos.errors import InvalidInput, StoreError, UnknownName
from hishamos.gateway.destinations import lent
from hishamos.gateway.gateway import Gateway
from hishamos.gateway.shared_state import SharedState
from hishamos.kernels.code_pool import CodePool
from hishamos.kernels.desks import Desks
from hishamos.kernels.execution import NotebookExecutor
from hishamos.kernels.mcp_child import MOST
from hishamos.kernels.mcp_servers import McpServers
from hishamos.kernels.programs import Programs
from hishamos.local import belonging, starter, workspace_for_step, workspace_in_the_name_of, workspace_of
from hishamos.records.actors import OWNER, Actor
from hishamos.records.mcp import McpSettings, ServerTool
from hishamos.records.origins import Origin
from hishamos.records.record import new_id, now
from hishamos.records.runs import Run
from hishamos.records.storage import Restoration
from hishamos.services.batch_summary import write_summary
from hishamos.services.catalog import Catalog
from hishamos.services.machinery import Machinery
from hishamos.services.receipts import notebook_receipt
from hishamos.services.restoring import restore_at_rest
from hishamos.services.retention import noted, prune
from hishamos.services.scheduler import Scheduler
from hishamos.services.service import acting_run, call_origin, first_try, request_id
from hishamos.settings import Keys, SettingsSource, find_root, is_scaled
from hishamos.store.batches import StoreBatches
from hishamos.store.cached_answers import StoreCache
from hishamos.store.connectors import file_of, open_connector
from hishamos.store.journal import StoreJournal
from hishamos.store.ledger import StoreLedger
from hishamos.store.migrate import migrate
from hishamos.store.pruning import forget_requests
from hishamos.store.readonly import grant_views
from hishamos.store.restoring import finish
from hishamos.store.schedules import outlook
from hishamos.store.vitals import runs_by_state
from hishamos.store.work import StoreWork
from hishamos.store.workforce import BEAT_S, Workforce
from hishamos.workspace import Workspace

PIPED = "hishamos.remote.piped:workspace"
"""What makes the workspace in a child process; by name, for nothing of it is loaded here."""
Asked = tuple[Verb, Mapping[str, Any]]
DRAIN_S = 10.0
PRUNE_S = 3600.0
DAY_S = 86_400.0 - PRUNE_S / 2
"""Of looking for old runs: it comes about at one of the hourly times."""
RETENTION = "keep_runs_days"
"""Who prunes, in the audit, where the settings ask for it."""
log = logging.getLogger(__name__)


@dataclass
class Composed:
    """One workspace's parts, put together in this process."""

    machinery: Machinery
    settings: SettingsSource
    keys: Keys
    schema_version: int
    notebooks: NotebookExecutor
    programs: Programs
    code: CodePool
    servers: McpServers
    scheduler: Scheduler
    taker: Taker | None = None
    """Takes runs where this process is a worker."""
    places: int = 0
    """How many runs a worker takes at once."""
    _shut: bool = field(default=False, init=False)
    _begun: datetime = field(default_factory=now, init=False)
    _let_go_at: float = field(default=0.0, init=False)
    """Not before this are old runs looked for again, by the monotonic clock."""

    def workspace_for(self, actor: Actor) -> Workspace:
        """Return the workspace for an actor."""
        return workspace_of(self.machinery, actor, closer=lambda: None)

    def start(self) -> None:
        """Go on with what a dead process left, and load in the background what the first call to a provider needs."""
        self.begin()
        self.go_on()

    def begin(self) -> None:
        """Show that this process lives, and load in the background what the first call to a provider needs."""
        self._beat()
        self.machinery.runner.soon(self._prune)
        self.machinery.gateway.warm(then=spare_the_collector)

    def go_on(self) -> None:
        """Go on with what a dead process left, and with what is due."""
        self.machinery.runner.recover(self.machinery.dispatcher.dispatch)
        self.scheduler.ring()

    @contextlib.contextmanager
    def request(
        self, identity: str | None, acting: str | None = None, origin: Origin | None = None, asked: Asked | None = None, *, first: bool = False
    ) -> Iterator[Workspace | None]:
        """Let changes made inside carry a client-made id; ``first``: the client has never sent this id before; ``asked``: verb and arguments.

        ``acting``: the token of a notebook that a step executes: what it asks belongs to its run, and is done through the workspace that is
        handed out, in the name of whoever started that run. None is handed out for any other client. ``origin``: the notebook that asks.
        """
        notebook = self.notebooks.acting(acting) if acting else None
        run, step = (notebook.run, notebook.step) if notebook else (None, None)
        if notebook is not None and asked is not None:
            identity, first = notebook.name(identity, *asked), False
        elif identity is not None and not first:
            self.machinery.repeated.append(identity)
        token, tried = request_id.set(identity), first_try.set(first)
        second, third = acting_run.set(belonging(run, step) if run else None), call_origin.set(origin)
        try:
            yield self.workspace_for(starter(run)) if run else None
        finally:
            call_origin.reset(third)
            acting_run.reset(second)
            first_try.reset(tried)
            request_id.reset(token)

    def busy(self) -> bool:
        """Return whether a run works or waits for a time, a call is open or a schedule is enabled; a run that waits for a person or an event does not count."""
        states = runs_by_state(self.machinery.store)
        works = self.machinery.gateway.open_calls or self.machinery.runner.active or states.get("running") or states.get("queued")
        return bool(works or outlook(self.machinery.store)[0] or (states.get("waiting") and self.machinery.journal.timed_waits()))

    def _beat(self) -> None:
        """Say now and then that this process is there, where there can be others."""
        machinery = self.machinery
        if machinery.journal.exclusive or self._shut:
            return
        kind = "server" if self.taker is None else "worker"
        places = self.places if self.taker else machinery.settings().workspace.runs if machinery.runner.works else 0
        try:
            machinery.workforce.beat(machinery.runner.owner, kind, socket.gethostname(), os.getpid(), places, self._begun)
        except StoreError as error:
            log.warning("could not say that this process is there: %s", error)
        machinery.runner.later(BEAT_S, lambda: machinery.runner.soon(self._beat))

    def _prune(self) -> None:
        """Let go, now and every hour, of what was kept for repeats that can't come any more."""
        if self._shut:
            return
        try:
            forget_requests(self.machinery.store, now())
            self._let_go()
        except StoreError as error:
            log.warning("what is old could not be removed: %s", error)
        self.machinery.runner.later(PRUNE_S, lambda: self.machinery.runner.soon(self._prune))

    def _let_go(self) -> None:
        """Prune runs by the age that the settings name, at the start and then once a day."""
        days, moment = self.settings().workspace.keep_runs_days, time.monotonic()
        if days is None or moment < self._let_go_at:
            return
        done = prune(self.machinery, days, conversations=False, by=RETENTION)
        self.machinery.store.transaction(lambda transaction: noted(transaction, done, by=RETENTION, request_id=new_id()))
        self._let_go_at = moment + DAY_S
        if done.runs:
            log.info("pruned %d runs that ended more than %d days ago", done.runs, days)

    def stop_taking(self) -> None:
        """Begin no other run: those at work go on."""
        if self.taker is not None:
            self.taker.closed = True
        if isinstance(self.machinery.dispatcher, ThreadsDispatcher):
            self.machinery.dispatcher.close()

    def hand_back(self) -> None:
        """Have every run at work here stop before its next call and go on in another worker."""
        self.stop_taking()
        self.machinery.runner.drain(DRAIN_S)

    def come_to_rest(self) -> None:
        """Have runs and calls stop for good in this process, so that nothing is written any more but what a verb writes."""
        self.scheduler.close()
        self.hand_back()
        self.machinery.gateway.close()

    def celery(self) -> Any:
        """Return the Celery application through which a worker is told of work."""
        return application(self.settings().workspace.broker, self.machinery.journal.identity(), self.taker.take if self.taker else None)

    def close(self) -> None:
        """Stop before the next call, give calls under way some time, close the store. What is not finished goes on at the next start."""
        if self._shut:
            return
        self._shut = True
        self.scheduler.close()
        self.stop_taking()
        self.notebooks.close()
        self.programs.close()
        self.code.close()
        self.servers.close()
        self.machinery.desks.close()
        self.machinery.runner.drain(DRAIN_S)
        self.machinery.dispatcher.close()
        self.machinery.runner.close()
        if not self.machinery.journal.exclusive:
            with contextlib.suppress(StoreError):  # it is found missing soon enough
                self.machinery.workforce.leave(self.machinery.runner.owner)
        self.machinery.gateway.close()
        self.machinery.journal.close()
        self.machinery.store.close()
        gc.unfreeze()  # what was spared is let go like the rest: DuckDB complains of what it finds alive at the end


def compose(root: Path, *, store: str | None = None, worker: bool = False) -> Composed:
    """Put a workspace together in this process.

    ``store``: instead of what the settings say, then this process does the work itself; ``":memory:"`` for one that is gone with the process.
    ``worker``: of those processes to which a broker hands the work. Raises the typed error of whatever part can't be had: settings, store,
    schema, broker.
    """
    keys = Keys()
    settings = SettingsSource(root, keys)
    connector = open_connector(store or settings().workspace.store, root)
    try:
        version = migrate(connector)
        grant_views(connector)
        return _assemble(root, settings, keys, connector, version, scaled=store is None and is_scaled(settings().workspace), worker=worker)
    except BaseException:
        connector.close()
        raise


def store_file(root: Path) -> Path | None:
    """Return the DuckDB file that a workspace's settings name; None for a store that is no file."""
    return file_of(SettingsSource(root, Keys())().workspace.store, root)


def finish_restore(path: Path | None) -> Path | None:
    """Put a store that waits to be restored in its place at ``path``, and return where the one before is kept; None where none waits.

    The caller holds the workspace's lock, and has not opened the store.
    """
    return None if path is None else finish(path)


def restore_unread(root: Path, copy: Path) -> Restoration:
    """Go back to a copy where the present store can't be opened; as :func:`finish_restore`, which it does as well."""
    path = store_file(root)
    if path is None:
        raise InvalidInput(what="the workspace's store is no file", where=str(root), next="Restore it by its own tools.")
    return restore_at_rest(path, copy, OWNER.name)


def open_in_process(root: Path | None = None, *, store: str = ":memory:") -> Workspace:
    """Return a workspace whose services run in the calling process, for tests, scripts and scale-out workers."""
    composed = compose(root or find_root(), store=store)
    composed.start()
    return workspace_of(composed.machinery, OWNER, closer=composed.close)


def _assemble(root: Path, settings: SettingsSource, keys: Keys, connector: Any, version: int, *, scaled: bool, worker: bool) -> Composed:
    ledger = StoreLedger(connector, lambda: settings().workspace.timezone, shared=connector.dialect == "postgres")
    journal = StoreJournal(connector)
    holder: list[Machinery] = []
    programs = Programs()
    notebooks = NotebookExecutor(
        root, lambda *facts: notebook_receipt(holder[0], *facts), memory_mb=lambda: settings().workspace.step_memory_mb, secrets=keys.secrets
    )
    code = CodePool(root, lambda: settings().workspace.step_memory_mb, PIPED)
    desks, servers = Desks(), _servers(root, settings, keys)

    def workspace_for(run: Run, path: str) -> Workspace:
        return workspace_for_step(holder[0], run, path)

    shared = SharedState(settings().workspace.broker, prefix(journal.identity())) if scaled else None
    gateway = Gateway(ledger, settings, keys.resolve, owner="", cache=StoreCache(connector), shared=shared, batches=StoreBatches(connector, ledger))
    runner = Runner(
        journal,
        gateway,
        settings=lambda: settings().workspace,
        workspace_for=workspace_for,
        notebook=notebooks.prepare,
        summary=lambda *facts: write_summary(holder[0], *facts),
        outside=Outside(settings, partial(lent, keys=keys.resolve), programs.prepare, code.prepare, desks.prepare, servers.call),
    )
    gateway.owner = runner.owner
    runner.works, runner.hosts = worker or not scaled, not worker
    dispatcher = _dispatcher(settings, journal, runner, scaled=scaled)
    gateway.start()
    settings.on_change(gateway.reconfigure)
    machinery = Machinery(
        root=root,
        settings=settings,
        store=connector,
        ledger=ledger,
        journal=journal,
        work=StoreWork(connector),
        gateway=gateway,
        models=gateway,
        runner=runner,
        dispatcher=dispatcher,
        workforce=Workforce(connector),
        desks=desks,
        catalog=Catalog(root, lambda: settings().mcp),
        server=lambda: None,
        schema_version=version,
        workspace_as=lambda actor, acting, name: workspace_in_the_name_of(holder[0], actor, acting, name),
        settings_error=lambda: settings.error,
        secrets=keys.secrets,
    )
    holder.append(machinery)
    scheduler = Scheduler(machinery)
    machinery.schedules_changed = scheduler.ring
    taker = Taker(runner.begin, partial(_line, journal, runner, False), dispatcher.dispatch) if worker else None
    return Composed(machinery, settings, keys, version, notebooks, programs, code, servers, scheduler, taker)


def look_at_server(root: Path, name: str) -> tuple[McpSettings, list[ServerTool], list[str]]:
    """Start or ask an MCP server once, for its user to approve: return how it is declared, its tools, and why others can't be used.

    Raises ``UnknownName``, :class:`McpFailed`, and what its host or its variables are refused with.
    """
    keys = Keys()
    settings = SettingsSource(root, keys)
    declared = settings().mcp
    if name not in declared:
        raise UnknownName.among("MCP server", name, list(declared), f"Declare it in hishamos.toml: [mcp.{name}]")
    return declared[name], *_servers(root, settings, keys).look(declared[name])


def _servers(root: Path, settings: SettingsSource, keys: Keys) -> McpServers:
    hosts = nothing_outside(settings)
    return McpServers(root, settings, partial(lent, keys=keys.resolve), partial(send, limit=MOST, check=hosts.check_host))


def _dispatcher(settings: SettingsSource, journal: StoreJournal, runner: Runner, *, scaled: bool) -> Dispatcher:
    line = partial(_line, journal, runner, not scaled)
    if scaled:
        return CeleryDispatcher(settings().workspace.broker, journal.identity(), line)
    return ThreadsDispatcher(runner.begin, line, lambda: settings().workspace.runs)


def _line(journal: StoreJournal, runner: Runner, kernels: bool, limit: int) -> Sequence[InLine]:
    return journal.line(runner.owner, kernels=kernels, limit=limit)


def spare_the_collector() -> None:
    """Let Python's cycle collector leave alone what is loaded for good, litellm above all, and look less often at the rest.

    For the server's own process only: a tenth more calls a second (``tests/benchmarks/test_throughput.py``).
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
