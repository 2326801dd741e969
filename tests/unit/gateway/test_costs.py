"""Costs: exact over all kinds, rounded once, never above the bound."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hishamos.gateway.costs import bound, cost, estimate, input_bound
from hishamos.records.calls import Message, ModelRequest, Usage
from hishamos.records.money import Price, PriceTier


def price(**kinds: str) -> Price:
    return Price(
        model="m", since=date(2026, 1, 1), source="test", **{"input": Decimal(1), "output": Decimal(2)} | {name: Decimal(rate) for name, rate in kinds.items()}
    )


def test_each_kind_has_its_own_rate():
    rates = price(input="3", cached_input="0.3", cache_write="3.75", output="15", reasoning="20")
    usage = Usage(input=1000, cached=400, cache_write=100, output=50, reasoning=30)
    assert cost(rates, usage) == 500 * 3000 + 400 * 300 + 100 * 3750 + 20 * 15000 + 30 * 20000


def test_kind_without_a_rate_costs_what_its_parent_costs():
    assert cost(price(), Usage(input=10, cached=10, output=4, reasoning=4)) == 10 * 1000 + 4 * 2000


@pytest.mark.parametrize(("rate", "nanos"), [("0.0005", 0), ("0.0015", 2), ("0.0025", 2), ("0.00150001", 2), ("0.0035", 4)])
def test_half_a_nano_goes_to_the_even_side(rate: str, nanos: int):
    assert cost(price(input=rate), Usage(input=1)) == nanos


def test_the_sum_is_rounded_once_not_each_kind():
    assert cost(price(input="0.0004", output="0.0004"), Usage(input=1, output=1)) == 1


def test_a_long_request_costs_the_tier_it_reaches():
    tiered = price(input="1.25", output="10").model_copy(update={"tiers": (PriceTier(above_tokens=200_000, input=Decimal("2.5"), output=Decimal(15)),)})
    assert cost(tiered, Usage(input=200_000, output=10)) == 200_000 * 1250 + 10 * 10_000
    assert cost(tiered, Usage(input=200_001, output=10)) == 200_001 * 2500 + 10 * 15_000


rates = st.decimals(min_value=0, max_value=200, places=6, allow_nan=False)


@settings(deadline=None)  # the machine may be busy
@given(rates, rates, rates, rates, rates, st.integers(0, 10**6), st.integers(0, 10**6), st.data())
def test_cost_is_exact_and_never_above_the_bound(given_input, cached, written, output, reasoning, tokens_in, tokens_out, data):
    table = Price(
        model="m", since=date(2026, 1, 1), source="t", input=given_input, cached_input=cached, cache_write=written, output=output, reasoning=reasoning
    )
    from_cache = data.draw(st.integers(0, tokens_in))
    to_cache = data.draw(st.integers(0, tokens_in - from_cache))
    thoughts = data.draw(st.integers(0, tokens_out))
    usage = Usage(input=tokens_in, cached=from_cache, cache_write=to_cache, output=tokens_out, reasoning=thoughts)
    exact = Fraction(given_input) * (tokens_in - from_cache - to_cache) + Fraction(cached) * from_cache + Fraction(written) * to_cache
    exact = (exact + Fraction(output) * (tokens_out - thoughts) + Fraction(reasoning) * thoughts) * 1000
    assert cost(table, usage) == round(exact)
    assert cost(table, usage) <= bound(table, tokens_in, tokens_out)


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=200))
def test_input_bound_is_above_the_bytes_that_are_sent(text: str):
    asked = ModelRequest(target="t", messages=(Message(role="user", content=text),), output_schema={"type": "object"})
    assert input_bound(asked) > len(text.encode())
    assert estimate(asked, text).input <= input_bound(asked)
