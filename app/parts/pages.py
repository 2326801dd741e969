"""How many things of a list are shown, as the address says."""

from __future__ import annotations

PAGE, MOST = 50, 1000


def shown(asked: str) -> int:
    """Return how many things the address asks for; what is no number, or too great, is as many as may be."""
    return min(MOST, max(PAGE, int(asked))) if asked.isdecimal() and len(asked) < 9 else PAGE
