"""Lines and arrows of a drawing, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def stroke(path: str, colour: str, more: str = "") -> str:
    """Return a path as a thin line. ``more``: further attributes."""
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.4"{more}/>'


def arrow(tip: Point, way: tuple[int, int], colour: str) -> str:
    """Return the head of an arrow at the end of a line that goes ``way``, one step along x or y."""
    (x, y), (dx, dy) = tip, way
    x, y = x + 4 * dx, y + 4 * dy
    wings = [(x - 7 * dx + 3.5 * dy, y - 7 * dy + 3.5 * dx), (x - 7 * dx - 3.5 * dy, y - 7 * dy - 3.5 * dx)]
    return f'<path d="M{x:.1f} {y:.1f}L{wings[0][0]:.1f} {wings[0][1]:.1f}L{wings[1][0]:.1f} {wings[1][1]:.1f}Z" fill="{colour}"/>'


def rounded(way: Sequence[Point], radius: float = 6.0) -> str:
    """Return a path of straight pieces with round corners."""
    path = f"M{way[0][0]:.1f} {way[0][1]:.1f}"
    for before, corner, behind in zip(way, way[1:], way[2:], strict=False):
        (x1, y1), (x2, y2) = _toward(corner, before, radius), _toward(corner, behind, radius)
        path += f"L{x1:.1f} {y1:.1f}Q{corner[0]:.1f} {corner[1]:.1f} {x2:.1f} {y2:.1f}"
    return f"{path}L{way[-1][0]:.1f} {way[-1][1]:.1f}"


def _toward(corner: Point, other: Point, radius: float) -> Point:
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    far = max(abs(dx), abs(dy))
    part = min(0.5, radius / far) if far else 0.0
    return corner[0] + dx * part, corner[1] + dy * part
