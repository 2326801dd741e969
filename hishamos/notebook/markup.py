"""Plain HTML for cards: inline style only, no script, nothing loaded, readable when style is stripped, on white and on black."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

from hishamos.charts.formats import state_colour, state_label
from hishamos.charts.palette import ACCENTS
from hishamos.records.pictures import Picture

LONG = 400
"""A text longer than this many characters is folded."""
_FRAME = "border:1px solid rgba(128,128,128,.4);border-radius:8px;padding:10px 14px;margin:4px 0;max-width:900px;font-size:14px;line-height:1.45"
_TABLE = "border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13px;margin:6px 0"
_CELL = "padding:3px 10px 3px 0;border-bottom:1px solid rgba(128,128,128,.25);text-align:{};vertical-align:top"


def text(value: Any) -> str:
    """Return any value as inert text: a model's words are never markup."""
    return html.escape(str(value))


def card(head: str, body: str = "", foot: str = "") -> str:
    """Return one frame: head line, body, muted foot. The arguments are markup."""
    tail = f'<div style="opacity:.7;font-size:12px;margin-top:6px">{foot}</div>' if foot else ""
    return f'<div dir="auto" style="{_FRAME}"><div>{head}</div>{body}{tail}</div>'


def head(name: str, *facts: str, state: str | None = None, offline: bool = False) -> str:
    """Return a head line: name, state as sign and word, facts."""
    parts = [f"<strong>{text(name)}</strong>"]
    if state is not None:
        parts.append(badge(state))
    parts += [text(fact) for fact in facts if fact]
    if offline:
        parts.append(badge("offline"))
    return " &nbsp;·&nbsp; ".join(parts)


def badge(state: str) -> str:
    """Return a state as sign and word in its colour."""
    dashed = ";border:1px dashed;border-radius:4px;padding:0 5px" if state == "offline" else ""
    return f'<span style="color:{ACCENTS[state_colour(state)]}{dashed}">{text(state_label(state))}</span>'


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return a table; cells are markup, columns named in ``right`` are aligned there."""

    def line(tag: str, cells: Sequence[str]) -> str:
        aligned = ((cell, "right" if index in right else "left") for index, cell in enumerate(cells))
        return "<tr>" + "".join(f'<{tag} style="{_CELL.format(side)}">{cell}</{tag}>' for cell, side in aligned) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f'<div style="overflow-x:auto"><table style="{_TABLE}">{line("th", [text(heading) for heading in headings])}{body}</table></div>'


def picture(png: bytes, words: str) -> str:
    """Return a PNG that stands in the page itself."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(words)}" style="width:100%;max-width:560px;background:#fff;border-radius:4px" src="data:image/png;base64,{data}">'


def graph(drawn: Picture) -> str:
    """Return a drawn graph that stands in the page itself, in its own size or as wide as the page; it scrolls where it is tall."""
    kind = "image/svg+xml" if drawn.format == "svg" else "image/png"
    data = base64.b64encode(drawn.data).decode()
    style = f"width:{drawn.width}px;max-width:100%;height:auto"
    picture = f'<img alt="{html.escape(drawn.words)}" style="{style}" src="data:{kind};base64,{data}">'
    return f'<div style="max-height:640px;overflow:auto;margin:6px 0">{picture}</div>'


def folded(title: str, value: Any) -> str:
    """Return plain data as inert text, folded when it is long."""
    words = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    block = f'<pre dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere;margin:4px 0;font-size:12.5px">{text(words)}</pre>'
    if len(words) <= LONG:
        return f'<div style="margin-top:6px"><span style="opacity:.7">{text(title)}</span>{block}</div>'
    return f'<details style="margin-top:6px"><summary style="opacity:.8">{text(title)} ({len(words):,} characters)</summary>{block}</details>'


def progress(done: int, total: int, share: float | None = None) -> str:
    """Return a bar that says the same in words. ``share``: how far it is, where the number of steps does not tell it best."""
    part = 100 * (share if share is not None else done / total if total else 0)
    bar = f'<div style="width:{part:.0f}%;height:6px;background:{ACCENTS["green"]};border-radius:3px"></div>'
    return f'<div style="background:rgba(128,128,128,.25);border-radius:3px;margin:6px 0">{bar}</div>{done:,} of {total:,} steps'
