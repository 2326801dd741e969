"""Prices: from the bundled map, under the configuration's own; what nobody knows is unpriced, never 0."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest

from hishamos.gateway.prices import PriceBook, bundled
from hishamos.records.configuration import PriceSettings, ProviderSettings, Settings


def book(*prices: PriceSettings, **providers: ProviderSettings) -> PriceBook:
    settings = Settings(root="/nowhere", providers=providers, prices={price.model: price for price in prices})
    return PriceBook(lambda: settings)


@pytest.mark.parametrize(
    "model",
    [
        "openai/gpt-3.5-turbo", "openai/gpt-4", "openai/gpt-4-turbo", "openai/gpt-4.1-mini", "openai/o3", "anthropic/claude-haiku-4-5",
        "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "gemini/gemini-2.5-pro",
    ],
)  # fmt: skip
def test_usual_models_have_a_price_from_the_map(model: str):
    price = book().price(model)
    assert price is not None
    assert price.source == bundled()[1]
    assert price.input > 0 < price.output


def test_decimals_are_those_of_the_file():
    price = book().price("openai/gpt-4.1-mini")
    assert price is not None
    assert (price.input, price.cached_input, price.output) == (Decimal("0.4"), Decimal("0.1"), Decimal("1.6"))


def test_long_requests_have_their_tier():
    price = book().price("gemini/gemini-2.5-pro")
    assert price is not None
    assert [(tier.above_tokens, tier.input, tier.output) for tier in price.tiers] == [(200_000, Decimal("2.5"), Decimal(15))]


def test_unknown_is_unpriced():
    assert book().price("openai/no-such-model") is None
    assert book(PriceSettings(model="openai/mine", input=Decimal(1))).price("openai/mine") is None


def test_a_zero_in_the_map_is_no_price():
    entries, _ = bundled()
    zeros = [name for name, entry in entries.items() if entry.get("input_cost_per_token") == 0 == entry.get("output_cost_per_token") and "/" in name]
    unfree = [name for name in zeros if not name.startswith("ollama") and not name.endswith(":free")]
    assert unfree
    assert [name for name in unfree if book().price(name) is not None] == []


def test_the_configuration_wins():
    own = PriceSettings(model="openai/gpt-4.1-mini", input=Decimal("0.15"), output=Decimal("0.60"))
    price = book(own).price("openai/gpt-4.1-mini")
    assert price is not None
    assert (price.source, price.input, price.cached_input) == ("hishamos.toml", Decimal("0.15"), None)


@pytest.mark.parametrize("model", ["offline/extractive", "ollama/llama3"])
def test_what_runs_here_is_free(model: str):
    price = book().price(model)
    assert price is not None
    assert (price.input, price.output, price.source) == (0, 0, "free")


def test_declared_free_is_free():
    price = book(PriceSettings(model="local/x", price="free")).price("local/x")
    assert price is not None
    assert price.input == price.output == 0


def test_own_server_under_another_name_has_not_that_providers_prices():
    local = ProviderSettings(name="local", kind="openai", api_base="http://127.0.0.1:8080/v1")
    assert book(local=local).price("local/gpt-4.1-mini") is None


def test_reading_prices_does_not_import_litellm():
    code = "import sys; from hishamos.gateway.prices import bundled; assert len(bundled()[0]) > 1000; assert 'litellm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
