"""A console for texts from models, files and providers: what a terminal would obey is shown as a sign instead."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from hishamos.text.inert import inert


class InertConsole(Console):
    """A rich console that sends the terminal no control characters but its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, and make what was rendered inert."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(inert(segment.text), segment.style)
