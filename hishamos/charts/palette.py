"""The colours that console, cards and pictures share."""

from __future__ import annotations

LIGHT = ("#0F766E", "#C98310", "#3340C4", "#A3244F", "#4A93DC", "#585C0A", "#B9876B", "#3F0F45")
"""Chart series in this order; a ninth series is ``other``. Distance of 13 (CIE Lab) or more for normal and for colour-blind sight."""
DARK = ("#2DD4BF", "#F5B041", "#6C7BFF", "#D63A6A", "#CFE8FF", "#6E8B12", "#D7A6FF", "#A34A28")
"""The same series on a dark ground."""
BOTH = ("#0F9488", "#D98E1F", "#5560DC", "#C2375F", "#5BA3E6", "#7B8014", "#B9876B", "#8A4496")
"""The same series in a picture that may stand on either ground: distances as above, contrast 2.6 or more on white and on black."""
ACCENTS = {"green": "#0F9488", "amber": "#D97706", "red": "#DC2626", "blue": "#3B82F6", "violet": "#8B5CF6", "muted": "#808080"}
"""Values that work on white and on black."""
OTHER = "other"


def top_names(totals: dict[str, float], most: int = 8) -> list[str]:
    """Return the names that get a colour of their own, largest first; the rest is ``other``."""
    return [name for name, _ in sorted(totals.items(), key=lambda item: -item[1])][:most]


def series_colours(names: list[str], series: tuple[str, ...] | list[str]) -> list[str]:
    """Return a colour for each name in order; ``other`` is grey."""
    return [ACCENTS["muted"] if name == OTHER else series[place % len(series)] for place, name in enumerate(names)]
