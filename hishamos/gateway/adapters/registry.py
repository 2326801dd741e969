"""Adapters by the kind of provider, made when first needed."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import EntryPoint, entry_points

from hishamos.errors import AdapterBroken
from hishamos.gateway.adapters.batch_plug import Batches
from hishamos.gateway.adapters.extractive import ExtractiveAdapter
from hishamos.gateway.adapters.litellm_chat import LitellmAdapter
from hishamos.gateway.adapters.plug import Adapter, AdapterFactory
from hishamos.gateway.destinations import HOSTS
from hishamos.provider_kinds import GROUP, is_known
from hishamos.records.configuration import ProviderSettings

VERBS = ("stream", "warm", "close")
KNOWN = frozenset({"ollama", *HOSTS})
"""Kinds whose keys people have: no package takes them over."""
log = logging.getLogger(__name__)

ADAPTERS: dict[str, AdapterFactory] = {"offline": ExtractiveAdapter, "litellm": LitellmAdapter}
"""Kinds that have an adapter of their own; ``litellm`` serves every other kind."""


class Adapters:
    """One adapter an implementation, shared by all calls of a gateway. ``extra``: further kinds, for programs that bring their own.

    Installed packages offer theirs under the entry point group ``hishamos.adapters``; one is loaded when its kind is first needed, so that
    a broken one hinders nobody else. A kind that is known without it stays what it is: its key is meant for that provider.
    """

    def __init__(self, extra: dict[str, AdapterFactory] | None = None) -> None:
        self._factories: dict[str, AdapterFactory] = ADAPTERS | (extra or {})
        self._offered: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=GROUP):
            if point.name in KNOWN or point.name in self._factories:
                log.warning("the package %s offers an adapter for %r, which is HishamOS's own: not used", _package(point), point.name)
            else:
                self._offered.setdefault(point.name, []).append(point)
        self._made: dict[str, Adapter] = {}
        self._broken: dict[str, AdapterBroken] = {}
        self._ready: set[str] = set()

    def of(self, kind: str) -> Adapter:
        """Return the adapter for a provider's ``kind``; raises :class:`AdapterBroken` where a package's can't be used."""
        if kind in self._broken:
            raise self._broken[kind]
        name = kind if kind in self._factories or kind in self._offered else "litellm"
        if name == "litellm" and not is_known(kind):
            raise self._nobodys(kind)
        if name not in self._made:
            self._made[name] = self._factories[name]() if name in self._factories else self._load(name)
        return self._made[name]

    def problem(self, kind: str) -> AdapterBroken | None:
        """Return why a kind's adapter can't be used; None where it can."""
        try:
            self.of(kind)
        except AdapterBroken as error:
            return error
        return None

    def _load(self, kind: str) -> Adapter:
        points = self._offered[kind]
        packages = ", ".join(sorted(_package(point) for point in points))
        try:
            if len(points) > 1:
                raise TypeError("more than one package offers it")  # noqa: TRY301 - told as what goes wrong inside of one is
            adapter: Adapter = points[0].load()()
            lacking = [verb for verb in VERBS if not callable(getattr(adapter, verb, None))]
            if lacking:
                raise TypeError(f"it has no {' and no '.join(lacking)}")  # noqa: TRY301
        except Exception as error:
            advice = f"Mend or remove the package (pip uninstall {packages.split(', ')[0]}), then: hishamos server stop"
            problem = str(error) or type(error).__name__
            self._broken[kind] = AdapterBroken(kind=kind, package=packages, problem=problem.rstrip("."), next=advice)
            raise self._broken[kind] from error
        return adapter

    def _nobodys(self, kind: str) -> AdapterBroken:
        problem = "it has no provider of that kind, and no other package offers one"
        advice = "Correct the provider's kind in hishamos.toml, or install the package that serves it, then: hishamos server stop"
        return self._broken.setdefault(kind, AdapterBroken(kind=kind, package="litellm", problem=problem, next=advice))

    def check_tools(self, kind: str) -> None:
        """Raise :class:`AdapterBroken` unless the kind's adapter says that it tells models of tools: else they would be left out without a word."""
        if not getattr(self.of(kind), "calls_tools", False):
            raise self._lacking(kind, "it does not tell models of tools", "leave the tools out")

    def check_files(self, kind: str) -> None:
        """Raise :class:`AdapterBroken` unless the kind's adapter says that it sends images and PDFs: else they would be left out without a word."""
        if not getattr(self.of(kind), "takes_files", False):
            raise self._lacking(kind, "it sends no images or PDFs", "leave the files out")

    def _lacking(self, kind: str, problem: str, otherwise: str) -> AdapterBroken:
        package = ", ".join(sorted(_package(point) for point in self._offered.get(kind, []))) or "this program"
        return AdapterBroken(kind=kind, package=package, problem=problem, next=f"Ask a model of another provider, or {otherwise}.")

    def batches(self, provider: ProviderSettings, key: str | None) -> Batches | None:
        """Return a provider's batch endpoints; None where its adapter has none."""
        make = getattr(self.of(provider.kind), "batches", None)
        return None if make is None else make(provider, key)

    def takes_batches(self, kind: str) -> bool:
        """Return whether a kind's adapter has batch endpoints for it."""
        return kind in getattr(self.of(kind), "batch_kinds", ())

    async def ready(self, kind: str) -> None:
        """Wait until what the adapter needs is imported; done once, in a thread."""
        if kind not in self._ready:
            adapter = await asyncio.to_thread(self.of, kind)
            await asyncio.to_thread(adapter.warm)
            self._ready.add(kind)

    async def close(self) -> None:
        """Close the adapters that were made."""
        for adapter in self._made.values():
            await adapter.close()


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
