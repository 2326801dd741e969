"""A graph in one column, for a phone: box below box, what leads past a box in lanes at the left, jumps in lanes at the right."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hishamos.charts.box_svg import STACK
from hishamos.charts.boxes import StepBox, step_boxes
from hishamos.charts.palette import ACCENTS
from hishamos.charts.strokes import Point, arrow, rounded, stroke
from hishamos.records.pictures import Graph, GraphStep

ROOM = 340.0
"""What a phone's page shows in its own size."""
LEAST = 180.0
"""A box stays as wide as this, however many lanes are beside it."""
MARGIN, BELOW = 4.0, 10.0
NEXT, APART = 26.0, 12.0
"""Between two boxes: where one comes after the other, and where not."""
ASIDE, LANE = 14.0, 10.0
"""From the boxes to the first lane, and from lane to lane."""
ENTRY, EXIT = 0.4, 0.6
"""Where lanes reach a box and where they leave it, as shares of its height."""

Way = tuple[int, int]
"""From one row of the column to another."""


@dataclass(slots=True)
class Row:
    """A box in its place."""

    box: StepBox
    x: float
    y: float


@dataclass(slots=True)
class _Lane:
    """Ways that share a line beside the boxes, since all of them leave one step, or all lead to one."""

    ways: list[Way]
    place: int = 0
    """The first is the nearest to the boxes."""

    @property
    def begin(self) -> float:
        """Where it begins, in rows."""
        return min(min(source + EXIT, target + ENTRY) for source, target in self.ways)

    @property
    def end(self) -> float:
        """Where it ends, in rows."""
        return max(max(source + EXIT, target + ENTRY) for source, target in self.ways)


class Column:
    """A sheet with one box in each row."""

    def __init__(self, graph: Graph, colours: Mapping[str, str]) -> None:
        self._colours = colours
        steps = _ordered(graph.steps)
        numbers = {step.id: number for number, step in enumerate(steps)}
        ways = [(numbers[name], number) for number, step in enumerate(steps) for name in step.after if name in numbers]
        self._next = {target for source, target in ways if target == source + 1}
        self._past = _lanes([(source, target) for source, target in ways if target != source + 1])
        self._jumps = _lanes([(number, numbers[step.goto]) for number, step in enumerate(steps) if step.goto in numbers])
        stack = STACK if any(step.many for step in steps) else 0.0
        left, right = _breadth(self._past), _breadth(self._jumps)
        boxes = step_boxes(tuple(steps), widest=max(LEAST, ROOM - 2 * MARGIN - left - right - stack), jumps=True)
        self.boxes: list[Row] = []
        y = MARGIN
        for number, box in enumerate(boxes):
            self.boxes.append(Row(box, MARGIN + left, y))
            y += box.height + (STACK if box.step.many else 0.0) + (NEXT if number + 1 in self._next else APART)
        self._edge = MARGIN + left + boxes[0].width + stack
        self.size: Point = (self._edge + right + MARGIN, y - APART + BELOW)

    def lines(self) -> list[str]:
        """Draw what comes after what: down from box to box, and past boxes at the left."""
        colour, drawn = self._colours["line"], []
        for number in sorted(self._next):
            above, below = self.boxes[number - 1], self.boxes[number]
            x, bottom = above.x + above.box.width / 2, above.y + above.box.height + (STACK if above.box.step.many else 0.0)
            drawn.append(stroke(f"M{x:.1f} {bottom:.1f}V{below.y - 5:.1f}", colour) + arrow((x, below.y - 5), (0, 1), colour))
        for lane in self._past:
            x = self.boxes[0].x - ASIDE - LANE * lane.place
            ends = {target: (self.boxes[target].x - 5, self._height(target, ENTRY)) for _, target in lane.ways}
            path = ""
            for source, target in lane.ways:
                start, end = self._height(source, EXIT), ends[target]
                path += rounded([(self.boxes[source].x, start), (x, start), (x, end[1]), end])
            # One path, since lines that are laid on each other look thick.
            drawn += [stroke(path, colour), *(arrow(end, (1, 0), colour) for end in ends.values())]
        return drawn

    def jumps(self) -> list[str]:
        """Draw where the run goes on when a step has failed, dashed, at the right; the box says it in words."""
        colour, drawn = ACCENTS["red"], []
        for lane in self._jumps:
            x = self._edge + ASIDE + LANE * lane.place
            end = (self._far(lane.ways[0][1]) + 5, self._height(lane.ways[0][1], ENTRY))  # of all its ways: a step jumps to one place
            path = ""
            for source, _ in lane.ways:
                start = self._height(source, EXIT)
                path += rounded([end, (x, end[1]), (x, start), (self._far(source), start)])  # backwards, so that dashes lie on each other
            drawn.append(stroke(path, colour, ' stroke-dasharray="5 4"') + arrow(end, (-1, 0), colour))
        return drawn

    def _height(self, number: int, share: float) -> float:
        return self.boxes[number].y + self.boxes[number].box.height * share

    def _far(self, number: int) -> float:
        row = self.boxes[number]
        return row.x + row.box.width + (STACK if row.box.step.many else 0.0)


def _ordered(steps: Sequence[GraphStep]) -> list[GraphStep]:
    """Return steps behind those that they come after: along a branch as far as it goes, else as they are defined."""
    left, ordered = {step.id: step for step in steps}, list[GraphStep]()
    while left:
        ready = [step for step in left.values() if left.keys().isdisjoint(step.after)]
        on = [step for step in ready if ordered and ordered[-1].id in step.after]
        ordered.append(left.pop((on or ready)[0].id))
    return ordered


def _lanes(ways: Sequence[Way]) -> list[_Lane]:
    """Return the lanes of these ways, the short ones next to the boxes; two that pass the same row have places of their own."""
    leaving, coming = Counter(source for source, _ in ways), Counter(target for _, target in ways)
    shared: dict[Way, _Lane] = {}
    for source, target in ways:
        key = (source, -1) if leaving[source] > coming[target] else (-1, target)
        shared.setdefault(key, _Lane([])).ways.append((source, target))
    lanes = sorted(shared.values(), key=lambda lane: lane.end - lane.begin)
    for number, lane in enumerate(lanes):
        taken = {other.place for other in lanes[:number] if other.begin < lane.end and lane.begin < other.end}
        lane.place = next(place for place in itertools.count() if place not in taken)
    return lanes


def _breadth(lanes: Sequence[_Lane]) -> float:
    return ASIDE + LANE * max(lane.place for lane in lanes) + 1 if lanes else 0.0
