"""Prices: litellm's bundled map, read as a file, under those of hishamos.toml. What neither knows is unpriced."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hishamos.records.configuration import PriceSettings, ProviderSettings, Settings
from hishamos.records.money import Price, PriceTier
from hishamos.records.record import now

MILLION = Decimal(1_000_000)
FREE_KINDS = frozenset({"offline", "ollama"})

KINDS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "reasoning": "output_cost_per_reasoning_token",
    "batch_input": "input_cost_per_token_batches",
    "batch_output": "output_cost_per_token_batches",
}
TIER_KINDS = ("input", "output", "cached_input", "cache_write", "reasoning")
_THRESHOLD = re.compile(r"^input_cost_per_token_above_(\d+)k_tokens$")


class PriceBook:
    """The price in force of any model. ``settings``: the configuration in force."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._known: dict[str, tuple[object, Price | None]] = {}

    def price(self, model: str) -> Price | None:
        """Return the price of ``provider/model``, or None: unpriced."""
        settings = self._settings()
        own, (name, _, rest) = settings.prices.get(model), model.partition("/")
        provider = settings.providers.get(name)
        basis = (own, provider)
        remembered = self._known.get(model)
        if remembered is not None and remembered[0] == basis:
            return remembered[1]
        found = self._find(model, name, rest, provider, own)
        self._known[model] = (basis, found)
        return found

    @staticmethod
    def _find(model: str, name: str, rest: str, provider: ProviderSettings | None, own: PriceSettings | None) -> Price | None:
        if own is not None:
            return _declared(model, own)
        kind = provider.kind if provider else name
        if kind in FREE_KINDS:
            return Price(model=model, since=now().date(), source="free", input=Decimal(0), output=Decimal(0))
        # A server of one's own that speaks a known format under another name doesn't charge that provider's prices.
        return _bundled_price(model, name if provider and provider.api_base else kind, rest)


def _declared(model: str, own: PriceSettings) -> Price | None:
    if own.price == "free":
        return Price(model=model, since=now().date(), source="free", input=Decimal(0), output=Decimal(0))
    if own.input is None or own.output is None:
        return None
    kinds = own.model_dump(exclude={"model", "price"}, exclude_none=True)
    return Price(model=model, since=now().date(), source="hishamos.toml", **kinds)


def _bundled_price(model: str, kind: str, name: str) -> Price | None:
    found = entry_of(kind, name)
    return None if found is None else _price(model, found, bundled()[1])


def entry_of(kind: str, name: str) -> dict[str, Any] | None:
    """Return what litellm's map says of a model of a kind of provider."""
    entries, _ = bundled()
    entry = entries.get(f"{kind}/{name}")
    if entry is None and name in entries and entries[name].get("litellm_provider") == kind:
        return entries[name]
    return entry


def _price(model: str, entry: dict[str, Any], source: str) -> Price | None:
    kinds = {kind: _rate(entry, field) for kind, field in KINDS.items()}
    if kinds["input"] is None or kinds["output"] is None:
        return None
    if not kinds["input"] and not kinds["output"] and not model.endswith(":free"):
        return None  # the map writes 0 where it does not know
    tiers = sorted(int(found[1]) for found in map(_THRESHOLD.match, entry) if found)
    return Price(model=model, since=now().date(), source=source, tiers=tuple(_tier(entry, thousands, kinds) for thousands in tiers), **kinds)


def _tier(entry: dict[str, Any], thousands: int, usual: dict[str, Decimal | None]) -> PriceTier:
    kinds = {kind: _rate(entry, f"{KINDS[kind]}_above_{thousands}k_tokens") for kind in TIER_KINDS}
    return PriceTier(above_tokens=thousands * 1000, **{kind: usual[kind] if rate is None else rate for kind, rate in kinds.items()})


def _rate(entry: dict[str, Any], field: str) -> Decimal | None:
    value = entry.get(field)
    return None if value is None or isinstance(value, (str, bool, dict, list)) else Decimal(value) * MILLION


@lru_cache(maxsize=1)
def bundled() -> tuple[dict[str, dict[str, Any]], str]:
    """Return litellm's price map and its name and version, without importing litellm. Decimals come from the JSON text."""
    found = find_spec("litellm")
    if found is None or not found.submodule_search_locations:
        return {}, "none"
    path = Path(next(iter(found.submodule_search_locations))) / "model_prices_and_context_window_backup.json"
    return json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal), f"litellm {version('litellm')}"
