"""The notebook's face: cards that are live while something runs and plain HTML, picture and text afterwards."""

from __future__ import annotations

from hishamos.notebook.showing import draw_records, install

__all__ = ["draw_records", "install"]
