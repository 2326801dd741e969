"""The box of a step as SVG: sign, word and colour of its state. Every text in it is escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping

from hishamos.charts.boxes import LINE_HEIGHT, NAME_HEIGHT, PADDING, SIGN, SIZES, StepBox, TextLine, fitting, text_width
from hishamos.charts.formats import state_colour
from hishamos.charts.palette import ACCENTS

STACK = 5.0
"""How far the second frame of a map or loop looks out."""
QUIET = frozenset({"pending", "queued", "skipped", "cancelled"})


def box_svg(box: StepBox, x: float, y: float, colours: Mapping[str, str]) -> str:
    """Return a step's box with its upper left corner at a point."""
    step, below = box.step, 9.0
    colour = colours["border"] if step.state is None or step.state in QUIET else ACCENTS[state_colour(step.state)]
    dash = ' stroke-dasharray="4 3"' if step.offline else ""
    frame = f'width="{box.width:.1f}" height="{box.height:.1f}" rx="8" fill="{colours["box"]}" stroke="{colour}" stroke-width="1.4"{dash}'
    parts = [f'<g transform="translate({x:.1f} {y:.1f})"><title>{html.escape(_told(box))}</title>']
    if step.many:
        parts.append(f'<rect x="{STACK}" y="{STACK}" {frame}/>')
    parts.append(f"<rect {frame}/>")
    for number, line in enumerate(box.lines):
        if line.kind == "part" and box.lines[number - 1].kind != "part":
            below += 3
            parts.append(f'<path d="M{PADDING} {below + 1:.1f}H{box.width - PADDING:.1f}" stroke="{colours["border"]}" stroke-width="0.8"/>')
            below += 3
        parts.append(_text(line, box, below, colours))
        below += NAME_HEIGHT if line.kind == "name" else LINE_HEIGHT
    if step.done is not None:
        parts.append(_bar(box, colours))
    return "".join(parts) + "</g>"


def _text(line: TextLine, box: StepBox, y: float, colours: Mapping[str, str]) -> str:
    size, bold = SIZES[line.kind], line.kind == "name"
    signed = line.state is not None and line.kind in {"name", "part"}
    left = PADDING + (SIGN if signed else 0)
    room = box.width - left - PADDING - (text_width(line.right, 11.5) + 14 if line.right else 0)
    fill = {"name": colours["text"], "part": colours["text"]}.get(line.kind, colours["muted"])
    if line.kind in {"state", "note"}:
        fill = ACCENTS[state_colour(line.state or "")]
    style = ' font-weight="600"' if bold else ' font-style="italic"' if line.kind == "slanted" else ""
    base = y + (13.5 if bold else 11.5)
    words = html.escape(fitting(line.text, size, room, bold=bold))
    drawn = f'<text x="{left:.1f}" y="{base:.1f}" font-size="{size}" fill="{fill}"{style}>{words}</text>'
    if signed:
        drawn += sign(line.state or "", box.step.note, PADDING, base - 11.5)
    if line.right:
        drawn += f'<text x="{box.width - PADDING:.1f}" y="{base:.1f}" fill="{colours["text"]}" text-anchor="end">{html.escape(line.right)}</text>'
    return drawn


def _bar(box: StepBox, colours: Mapping[str, str]) -> str:
    step, width = box.step, box.width - 2 * PADDING
    part = 1.0 if step.total == step.done else min(1.0, (step.done or 0) / step.total) if step.total else 0.0
    y, colour = box.height - 11, ACCENTS[state_colour(step.state or "")]
    ground = f'<rect x="{PADDING}" y="{y:.1f}" width="{width:.1f}" height="4" rx="2" fill="{colours["border"]}"/>'
    return ground + (f'<rect x="{PADDING}" y="{y:.1f}" width="{width * part:.1f}" height="4" rx="2" fill="{colour}"/>' if part else "")


def sign(state: str, note: str, x: float, y: float) -> str:
    """Return a state's sign, drawn: no font has to hold it. It stands in 14 by 14 pixels."""
    colour = ACCENTS[state_colour(state)]
    shapes = {
        "succeeded": '<path d="M2.5 7.5L5.8 11L11.5 3.5"/>',
        "failed": '<path d="M3 3L11 11M11 3L3 11"/>',
        "timed_out": '<path d="M3 3L11 11M11 3L3 11"/>',
        "running": f'<circle cx="7" cy="7" r="4" fill="{colour}"/>',
        "paused": '<path d="M4.5 2.5V11.5M9.5 2.5V11.5"/>',
        "skipped": '<circle cx="7" cy="7" r="4.2"/>',
        "cancelled": '<circle cx="7" cy="7" r="4.2"/>',
        # An open hand, or a clock where it is time that has to pass.
        "waiting": '<path d="M3.6 8.2V4.2M6 7V2.4M8.4 7V2.6M10.8 7.6V4M3.6 8C3.6 11 5 12.4 7.2 12.4S10.8 11 10.8 7.4"/>'
        if "until " not in note
        else '<circle cx="7" cy="7" r="5"/><path d="M7 4V7L9.2 8.4"/>',
    }
    drawn = shapes.get(state, f'<circle cx="7" cy="7" r="1.6" fill="{colour}"/>')
    style = f'fill="none" stroke="{colour}" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"'
    return f'<g transform="translate({x:.1f} {y:.1f})" {style}>{drawn}</g>'


def _told(box: StepBox) -> str:
    """Return all of a box's words, also those that had no room."""
    words = [" ".join(part for part in (line.text, line.right) if part) for line in box.lines]
    return "\n".join([*words, *([box.step.description] if box.step.description else [])])
