"""A graph as SVG: boxes with sign, word and colour of each state, on a transparent ground. Every text in it is escaped."""

from __future__ import annotations

import html
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hishamos.charts.arrangement import Arrangement, Box, arrange
from hishamos.charts.box_svg import STACK, box_svg
from hishamos.charts.boxes import StepBox, failure_words, step_boxes, text_width
from hishamos.charts.formats import state_label
from hishamos.charts.graph_column import Column
from hishamos.charts.palette import ACCENTS
from hishamos.charts.strokes import Point, arrow, rounded, stroke
from hishamos.records.pictures import Graph, Ground

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
WIDE = 900.0
"""A graph that fits this lies along the page; any other runs down it."""
TALL, BROAD = 700.0, 1500.0
"""A graph that is longer than the first is broken into columns, as long as these fit the second."""
MARGIN = 10.0
BETWEEN, BESIDE = 34.0, 22.0
COLUMN = 56.0
"""Between two columns."""
COLOURS: dict[str, dict[str, str]] = {
    "light": {"box": "#FCFBF8", "border": "#CFCABD", "text": "#1C1B19", "muted": "#6B6860", "line": "#8C887E"},
    "dark": {"box": "#181E1C", "border": "#3B4541", "text": "#E9E7E1", "muted": "#9CA39F", "line": "#7D8683"},
}


def graph_svg(graph: Graph, ground: Ground, words: str, *, narrow: bool = False) -> tuple[str, int, int]:
    """Return the graph as an SVG document, with its width and height in pixels.

    ``words``: the same for those who can't see it; ``narrow``: in one column, for a phone.
    """
    colours = COLOURS[ground]
    sheet = Column(graph, colours) if narrow else _Sheet(graph, colours)
    parts = [*sheet.lines(), *sheet.jumps(), *(box_svg(place.box, place.x, place.y, colours) for place in sheet.boxes)]
    width, height = sheet.size
    if graph.offline:  # what no real model answered is labelled
        label = f"⌁ {state_label('offline').partition(' ')[2]}"
        parts.append(f'<text x="{MARGIN}" y="{height + MARGIN:.1f}" fill="{ACCENTS["muted"]}">{html.escape(label)}</text>')
        width, height = max(width, text_width(label, 11.5) + 2 * MARGIN), height + 2 * MARGIN
    width, height = round(width), round(height)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img"'
    told = f"<title>{html.escape(graph.name)}</title><desc>{html.escape(words)}</desc>"
    return f'{head} font-family="{html.escape(FONT)}" font-size="11.5">{told}{"".join(parts)}</svg>', width, height


@dataclass(slots=True)
class _Place:
    """A box on the sheet."""

    box: StepBox
    column: int
    layer: int
    x: float
    y: float

    @property
    def stack(self) -> float:
        """How far the second frame of a map or loop looks out."""
        return STACK if self.box.step.many else 0.0

    def far(self, *, flat: bool) -> float:
        """Return where the box ends across the flow."""
        return (self.y + self.box.height if flat else self.x + self.box.width) + self.stack

    def end(self, *, flat: bool) -> Point:
        """Return where lines leave it."""
        if flat:
            return self.x + self.box.width + self.stack, self.y + self.box.height / 2
        return self.x + self.box.width / 2, self.y + self.box.height + self.stack

    def begin(self, *, flat: bool) -> Point:
        """Return where the arrows to it end."""
        return (self.x - 5, self.y + self.box.height / 2) if flat else (self.x + self.box.width / 2, self.y - 5)


