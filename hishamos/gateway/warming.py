"""What providers need is imported in the background, as soon as there is one that can be asked."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hishamos.gateway.adapters.registry import Adapters
from hishamos.gateway.prices import bundled
from hishamos.gateway.routes import Keys, lacks_key
from hishamos.records.configuration import ProviderSettings, Settings

WARM_AFTER_S = 1.0
"""Importing litellm takes seconds of the interpreter: whoever started the server, or brought a key, is answered first."""


class Warming:
    """Imports the adapters of the providers that can be asked. They cost seconds and memory, which nobody pays who has no key.

    ``settings``, ``keys``, ``adapters``: those of the gateway.
    """

    def __init__(self, settings: Callable[[], Settings], keys: Keys, adapters: Adapters) -> None:
        self._settings, self._keys, self._adapters = settings, keys, adapters
        self._then: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def start(self, then: Callable[[], None]) -> None:
        """Warm soon, and again whenever a provider may have come to be one that can be asked; ``then`` call, each time. Answers at once."""
        self._then = then
        self.again()

    def again(self) -> None:
        """Look once more, soon: a key was handed over, or ``hishamos.toml`` has changed. Does nothing before :meth:`start`."""
        with self._lock:
            if self._then is None or self._stopped or self._timer is not None:
                return
            self._timer = threading.Timer(WARM_AFTER_S, self._warm)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """Begin nothing more; what is being imported is not waited for."""
        with self._lock:
            self._stopped = True
            if self._timer is not None:
                self._timer.cancel()

    def _warm(self) -> None:
        with self._lock:
            self._timer = None  # what changes from here on is looked at again
        bundled()
        for provider in self._settings().providers.values():
            if self._can_be_asked(provider):
                self._adapters.of(provider.kind).warm()
        if self._then is not None:
            self._then()

    def _can_be_asked(self, provider: ProviderSettings) -> bool:
        if provider.kind == "offline" or self._adapters.problem(provider.kind):
            return False
        if provider.api_key and provider.api_key.startswith("keyring:"):
            return True  # a keyring may ask its user for a password: only a call looks into it
        return not lacks_key(provider, self._keys(provider.api_key) if provider.api_key else None)
