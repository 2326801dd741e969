"""Plain HTML for cards: inline style only, no script, nothing loaded, readable when style is stripped, on white and on black."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from hishamos.charts.formats import missing, state_colour, state_label
from hishamos.charts.palette import ACCENTS
from hishamos.records.pictures import Picture

LONG = 400
"""A text longer than this many characters is folded."""
SEPARATOR = ' <span style="opacity:.5">·</span> '
FRAME = {"border": "1px solid rgba(128,128,128,.35)", "border-radius": "8px", "padding": "12px 16px", "margin": "4px 0", "max-width": "900px"}
"""The frame of a card, so that a live view has the same."""
TYPE = "box-sizing:border-box;font-size:14px;line-height:1.5"
HEAD_PX = 32
"""The least height of a head line: that of the buttons that stand in it while a run is live."""
# JupyterLab and nbconvert lay out tables of their own: each of these undoes one of their rules.
_TABLE = "border-collapse:collapse;table-layout:auto;width:100%;margin:0;border:0;font-variant-numeric:tabular-nums;font-size:13px;line-height:1.45"
_CELL = "padding:4px 12px 4px 0;border:0;border-bottom:1px solid rgba(128,128,128,.2);text-align:{};vertical-align:top;max-width:none;{}"
_PRE = "white-space:pre-wrap;overflow-wrap:anywhere;margin:4px 0 0;padding:0;font-size:12.5px;line-height:1.5;background:transparent;border:0"


def text(value: Any) -> str:
    """Return any value as inert text: a model's words are never markup."""
    return html.escape(str(value))


def name(value: Any) -> str:
    """Return a name as inert text that may be broken behind its slashes and at-signs, so that a table keeps its last columns in sight."""
    return re.sub("([/@])", r"\1<wbr>", text(value))


def card(head: str, body: str = "", foot: str = "") -> str:
    """Return one frame: head line, body, muted foot. The arguments are markup."""
    frame = ";".join(f"{name}:{value}" for name, value in FRAME.items())
    tail = f'<div style="opacity:.7;font-size:12px;margin-top:8px;overflow-wrap:anywhere">{foot}</div>' if foot else ""
    return f'<div dir="auto" style="{frame};{TYPE}">{head}{body}{tail}</div>'


def head(title: str, *facts: str, state: str | None = None, offline: bool = False, kind: str = "") -> str:
    """Return a head line: title, state as sign and word, facts; at its far end what kind of thing it is."""
    parts = [f'<strong style="font-size:15px">{text(title)}</strong>']
    if state is not None:
        parts.append(badge(state))
    parts += [f'<span style="font-variant-numeric:tabular-nums">{text(fact)}</span>' for fact in facts if fact]
    if offline:
        parts.append(badge("offline"))
    end = f' <span style="opacity:.6;font-size:12px;white-space:nowrap">{text(kind)}</span>' if kind else ""
    line = f'<span style="overflow-wrap:anywhere">{SEPARATOR.join(parts)}</span>{end}'
    return f'<div style="display:flex;justify-content:space-between;align-items:center;gap:4px 12px;min-height:{HEAD_PX}px">{line}</div>'


def badge(state: str) -> str:
    """Return a state as sign and word in its colour."""
    colour = state_colour(state)
    look = "opacity:.75" if colour == "muted" else f"color:{ACCENTS[colour]};font-weight:600"
    dashed = ";border:1px dashed currentColor;border-radius:4px;padding:0 6px" if state == "offline" else ""
    return f'<span style="{look};white-space:nowrap{dashed}">{text(state_label(state))}</span>'


def badges(state: str, *, offline: bool) -> str:
    """Return a state in a table's cell; that the offline model answered is said shortly beside it."""
    short = ' <span style="opacity:.75;white-space:nowrap;border:1px dashed currentColor;border-radius:4px;padding:0 5px;font-size:12px">⌁ offline model</span>'
    return badge(state) + (short if offline else "")


def line(markup: str, *, muted: bool = False, colour: str | None = None) -> str:
    """Return markup on a line of its own; nothing for nothing."""
    look = (";opacity:.75" if muted else "") + (f";color:{ACCENTS[colour]}" if colour else "")
    return f'<div dir="auto" style="margin-top:6px;overflow-wrap:anywhere{look}">{markup}</div>' if markup else ""


