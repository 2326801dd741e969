"""Mends the marks in a notebook whose execution was cut off: the file says what ran, and nothing that did not looks completed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def mend(notebook: Path, reason: str) -> None:
    """Mark the cell that was at work as failed, with the ``reason``; cells that never ran stay pending. A file that is no notebook is left alone."""
    try:
        content: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
        cells = content["cells"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for cell in cells:
        marks = cell.get("metadata", {}).get("papermill", {})
        if marks.get("status") == "running":
            marks |= {"status": "failed", "exception": True}
            cell.setdefault("outputs", []).append({"output_type": "error", "ename": "KernelDied", "evalue": reason, "traceback": [f"KernelDied: {reason}"]})
    content.setdefault("metadata", {}).setdefault("papermill", {})["exception"] = True
    notebook.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
