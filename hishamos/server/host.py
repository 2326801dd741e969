"""What one server process holds: the composed workspace, its keys, its reasons to stay."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hishamos.composition import Asked, Composed
from hishamos.contracts.wire import code
from hishamos.errors import ServerClosing
from hishamos.records.actors import OWNER
from hishamos.records.origins import Origin
from hishamos.records.workspaces import ServerInfo
from hishamos.security import redact
from hishamos.settings import wanted_variables
from hishamos.workspace import Workspace

VERBS_S = 10.0
"""So long verbs that are being served are waited for before the store is replaced."""
log = logging.getLogger("hishamos.server")


class Host:
    """A workspace that is served."""

    def __init__(self, composed: Composed, info: ServerInfo) -> None:
        self.composed = composed
        self.info = info
        self.root: Path = composed.machinery.root
        self.workspace: Workspace = composed.workspace_for(OWNER)
        self.stamp = code()[1]
        self.leaving = False
        self.handed = asyncio.Event()
        """Set once a client has handed over the keys that it has."""
        self.on_leave: Callable[[], object] = lambda: None
        """Called in whatever thread it is that has the server leave."""
        self._begun = time.monotonic()
        self._lock = threading.Condition()
        self._left = False
        self._inside = 0
        """How many verbs are being served."""

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begun

    def wanted(self) -> list[str]:
        """Return the variables that clients should hand over."""
        return wanted_variables(self.composed.settings())

    def hand_over(self, values: Mapping[str, str]) -> list[str]:
        """Take keys from a client, read the settings again, say in the log which (never what)."""
        wanted = set(self.wanted())
        changed = self.composed.keys.hand_over({name: value for name, value in values.items() if name in wanted})
        if changed:
            log.info("keys handed over: %s", ", ".join(changed))
            self.composed.settings.reread()
        return self.wanted()

    @contextmanager
    def serving(self, identity: str | None, acting: str | None, origin: Origin | None, asked: Asked, *, first: bool) -> Iterator[Workspace]:
        """Hand out the caller's workspace, in which changes carry the client-made id (``first``: never sent before).

        ``acting``: a notebook's token; ``origin``: the notebook and cell that ask; ``asked``: the verb and its arguments. Raises
        :class:`ServerClosing` where the server takes nothing new.
        """
        with self._lock:
            if self.leaving:
                raise ServerClosing
            self._inside += 1
        try:
            with self.composed.request(identity, acting, origin, asked, first=first) as workspace:
                yield workspace or self.workspace
        finally:
            with self._lock:
                self._inside -= 1
                self._lock.notify_all()

    @contextmanager
    def ending(self, why: str) -> Iterator[None]:
        """Take no new work, and wait until runs, calls and all other verbs are over: for the verb that asks, nobody else writes inside.

        The process leaves afterwards, whatever came of it; what was stopped goes on in the next one.
        """
        with self._lock:
            if self.leaving:
                raise ServerClosing
            self.leaving = True
        log.info("takes nothing new: %s", why)
        try:
            self.composed.come_to_rest()
            with self._lock:
                self._lock.wait_for(lambda: self._inside <= 1, VERBS_S)
            yield
        finally:
            self.leave(why)

    def redacted(self, text: str) -> str:
        """Return a text without any key that was handed over."""
        return redact(text, self.composed.keys.secrets())

    def busy(self) -> bool:
        """Return whether a run works or a call is open; a run that waits for a person does not hold the server."""
        return self.composed.busy()

    def leave(self, why: str) -> None:
        """Take no new work and let the process end."""
        with self._lock:
            if self._left:
                return
            self._left = self.leaving = True
        log.info("leaving: %s", why)
        self.on_leave()
