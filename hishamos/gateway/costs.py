"""What an attempt costs: exact sums over token kinds, rounded half-even once to nano-dollars; bounds before it is sent."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from hishamos.records.calls import ModelRequest, Usage
from hishamos.records.money import Price, PriceTier
from hishamos.records.record import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

EXACT = Context(prec=100)
NANOS_PER_TOKEN = Decimal(1000)
"""A price of 1 USD per million tokens is 1000 nano-dollars a token."""

FRAMING_TOKENS = 64
MESSAGE_TOKENS = 16
SCHEMA_TOKENS = 1024
"""What providers wrap around a schema or a tool: published figures are 300 to 700 tokens."""


def cost(price: Price, usage: Usage) -> int:
    """Return what the usage costs, nano-dollars. A kind without a price of its own costs what its parent kind costs."""
    rates = _rates(price, usage.input)
    cached, written = rates.cached_input, rates.cache_write
    total = EXACT.add(
        _product(rates.input, usage.input - usage.cached - usage.cache_write),
        _product(rates.input if cached is None else cached, usage.cached),
    )
    total = EXACT.add(total, _product(rates.input if written is None else written, usage.cache_write))
    total = EXACT.add(total, _product(rates.output, usage.output - usage.reasoning))
    total = EXACT.add(total, _product(rates.output if rates.reasoning is None else rates.reasoning, usage.reasoning))
    return int(total.to_integral_value(rounding=ROUND_HALF_EVEN))


def batch_price(price: Price) -> Price | None:
    """Return what a model costs in a batch; None where nobody says. Dearer prices of long requests are as much cheaper as the usual ones."""
    if price.source == "free":
        return price
    if price.batch_input is None or price.batch_output is None:
        return None
    share, out = (
        Decimal(1) if not whole else EXACT.divide(part, whole) for part, whole in ((price.batch_input, price.input), (price.batch_output, price.output))
    )
    own = {"input": price.batch_input, "output": price.batch_output, "batch_input": None, "batch_output": None, "source": f"{price.source}, in a batch"}
    return price.model_copy(update={**own, **_cheaper(price, share, out), "tiers": tuple(_tier(tier, share, out) for tier in price.tiers)})


def _tier(tier: PriceTier, share: Decimal, out: Decimal) -> PriceTier:
    return tier.model_copy(update={"input": EXACT.multiply(tier.input, share), "output": EXACT.multiply(tier.output, out), **_cheaper(tier, share, out)})


def _cheaper(level: Price | PriceTier, share: Decimal, out: Decimal) -> dict[str, Decimal | None]:
    """Kinds without a batch price of their own: OpenAI and Anthropic take off the same share of all."""
    kinds = {"cached_input": (level.cached_input, share), "cache_write": (level.cache_write, share), "reasoning": (level.reasoning, out)}
    return {kind: None if rate is None else EXACT.multiply(rate, part) for kind, (rate, part) in kinds.items()}


def bound(price: Price, input_tokens: int, output_tokens: int) -> int:
    """Return an upper bound, nano-dollars: all input at the dearest input price, all output at the dearest output price."""
    levels: list[Price | PriceTier] = [price, *(tier for tier in price.tiers if input_tokens > tier.above_tokens)]
    dearest_input = max(_known(kind for level in levels for kind in (level.input, level.cached_input, level.cache_write)))
    dearest_output = max(_known(kind for level in levels for kind in (level.output, level.reasoning)))
    total = EXACT.add(_product(dearest_input, input_tokens), _product(dearest_output, output_tokens))
    return int(total.to_integral_value(rounding=ROUND_CEILING))


def input_bound(request: ModelRequest, files: int = 0) -> int:
    """Return more tokens than the request's input can have: its UTF-8 bytes plus framing; ``files``: those of its images and PDFs at most."""
    size = files + FRAMING_TOKENS + sum(len(message.content.encode()) + MESSAGE_TOKENS for message in request.messages)
    if request.output_schema is not None:
        size += len(canonical(request.output_schema).encode()) * 2 + SCHEMA_TOKENS
    told = request.tool_bytes()
    if told:
        size += told * 2 + SCHEMA_TOKENS
    return size


def estimate(request: ModelRequest, text: str, files: int = 0) -> Usage:
    """Return the usage of an answer that was cut off: three bytes a token, in English and Arabic alike on the high side; ``files``: as above."""
    size = sum(len(message.content.encode()) + MESSAGE_TOKENS for message in request.messages) + request.tool_bytes()
    return Usage(input=files - (-size // 3), output=-(-len(text.encode()) // 3), source="estimated")


def _rates(price: Price, input_tokens: int) -> Price | PriceTier:
    over: list[PriceTier] = [tier for tier in price.tiers if input_tokens > tier.above_tokens]
    return max(over, key=lambda tier: tier.above_tokens) if over else price


def _product(rate: Decimal, tokens: int) -> Decimal:
    return EXACT.multiply(EXACT.multiply(rate, NANOS_PER_TOKEN), Decimal(tokens))


def _known(kinds: Iterable[Decimal | None]) -> list[Decimal]:
    return [kind for kind in kinds if kind is not None]
