"""What a request, or work like earlier work, costs on a model: low, likely and high, in nano-dollars. Nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, quantiles

from hishamos.gateway.costs import bound, cost, input_bound
from hishamos.gateway.lengths import count
from hishamos.records.calls import ModelRequest, Usage
from hishamos.records.money import Price
from hishamos.records.record import canonical

Amounts = tuple[float, float, float]
"""Low, likely, high."""


def of_earlier(price: Price, work: Sequence[Usage]) -> Amounts:
    """Return the tenth, the mean and the ninetieth of a hundred of what earlier work costs at a price."""
    costs = sorted(cost(price, usage) for usage in work)
    if len(costs) < 2:
        return costs[0], costs[0], costs[0]
    tenths = quantiles(costs, n=10, method="inclusive")
    return tenths[0], mean(costs), tenths[-1]


def of_request(price: Price, request: ModelRequest, limit: int, answers: Sequence[int] = ()) -> tuple[Amounts, int]:
    """Return what a request costs, and the tokens that its prompt was counted to have.

    Low: its prompt and an answer of one token. High: what would be reserved for it, the bound of its prompt and an answer up to ``limit`` tokens.
    Likely: its prompt and an answer as long as ``answers`` are in the mean, or of half the limit where there are none.
    """
    schema = "" if request.output_schema is None else canonical(request.output_schema)
    tokens = sum(count(text).exact for text in (*(message.content for message in request.messages), schema)) or input_bound(request) // 4
    length = min(limit, round(mean(answers))) if answers else limit // 2
    low, likely = (cost(price, Usage(input=tokens, output=output, source="estimated")) for output in (1, max(1, length)))
    return (low, likely, max(likely, bound(price, input_bound(request), limit))), tokens
