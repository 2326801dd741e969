"""Cells as a spreadsheet may read them: text, never a formula."""

from __future__ import annotations

from typing import Any

DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection)."""


def neutral(cell: Any) -> Any:
    """Return a cell's text with an apostrophe before it where a spreadsheet would take it for a formula; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(DANGEROUS) else cell
