"""A gateway over a real store, its providers being simulators or scripted adapters."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from hishamos.gateway.adapters.plug import AdapterEvent, AdapterRequest, Fault, Finish, Text, Used
from hishamos.gateway.gateway import Gateway
from hishamos.records.calls import Message, ModelRequest, Outcome, Tags, Usage
from hishamos.records.configuration import PriceSettings, ProviderSettings, RouteSettings, Settings
from hishamos.store.batches import StoreBatches
from hishamos.store.cached_answers import StoreCache
from hishamos.store.connectors import Connector, open_connector
from hishamos.store.ledger import StoreLedger
from hishamos.store.migrate import migrate
from tests.rigs.stores import ScratchStore

KEYS = {"env:OPENAI_API_KEY": "sk-openai-0123456789", "env:ANTHROPIC_API_KEY": "sk-ant-0123456789", "env:GEMINI_API_KEY": "AIzaSimulated0123456789abcdef"}
MODELS = {"openai": "openai/gpt-4.1-mini", "anthropic": "anthropic/claude-haiku-4-5", "gemini": "gemini/gemini-2.5-flash"}
BASES = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta"}


def provider(kind: str, url: str, **changes: Any) -> ProviderSettings:
    """Return a provider whose server is at ``url`` in its own wire format."""
    key = next(reference for reference in KEYS if kind[:3].upper() in reference)
    return ProviderSettings(**{"name": kind, "kind": kind, "api_key": key, "api_base": url + BASES[kind], **changes})


def request(text: str = "hello", target: str = "default", **changes: Any) -> ModelRequest:
    """Return a request with one user message."""
    return ModelRequest(target=target, messages=(Message(role="user", content=text),), **changes)


@dataclass
class House:
    """A gateway with its store and its settings."""

    store: Connector
    ledger: StoreLedger
    gateway: Gateway
    settings: Settings
    keys: dict[str, str]

    def ask(self, text: str = "hello", *, key: str | None = None, timeout: float = 30, tags: Tags | None = None, **changes: Any) -> Outcome:
        """Send one request and wait for its outcome."""
        call = {name: changes.pop(name) for name in ("run_budget_nanos", "stream") if name in changes}
        pending = self.gateway.submit(request(text, **changes), key=key or uuid.uuid4().hex, tags=tags or Tags(), **call)
        return pending.outcome.result(timeout)

    def rows(self, columns: str = "*") -> list[dict[str, Any]]:
        """Return the ledger's attempts in the order they began."""
        return self.store.fetch(f"select {columns} from attempts order by started_at, number")

    def close(self) -> None:
        """Close gateway and store."""
        self.gateway.close(grace_s=0.2)
        self.store.close()


def build(settings: Settings, store: str | Connector = ":memory:", *, adapters: Any = None, owner: str | None = None, shared: bool = False) -> House:
    """Return a running gateway; ``store``: an address, or a connector that others use too."""
    if not isinstance(store, str):
        connector = store
    elif store == ":memory:":
        connector = ScratchStore()
    else:
        connector = open_connector(store)
        migrate(connector)
    keys = dict(KEYS)
    ledger = StoreLedger(connector, shared=shared)
    house = House(connector, ledger, None, settings, keys)  # type: ignore[arg-type]  # made in the next line
    house.gateway = Gateway(
        ledger, lambda: house.settings, keys.get, owner or uuid.uuid4().hex, adapters, StoreCache(connector), batches=StoreBatches(connector, ledger)
    )
    house.gateway.start()
    return house


def settings_for(*providers: ProviderSettings, models: tuple[str, ...] = (), prices: tuple[PriceSettings, ...] = (), **route: Any) -> Settings:
    """Return settings with these providers and the route ``default`` over ``models``."""
    chain = models or tuple(MODELS[found.kind] for found in providers)
    return Settings(
        root="/nowhere",
        providers={found.name: found for found in providers},
        routes={"default": RouteSettings(**{"name": "default", "models": chain, **route})},
        prices={price.model: price for price in prices},
    )


Act = list[AdapterEvent | Fault | float]
"""What a scripted adapter does in one request: give events, wait seconds, fail."""


def answer(text: str = "fine", **usage: int) -> Act:
    """Return a whole answer."""
    return [Text(text), Used(Usage(**({"input": 10, "output": 5} | usage))), Finish("stop")]


@dataclass
class Scripted:
    """An adapter of the plug that does what it is told, act by act, and keeps what it was asked."""

    acts: list[Act] = field(default_factory=list)
    otherwise: Callable[[], Act] = answer
    asked: list[AdapterRequest] = field(default_factory=list)
    abandoned: int = 0

    def __call__(self) -> Scripted:
        """Serve as its own factory."""
        return self

    async def stream(self, request: AdapterRequest) -> AsyncIterator[AdapterEvent]:
        """See the plug."""
        self.asked.append(request)
        act = self.acts.pop(0) if self.acts else self.otherwise()
        try:
            for step in act:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, Fault):
                    raise step
                else:
                    yield step
        except asyncio.CancelledError:
            self.abandoned += 1
            raise

    def warm(self) -> None:
        """See the plug; nothing to import."""

    async def close(self) -> None:
        """See the plug; nothing is kept."""


def scripted(*acts: Act, otherwise: Callable[[], Act] = answer, **route: Any) -> tuple[House, Scripted]:
    """Return a house whose only provider ``toy`` has the one model ``toy/model``, at 1 and 2 USD per million tokens."""
    adapter = Scripted([*acts], otherwise)
    limits = {name: route.pop(name) for name in ("timeout_s", "idle_timeout_s", "concurrency") if name in route}
    store, shared = route.pop("store", ":memory:"), route.pop("shared", False)
    toy = ProviderSettings(name="toy", kind="toy", api_base="http://127.0.0.1:9", **limits)
    settings = settings_for(toy, models=("toy/model",), prices=(PriceSettings(model="toy/model", input="1", output="2"),), **route)  # type: ignore[arg-type]
    return build(settings, store, adapters={"toy": adapter}, shared=shared), adapter
