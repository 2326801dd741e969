"""Prices held against an independent opinion (genai-prices), and the families that people name: a price, or explicitly none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import data_snapshot

from hishamos.charts.formats import money
from hishamos.gateway.models import input_limit
from hishamos.gateway.prices import PriceBook, bundled
from hishamos.records.configuration import BudgetSettings, ProviderSettings, Settings
from tests.rigs.gateways import KEYS, Scripted, build, settings_for

BOOK = PriceBook(lambda: Settings(root="/nowhere"))
WHEN = datetime(2026, 11, 24, tzinfo=UTC)
"""Their prices have dates; those of this day are compared."""
THEIRS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google", "azure": "azure", "groq": "groq"}
ANSWERING = ("chat", "responses", "completion")
Rates = tuple[Decimal | None, ...]
"""Input, output, cached read, cache write; USD per million tokens."""


def rates(*values: str | None) -> Rates:
    return tuple(None if value is None else Decimal(value) for value in values)


DIFFERENT: dict[str, tuple[Rates, Rates]] = {
    # The second opinion has no cached price of tuned models; OpenAI halves the input price of this generation, as ours does.
    "openai/ft:gpt-4o-2024-08-06": (rates("3.75", "15", "1.875", None), rates("3.75", "15", None, None)),
    "openai/ft:gpt-4o-mini-2024-07-18": (rates("0.3", "1.2", "0.15", None), rates("0.3", "1.2", None, None)),
    # Neither: litellm's map has the cached price under cache writes. Cached tokens are then counted as other input: too dear, never too cheap.
    "openai/ft:gpt-4o-2024-11-20": (rates("3.75", "15", None, "1.875"), rates("3.75", "15", None, None)),
    # Not settled: a cached price is published for gpt-4o, none for its search models. It counts only where the provider reports cached tokens.
    "openai/gpt-4o-search-preview": (rates("2.5", "10", "1.25", None), rates("2.5", "10", None, None)),
    "openai/gpt-4o-search-preview-2025-03-11": (rates("2.5", "10", "1.25", None), rates("2.5", "10", None, None)),
    # Not settled, of no weight: speech, and the model has been withdrawn.
    "gemini/gemini-2.5-pro-preview-tts": (rates("1", "20", "0.125", None), rates("1", "20", None, None)),
    # Ours: both lists have the dearer level above 272,000 tokens for the rest of the family; at worst it is too dear.
    "openai/gpt-5.6-cyber": (rates("25", "112.5", "2.5", "31.25"), rates("12.5", "75", "1.25", "15.625")),
    # Ours: a deployment bound to a region costs a tenth more; the second opinion knows one price.
    **{
        f"azure/{region}/o4-mini{date}": (rates("1.21", "4.84", "0.303", None), rates("1.1", "4.4", "0.275", None))
        for region in ("eu", "us")
        for date in ("", "-2025-04-16")
    },
    # Theirs is half of the input price, ours the same rounded.
    "groq/openai/gpt-oss-safeguard-20b": (rates("0.075", "0.3", "0.037", None), rates("0.075", "0.3", "0.0375", None)),
}
"""Ours and theirs, and who is right; at the length where they differ."""


def priced() -> list[str]:
    """Every model of these providers that answers questions, has a price with us, and is known to the second opinion."""
    theirs = {provider.id: provider for provider in data_snapshot.get_snapshot().providers}
    entries, _ = bundled()
    names = {
        f"{entry['litellm_provider']}/{key.removeprefix(entry['litellm_provider'] + '/')}"
        for key, entry in entries.items()
        if entry.get("litellm_provider") in THEIRS and entry.get("mode") in ANSWERING
    }
    return sorted(name for name in names if BOOK.price(name) and theirs[THEIRS[name.partition("/")[0]]].find_model(name.partition("/")[2]))


def ours(model: str, tokens: int) -> Rates:
    price = BOOK.price(model)
    assert price is not None
    level = max((tier for tier in price.tiers if tokens > tier.above_tokens), key=lambda tier: tier.above_tokens, default=price)
    return level.input, level.output, level.cached_input, level.cache_write


def second(model: str, tokens: int) -> Rates:
    name, _, rest = model.partition("/")
    found = next(provider for provider in data_snapshot.get_snapshot().providers if provider.id == THEIRS[name]).find_model(rest)
    assert found is not None
    prices = found.get_prices(WHEN)
    return tuple(_level(getattr(prices, kind), tokens) for kind in ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"))


def _level(price: Any, tokens: int) -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return price
    above = [tier for tier in price.tiers if tokens > tier.start]
    return max(above, key=lambda tier: tier.start).price if above else price.base


def test_two_independent_lists_agree_but_where_it_is_said_who_is_right():
    found: dict[str, tuple[Rates, Rates]] = {}
    models = priced()
    for model in models:
        name, _, rest = model.partition("/")
        longest = input_limit(rest, ProviderSettings(name=name, kind=name)) or 1
        for tokens in (1, longest):
            mine, other = ours(model, tokens), second(model, tokens)
            if mine != other:
                found[model] = (mine, other)
    assert found == DIFFERENT
    assert len(models) > 150
    for name in ("gpt-4.1-mini", "gpt-3.5-turbo", "gpt-4", "gpt-4-turbo", "gpt-5.5"):
        assert f"openai/{name}" in models
    assert {"anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "gemini/gemini-2.5-pro"} <= set(models)


FAMILIES: dict[str, tuple[str, str] | None] = {
    "openai/gpt-3.5-turbo": ("0.5", "1.5"),
    "openai/gpt-3.5-turbo-16k": ("3", "4"),
    "openai/gpt-4": ("30", "60"),
    "openai/gpt-4-32k": None,
    "openai/gpt-4-turbo": ("10", "30"),
    "openai/gpt-4-turbo-2024-04-09": ("10", "30"),
    "openai/gpt-4-turbo-preview": None,
    "openai/gpt-4o": ("2.5", "10"),
    "openai/gpt-4.1": ("2", "8"),
    "openai/gpt-4.1-mini": ("0.4", "1.6"),
    "openai/gpt-5": ("1.25", "10"),
    "openai/gpt-5.5": ("5", "30"),
    "openai/gpt-5.6": ("4", "20"),
    "anthropic/claude-3-opus-20240229": None,
    "anthropic/claude-3-sonnet-20240229": None,
    "anthropic/claude-3-haiku-20240307": None,
    "anthropic/claude-opus-4-5": ("5", "25"),
    "anthropic/claude-opus-5-5": ("4", "20"),
    "anthropic/claude-sonnet-4-5": ("3", "15"),
    "anthropic/claude-sonnet-5-5": ("2", "10"),
    "anthropic/claude-haiku-4-5": ("1", "5"),
    "anthropic/claude-haiku-5-5": ("0.1", "0.5"),
    "gemini/gemini-pro": None,
    "gemini/gemini-1.5-pro": None,
    "gemini/gemini-1.5-flash": None,
    "gemini/gemini-2.5-pro": ("1.25", "10"),
    "gemini/gemini-2.5-flash": ("0.3", "2.5"),
    "gemini/gemini-pro-latest": ("2", "12"),
    "gemini/gemini-flash-latest": ("0.75", "3.75"),
}
"""USD per million tokens in and out; None: unpriced, for its provider has withdrawn it and litellm's map no longer has it."""


