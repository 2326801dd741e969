"""The cell at the end of an executed notebook that holds its receipt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hishamos.charts.receipt_lines import receipt_html, receipt_text
from hishamos.records.receipts import Receipt

TAG = "hishamos-receipt"


def put_receipt(notebook: Path, receipt: Receipt) -> None:
    """Let an executed notebook end in its receipt; one that it has from an earlier execution goes."""
    book = json.loads(notebook.read_text(encoding="utf-8"))
    book["cells"] = [*without_receipt(book["cells"]), receipt_cell(receipt, book)]
    notebook.write_text(json.dumps(book, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def without_receipt(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a notebook's cells but for receipts."""
    return [cell for cell in cells if TAG not in cell.get("metadata", {}).get("tags", [])]


def receipt_cell(receipt: Receipt, book: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cell with a receipt, for a notebook of ``book``'s format."""
    data = {"text/html": receipt_html(receipt), "text/plain": receipt_text(receipt)}
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": [TAG], "jupyter": {"source_hidden": True}},
        "source": f'# What this execution was made with and what it cost, from the ledger: ws.ledger.receipt("{receipt.execution}")',
        "outputs": [{"output_type": "display_data", "metadata": {}, "data": data}],
    }
    if (book.get("nbformat", 4), book.get("nbformat_minor", 0)) >= (4, 5):
        cell["id"] = f"receipt-{receipt.execution[:16].lower()}"
    return cell
