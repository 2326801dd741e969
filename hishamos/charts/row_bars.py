"""Rows of a batch as bars: how long each took, its state by colour and sign; drawn without a browser."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from hishamos.charts.formats import STATES, duration, state_colour
from hishamos.charts.palette import ACCENTS

WIDTH, HEIGHT, LEFT, TOP, FOOT = 860, 220, 64, 26, 24
MOST = 400
"""So many bars can be told apart."""
FONT = "system-ui, 'Segoe UI', Roboto, Arial, 'DejaVu Sans', sans-serif"
GREY = "#808080"


@dataclass(frozen=True, slots=True)
class RowBar:
    """One row: its number from 1, its state, and how many seconds it took."""

    number: int
    state: str
    seconds: float | None


def row_bars_svg(rows: Sequence[RowBar], title: str) -> str:
    """Return the bars as SVG on a transparent ground, readable on white and on black. Of many rows neighbours share a bar, the slowest shows."""
    bars = _folded(rows)
    longest = max((bar.seconds or 0.0 for bar in bars), default=0.0) or 1.0
    step = (WIDTH - LEFT) / max(1, len(bars))
    high = HEIGHT - TOP - FOOT
    parts = [_text(0, 14, title, size=13), *_axis(longest, high)]
    for place, bar in enumerate(bars):
        tall = max(2.0, high * (bar.seconds or 0.0) / longest)
        x, colour = LEFT + place * step, ACCENTS[state_colour(bar.state)]
        parts.append(f'<rect x="{x + step * 0.12:.1f}" y="{TOP + high - tall:.1f}" width="{max(1.0, step * 0.76):.1f}" height="{tall:.1f}" fill="{colour}"/>')
        if bar.state != "succeeded" and step >= 8:
            parts.append(_text(x + step / 2, TOP + high - tall - 4, STATES[bar.state][0], anchor="middle"))
    parts += [_text(LEFT, HEIGHT - 6, f"row {rows[0].number}"), _text(WIDTH, HEIGHT - 6, f"row {rows[-1].number}", anchor="end")] if rows else []
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="{html.escape(FONT)}">'
    return f"{head}<title>{html.escape(title)}</title>{''.join(parts)}</svg>"


def row_bars_png(rows: Sequence[RowBar], title: str) -> bytes:
    """Return the same bars as a PNG."""
    import vl_convert

    return bytes(vl_convert.svg_to_png(row_bars_svg(rows, title), scale=2.0))


def _folded(rows: Sequence[RowBar]) -> list[RowBar]:
    size = -(-len(rows) // MOST)
    if size <= 1:
        return list(rows)
    found = []
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        worst = next((one for one in part if one.state != "succeeded"), part[0])
        found.append(RowBar(part[0].number, worst.state, max(one.seconds or 0.0 for one in part)))
    return found


def _axis(longest: float, high: float) -> list[str]:
    lines = []
    for part in (0.0, 0.5, 1.0):
        y = TOP + high * (1 - part)
        lines.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH}" y2="{y:.1f}" stroke="{GREY}" stroke-opacity="0.4"/>')
        lines.append(_text(LEFT - 6, y + 4, duration(longest * part) if part else "0", anchor="end"))
    return lines


def _text(x: float, y: float, text: str, *, size: int = 11, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{GREY}" text-anchor="{anchor}">{html.escape(text)}</text>'
