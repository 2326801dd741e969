"""An executed notebook in the page: its words, code and outputs. Nothing in it is run, loaded or linked."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

import streamlit as st

from parts.plain import readable

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
CELLS, LONGEST = 200, 20_000


def drawn_notebook(text: str) -> None:
    """Draw a notebook from the text of its file; of each output its picture, else its plain text."""
    try:
        cells = json.loads(text)["cells"]
    except (ValueError, KeyError, TypeError):
        st.caption("This file is no notebook.")
        return
    for cell in cells[:CELLS]:
        source = _joined(cell.get("source"))
        if cell.get("cell_type") == "markdown":
            st.markdown(readable(source))
        elif cell.get("cell_type") == "code":
            st.code(source, language="python", wrap_lines=True)
            for output in cell.get("outputs") or []:
                _output(output)
    if len(cells) > CELLS:
        st.caption(f"The first {CELLS} of {len(cells)} cells; the file has all of them.")


def _output(output: dict[str, Any]) -> None:
    kind, data = output.get("output_type"), output.get("data") or {}
    if kind == "error":
        st.code(_cut("\n".join(output.get("traceback") or [f"{output.get('ename')}: {output.get('evalue')}"])), language=None, wrap_lines=True)
    elif kind == "stream":
        st.code(_cut(_joined(output.get("text"))), language=None, wrap_lines=True)
    elif "image/png" in data and (picture := _picture(_joined(data["image/png"]))):
        st.image(picture)
    elif "text/plain" in data:
        st.code(_cut(_joined(data["text/plain"])), language=None, wrap_lines=True)


def _picture(text: str) -> bytes | None:
    try:
        found = base64.b64decode(text)
    except (binascii.Error, ValueError):
        return None
    return found if found.startswith(b"\x89PNG") else None


def _joined(lines: Any) -> str:
    return "".join(lines) if isinstance(lines, list) else str(lines or "")


def _cut(text: str) -> str:
    found = COLOURS.sub("", text)
    return found if len(found) <= LONGEST else found[:LONGEST] + "\n… cut for display"