class _Sheet:
    """Turns the arrangement into places on a page: along it, down it, or down it in several columns."""

    def __init__(self, graph: Graph, colours: Mapping[str, str]) -> None:
        self.graph = graph
        self.colours = colours
        boxes = step_boxes(graph.steps)
        plan = _arranged(boxes, flat=True)
        self.flat = plan.length <= WIDE and plan.breadth <= WIDE
        self.plans = [plan] if self.flat else self._columns(boxes)
        top = MARGIN + (14 if len(self.plans) > 1 or any(step.goto for step in graph.steps) else 0)
        self._origins = [(MARGIN, top)]
        for plan in self.plans[:-1]:
            self._origins.append((self._origins[-1][0] + plan.breadth + COLUMN, top))
        self.boxes = [self._place(box) for box in boxes]
        self._by_id = {place.box.step.id: place for place in self.boxes}
        self._lanes = 0
        self._edge = [MARGIN, MARGIN]
        for place in self.boxes:
            self._reach(place.x + place.box.width + place.stack, place.y + place.box.height + place.stack)

    @property
    def size(self) -> Point:
        """Width and height of all that was drawn."""
        return self._edge[0] + MARGIN, self._edge[1] + MARGIN

    def lines(self) -> list[str]:
        """Draw what comes after what."""
        return [self._line(name, step.id) for step in self.graph.steps for name in step.after if name in self._by_id]

    def jumps(self) -> list[str]:
        """Draw where the run goes on when a step has failed, dashed, beside the boxes."""
        return [self._jump(step.id, step.goto, failure_words(step)) for step in self.graph.steps if step.goto is not None and step.goto in self._by_id]

    # places

    def _columns(self, boxes: Sequence[StepBox]) -> list[Arrangement]:
        """Return one arrangement a column: as many as keep the sheet from being tall, as far as they fit beside each other."""
        whole = _arranged(boxes, flat=False)
        jumps = any(step.goto for step in self.graph.steps)
        for number in range(1 if jumps else -(-int(whole.length) // int(TALL)), 1, -1):
            cut: list[list[StepBox]] = [[] for _ in range(number)]
            for box in boxes:
                cut[min(number - 1, int(whole.boxes[box.step.id].along / whole.length * number))].append(box)
            found = [_arranged(part, flat=False) for part in cut if part]
            if sum(plan.breadth + COLUMN for plan in found) - COLUMN <= BROAD:
                return found
        return [whole]

    def _place(self, box: StepBox) -> _Place:
        column = next(number for number, plan in enumerate(self.plans) if box.step.id in plan.boxes)
        spot = self.plans[column].boxes[box.step.id]
        x, y = self._origins[column]
        if self.flat:
            return _Place(box, column, spot.layer, x + spot.along, y + spot.across - box.height / 2)
        return _Place(box, column, spot.layer, x + spot.across - box.width / 2, y + spot.along)

    def _reach(self, x: float, y: float) -> None:
        self._edge = [max(self._edge[0], x), max(self._edge[1], y)]

    # lines

    def _line(self, earlier: str, later: str) -> str:
        start, end = self._by_id[earlier], self._by_id[later]
        if start.column != end.column:
            return self._over(start, end)
        x, y = self._origins[start.column]
        points = [start.end(flat=self.flat)]
        for (first, last), across in self.plans[start.column].lines[earlier, later]:
            points += [(x + first, y + across), (x + last, y + across)] if self.flat else [(x + across, y + first), (x + across, y + last)]
        points.append(end.begin(flat=self.flat))
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for (x1, y1), (x2, y2) in itertools.pairwise(points):
            middle = ((x1 + x2) / 2, y1, (x1 + x2) / 2, y2) if self.flat else (x1, (y1 + y2) / 2, x2, (y1 + y2) / 2)
            path += f"C{middle[0]:.1f} {middle[1]:.1f} {middle[2]:.1f} {middle[3]:.1f} {x2:.1f} {y2:.1f}"
        return stroke(path, self.colours["line"]) + arrow(points[-1], (1, 0) if self.flat else (0, 1), self.colours["line"])

    def _over(self, start: _Place, end: _Place) -> str:
        """Draw a line to another column: down, up between the columns, and down again; over those that lie between, above all boxes."""
        (x1, y1), (x2, y2) = start.end(flat=False), end.begin(flat=False)
        aside = 5.0 * (self._lanes % 4)
        self._lanes += 1
        gutters = [self._origins[column][0] - COLUMN / 2 - 8 + aside for column in range(start.column + 1, end.column + 1)]
        way: list[Point] = [(x1, y1), (x1, y1 + 8 + aside), (gutters[0], y1 + 8 + aside)]
        if len(gutters) > 1:
            above = MARGIN + aside / 2
            way += [(gutters[0], above), (gutters[-1], above)]
        way += [(gutters[-1], y2 - 8), (x2, y2 - 8), (x2, y2)]
        self._reach(gutters[-1], y1 + 8 + aside)
        return stroke(rounded(way), self.colours["line"]) + arrow((x2, y2), (0, 1), self.colours["line"])

    def _jump(self, source: str, target: str, words: str) -> str:
        """Draw a jump beside all boxes that it passes; where a box stands in the way, through the gap between two layers."""
        start, end = self._by_id[source], self._by_id[target]
        layers = sorted((start.layer, end.layer))
        lane = 20 + 14 * self._lanes
        self._lanes += 1
        edge = max(place.far(flat=self.flat) for place in self.boxes if layers[0] <= place.layer <= layers[1]) + lane
        way = [*self._way_out(start, edge, leaving=True), *reversed(self._way_out(end, edge, leaving=False))]
        if self.flat:
            way = [(along, across) for across, along in way]
        colour, (x, y) = ACCENTS["red"], ((way[0][0] + way[-1][0]) / 2, (way[0][1] + way[-1][1]) / 2)
        place, anchor = ((x, edge + 14), "middle") if self.flat else ((edge + 6, y + 4), "start")
        width = text_width(words, 11)
        self._reach(*((x + width / 2, edge + 18) if self.flat else (edge + 8 + width, y)))
        (xa, ya), (xb, yb) = way[-2:]
        head = arrow((xb, yb), ((xb > xa) - (xb < xa), (yb > ya) - (yb < ya)), colour)
        drawn = stroke(rounded(way), colour, ' stroke-dasharray="5 4"') + head
        return drawn + f'<text x="{place[0]:.1f}" y="{place[1]:.1f}" font-size="11" fill="{colour}" text-anchor="{anchor}">{html.escape(words)}</text>'

    def _way_out(self, place: _Place, edge: float, *, leaving: bool) -> list[Point]:
        """Return the points, across and along the flow, from a box to the lane beside all boxes."""
        far = place.far(flat=self.flat)
        first, last = (place.x, place.x + place.box.width) if self.flat else (place.y, place.y + place.box.height)
        free = all(other.far(flat=self.flat) <= far for other in self.boxes if other.layer == place.layer)
        if free:
            along = first + (last - first) * (0.6 if leaving else 0.4)
            return [(far + (0 if leaving else 5), along), (edge, along)]
        across = far - 18 - place.stack
        side = last + place.stack if leaving else first - 5
        gap = last + place.stack + 9 if leaving else first - 14
        return [(across, side), (across, gap), (edge, gap)]


def _arranged(boxes: Sequence[StepBox], *, flat: bool) -> Arrangement:
    sized = [Box(box.step.id, box.width if flat else box.height, box.height if flat else box.width, box.step.after) for box in boxes]
    return arrange(sized, between=BETWEEN, beside=BESIDE)
