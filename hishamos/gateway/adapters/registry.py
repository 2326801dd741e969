"""Adapters by the kind of provider, made when first needed."""

from __future__ import annotations

import asyncio
from importlib.metadata import entry_points

from hishamos.gateway.adapters.extractive import ExtractiveAdapter
from hishamos.gateway.adapters.litellm_chat import LitellmAdapter
from hishamos.gateway.adapters.plug import Adapter, AdapterFactory

GROUP = "hishamos.adapters"

ADAPTERS: dict[str, AdapterFactory] = {"offline": ExtractiveAdapter, "litellm": LitellmAdapter}
"""Kinds that have an adapter of their own; ``litellm`` serves every other kind."""


class Adapters:
    """One adapter an implementation, shared by all calls of a gateway. ``extra``: further kinds, for programs that bring their own."""

    def __init__(self, extra: dict[str, AdapterFactory] | None = None) -> None:
        self._factories: dict[str, AdapterFactory] = ADAPTERS | {point.name: point.load() for point in entry_points(group=GROUP)} | (extra or {})
        self._made: dict[str, Adapter] = {}
        self._ready: set[str] = set()

    def of(self, kind: str) -> Adapter:
        """Return the adapter for a provider's ``kind``."""
        name = kind if kind in self._factories else "litellm"
        if name not in self._made:
            self._made[name] = self._factories[name]()
        return self._made[name]

    async def ready(self, kind: str) -> None:
        """Wait until what the adapter needs is imported; done once, in a thread."""
        if kind not in self._ready:
            adapter = self.of(kind)
            await asyncio.to_thread(adapter.warm)
            self._ready.add(kind)

    async def close(self) -> None:
        """Close the adapters that were made."""
        for adapter in self._made.values():
            await adapter.close()
