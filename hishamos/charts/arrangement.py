"""Where the boxes of a graph stand: in layers by their longest way from the start, ordered so that few lines cross.

The method is Sugiyama's: layers, places for lines that pass a layer, orders by the mean of the neighbours, then coordinates. The last
are the least squares that keep the order, found by pooling (isotonic regression). Everything is told along the flow and across it; whoever draws
decides which of the two runs down the page. It is our own for want of a small library that is kept up: graphviz is a program to install, networkx
has no layered layout without it, and grandalf has had no release since 2022.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SWEEPS = 12
PASSING = 14.0
"""Room across the flow for a line that passes a layer."""


@dataclass(slots=True)
class Box:
    """A box to be placed; ``along`` and ``across`` are then its start and its middle, in pixels."""

    id: str
    length: float
    """Along the flow."""
    breadth: float
    """Across the flow."""
    after: tuple[str, ...] = ()
    layer: int = 0
    along: float = 0
    across: float = 0


@dataclass(slots=True)
class Arrangement:
    """Boxes in their places, and the points across the flow by which each line passes the layers between its ends."""

    boxes: dict[str, Box]
    lines: dict[tuple[str, str], list[tuple[tuple[float, float], float]]]
    """From (earlier, later) to the layers that its line passes, each with its start and end along the flow and the line's place across it."""
    layers: list[tuple[float, float]]
    """Start and end of each layer along the flow."""
    length: float = 0
    breadth: float = 0


@dataclass(slots=True)
class _Spot:
    """A box, or the place of a line in a layer that it passes."""

    key: tuple[str, ...]
    breadth: float
    before: list[_Spot] = field(default_factory=list)
    behind: list[_Spot] = field(default_factory=list)
    across: float = 0


def arrange(boxes: Sequence[Box], *, between: float, beside: float) -> Arrangement:
    """Place boxes. ``between``: pixels between two layers; ``beside``: pixels between two boxes of a layer."""
    by_id = {box.id: box for box in boxes}
    _set_layers(boxes, by_id)
    rows, spots, passed = _spots(boxes, by_id)
    _order(rows)
    _set_across(rows, beside)
    starts: list[tuple[float, float]] = []
    along = 0.0
    for number in range(len(rows)):
        longest = max(box.length for box in boxes if box.layer == number)
        starts.append((along, along + longest))
        along += longest + between
    for box in boxes:
        start, end = starts[box.layer]
        box.along, box.across = start + (end - start - box.length) / 2, spots[box.id].across
    lines = {
        line: [(starts[layer], spot.across) for spot, layer in zip(through, range(by_id[line[0]].layer + 1, by_id[line[1]].layer), strict=True)]
        for line, through in passed.items()
    }
    return Arrangement(by_id, lines, starts, along - between, max(spot.across + spot.breadth / 2 for row in rows for spot in row))


def _set_layers(boxes: Sequence[Box], by_id: Mapping[str, Box]) -> None:
    """A box stands one layer below the lowest that it comes after. Definitions have no circle, and may name later steps."""
    for _ in boxes:
        changed = False
        for box in boxes:
            layer = max((by_id[name].layer + 1 for name in box.after if name in by_id), default=0)
            changed |= layer != box.layer
            box.layer = layer
        if not changed:
            return


def _spots(boxes: Sequence[Box], by_id: Mapping[str, Box]) -> tuple[list[list[_Spot]], dict[str, _Spot], dict[tuple[str, str], list[_Spot]]]:
    rows: list[list[_Spot]] = [[] for _ in range(max(box.layer for box in boxes) + 1)]
    spots: dict[str, _Spot] = {}
    for box in boxes:
        spots[box.id] = _Spot((box.id,), box.breadth)
        rows[box.layer].append(spots[box.id])
    passed: dict[tuple[str, str], list[_Spot]] = {}
    for box in boxes:
        for name in box.after:
            if name not in by_id:
                continue
            last, through = spots[name], []
            for layer in range(by_id[name].layer + 1, box.layer):
                spot = _Spot((name, box.id, str(layer)), PASSING)
                rows[layer].append(spot)
                _join(last, spot)
                through.append(spot)
                last = spot
            _join(last, spots[box.id])
            passed[name, box.id] = through
    return rows, spots, passed


def _join(earlier: _Spot, later: _Spot) -> None:
    earlier.behind.append(later)
    later.before.append(earlier)


def _order(rows: list[list[_Spot]]) -> None:
    """Sort each layer by the mean place of its neighbours, down and up by turns; keep the order with the fewest crossings."""
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for number in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            beside = {id(spot): place for place, spot in enumerate(rows[number - 1 if down else number + 1])}
            own = {id(spot): place for place, spot in enumerate(rows[number])}
            rows[number].sort(key=lambda spot: _mean([beside[id(one)] for one in (spot.before if down else spot.behind)], own[id(spot)]))
        crossings = _crossings(rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _mean(places: Sequence[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def _crossings(rows: list[list[_Spot]]) -> int:
    found = 0
    for upper, lower in itertools.pairwise(rows):
        places = {id(spot): place for place, spot in enumerate(lower)}
        ends = [places[id(one)] for spot in upper for one in sorted(spot.behind, key=lambda one: places[id(one)])]
        found += sum(1 for place, end in enumerate(ends) for later in ends[place + 1 :] if later < end)
    return found


def _set_across(rows: list[list[_Spot]], beside: float) -> None:
    for row in rows:
        place = 0.0
        for spot in row:
            spot.across = place + spot.breadth / 2
            place += spot.breadth + beside
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            wanted = [_mean([one.across for one in (spot.before if down else spot.behind)], spot.across) for spot in row]
            _settle(row, wanted, beside)
    for row in rows:  # once more from both sides at once
        _settle(row, [_mean([one.across for one in (*spot.before, *spot.behind)], spot.across) for spot in row], beside)
    left = min(spot.across - spot.breadth / 2 for row in rows for spot in row)
    for row in rows:
        for spot in row:
            spot.across -= left


def _settle(row: Sequence[_Spot], wanted: Sequence[float], beside: float) -> None:
    """Put the spots of a layer as near to where they want to be as their order and breadths allow (least squares)."""
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + (left.breadth + right.breadth) / 2 + beside)
    pools: list[list[float]] = []  # mean, number
    for want, offset in zip(wanted, offsets, strict=True):
        pools.append([want - offset, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, number = pools.pop()
            pools[-1] = [(pools[-1][0] * pools[-1][1] + mean * number) / (pools[-1][1] + number), pools[-1][1] + number]
    settled = [mean for mean, number in pools for _ in range(int(number))]
    for spot, mean, offset in zip(row, settled, offsets, strict=True):
        spot.across = mean + offset