def facts(pairs: Iterable[tuple[str, Any]]) -> str:
    """Return names and values, muted and bold, on one line; those without a value are left out."""
    shown = [f'<span style="opacity:.7">{text(name)}</span> {text(value)}' for name, value in pairs if value not in (None, "", (), [])]
    return line(SEPARATOR.join(shown))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return a table; cells are markup, columns named in ``right`` hold numbers. A column that is empty in every row is left out."""
    body = [list(row) for row in rows]
    kept = [index for index, heading in enumerate(headings) if not heading or not body or any(row[index] not in ("", missing()) for row in body)]
    number = "white-space:nowrap"

    def written(tag: str, cells: Sequence[str], look: str = "") -> str:
        line = "".join(
            f'<{tag} dir="auto" style="{_CELL.format("right" if index in right else "start", number if index in right else "")}{look}">{cells[index]}</{tag}>'
            for index in kept
        )
        return f'<tr style="background:transparent">{line}</tr>'

    heading = written("th", [text(name) for name in headings], ";font-weight:600;font-size:12px;opacity:.7;white-space:nowrap")
    lines = "".join(written("td", row) for row in body)
    return f'<div style="overflow-x:auto;margin-top:8px"><table style="{_TABLE}"><thead>{heading}</thead><tbody>{lines}</tbody></table></div>'


def picture(png: bytes, words: str) -> str:
    """Return a PNG that stands in the page itself."""
    data = base64.b64encode(png).decode()
    return (
        f'<div style="margin-top:8px"><img alt="{html.escape(words)}" style="width:100%;max-width:620px;height:auto" src="data:image/png;base64,{data}"></div>'
    )


def graph(drawn: Picture) -> str:
    """Return a drawn graph that stands in the page itself, in its own size or as wide as the page; it scrolls where it is tall."""
    kind = "image/svg+xml" if drawn.format == "svg" else "image/png"
    data = base64.b64encode(drawn.data).decode()
    style = f"width:{drawn.width}px;max-width:100%;height:auto"
    return _scrolled(f'<img alt="{html.escape(drawn.words)}" style="{style}" src="data:{kind};base64,{data}">')


def inline_graph(drawn: Picture) -> str:
    """Return an SVG as part of the page, for a live view: an image would be decoded, and flicker, each time it changes."""
    svg = drawn.text.replace("<svg ", '<svg style="max-width:100%;height:auto;display:block" ', 1)
    return _scrolled(f'<div style="width:{drawn.width}px;max-width:100%">{svg}</div>')


def _scrolled(markup: str) -> str:
    return f'<div style="max-height:640px;overflow:auto;margin-top:8px">{markup}</div>'


def folded(title: str, value: Any) -> str:
    """Return plain data as inert text, folded when it is long."""
    words = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    shown = block(text(words), code=not isinstance(value, str))
    if len(words) <= LONG:
        return f'<div style="margin-top:8px"><span style="opacity:.7;font-size:12px">{text(title)}</span>{shown}</div>'
    return fold(f"{title} ({len(words):,} characters)", shown)


def block(markup: str, *, code: bool = False) -> str:
    """Return lines as they are written, broken where they are too long. ``code``: with letters of one breadth."""
    font = "ui-monospace,Menlo,Consolas,monospace" if code else "inherit"
    return f'<pre dir="auto" style="{_PRE};font-family:{font}">{markup}</pre>'


def fold(title: str, markup: str) -> str:
    """Return markup that a click unfolds; without style or script it can be read all the same."""
    return f'<details style="margin-top:8px"><summary style="opacity:.8;cursor:pointer">{text(title)}</summary>{markup}</details>'


def bar(share: float, colour: str = "green", reserved: float = 0) -> str:
    """Return how much of a whole is done or used, from 0 to 1, as a bar; the words beside it say the same. ``reserved``: a paler part behind it."""
    part, more = 100 * min(1.0, max(0.0, share)), 100 * min(1.0 - min(1.0, max(0.0, share)), max(0.0, reserved))
    filled = f'<div style="width:{part:.1f}%;background:{ACCENTS[colour]}"></div><div style="width:{more:.1f}%;background:{ACCENTS[colour]};opacity:.35"></div>'
    return f'<div style="display:flex;height:6px;border-radius:3px;overflow:hidden;background:rgba(128,128,128,.25);margin-top:8px">{filled}</div>'
