"""What an executed notebook gave back by ``hishamos.result``, read from its outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hishamos.records.plain import RESULT_MIME


def declared_result(executed: Path) -> dict[str, Any] | None:
    """Return what an executed notebook declared as its result, later values over earlier ones; None where it declared none."""
    book = json.loads(executed.read_text(encoding="utf-8"))
    outputs = [output for cell in book["cells"] if cell["cell_type"] == "code" for output in cell.get("outputs", ())]
    told = [output["data"][RESULT_MIME] for output in outputs if RESULT_MIME in output.get("data", {})]
    found = {name: value for one in told if isinstance(one, dict) for name, value in one.items()}
    return found if told else None
