"""Texts from outside, made inert for a terminal."""

from __future__ import annotations

import re

OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but for tab and line feed: with the escape character a text could retitle the window, hide lines, or fill the clipboard."""
SIGN = "\N{REPLACEMENT CHARACTER}"


def inert(text: str) -> str:
    """Return the text with a sign in place of each character that a terminal would obey; a carriage return before a line feed just goes."""
    return OBEYED.sub(SIGN, text.replace("\r\n", "\n"))