@pytest.mark.parametrize(("model", "expected"), FAMILIES.items())
def test_a_family_resolves_to_its_price_or_to_none(model: str, expected: tuple[str, str] | None):
    price = BOOK.price(model)
    assert (None if price is None else (price.input, price.output)) == (None if expected is None else rates(*expected))


@pytest.mark.parametrize("model", [model for model, expected in FAMILIES.items() if expected is None])
def test_a_family_without_a_price_is_shown_as_unpriced_and_refused_under_a_hard_budget(model: str):
    kind = model.partition("/")[0]
    key = next(reference for reference in KEYS if kind[:3].upper() in reference)
    adapter = Scripted()
    house = build(settings_for(ProviderSettings(name=kind, kind=kind, api_key=key), models=(model,)), adapters={kind: adapter})
    try:
        answered = house.ask()
        assert (answered.cost_nanos, money(answered.cost_nanos)) == (None, "unpriced")
        house.settings = house.settings.model_copy(update={"budgets": {"all": BudgetSettings(name="all", limit_usd=Decimal(1))}})
        house.gateway.reconfigure(house.settings)
        refused = house.ask()
        assert refused.error is not None
        assert (refused.error.type, len(adapter.asked)) == ("UnpricedModel", 1)
        assert f'[prices."{model}"]' in refused.error.message
    finally:
        house.close()
