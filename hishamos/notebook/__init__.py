"""The notebook's face: cards that are live while something runs and plain HTML, picture and text afterwards."""

from __future__ import annotations

from hishamos.notebook.showing import install

__all__ = ["install"]
