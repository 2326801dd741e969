"""Words of others (models, providers, people) where Streamlit would read Markdown."""

from __future__ import annotations

import re
import string

ALL = str.maketrans({sign: f"\\{sign}" for sign in string.punctuation})
LEADING_ELSEWHERE = str.maketrans({sign: f"\\{sign}" for sign in "![]<$~:"})
"""Signs of images, links, tags, formulas and Streamlit's own directives; headings, lists, emphasis and tables go without them."""
CODE = re.compile(r"(^[ ]{0,3}```.*?^[ ]{0,3}```[ ]*$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
ALIGNED = re.compile(r"^[ ]{0,3}\|?[ ]*:?-+:?[ ]*(?:\|[ ]*:?-+:?[ ]*)*\|?[ ]*$", re.MULTILINE)
"""The line of a table that says how its columns are aligned; nothing in it leads anywhere, and escaped it is none."""
ADDRESS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)(?=\w)", re.IGNORECASE)
JOINER = "\N{WORD JOINER}"
"""Unseen; what it stands in is no address that GitHub's Markdown makes a link of."""


def plain(text: str) -> str:
    """Return a text that Markdown shows as it is: no image is fetched, nothing is a link, bold or a formula.

    Any ASCII punctuation may be escaped (CommonMark 0.31, section 2.4); addresses are made links of whatever is escaped in them.
    """
    return ADDRESS.sub(JOINER, text).translate(ALL).replace("\n", "  \n")


def readable(markdown: str) -> str:
    """Return Markdown whose headings, lists, emphasis, tables and code are kept, and in which nothing leads or loads from elsewhere."""
    return "".join(part if at % 2 else _stayed(part) for at, part in enumerate(CODE.split(markdown)))


def _stayed(text: str) -> str:
    lines = ADDRESS.sub(JOINER, text).split("\n")
    return "\n".join(line if ALIGNED.fullmatch(line) else line.translate(LEADING_ELSEWHERE) for line in lines)
