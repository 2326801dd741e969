"""A receipt as lines of text and as plain HTML: inline style only, nothing loaded, readable when style is stripped."""

from __future__ import annotations

import html
from collections.abc import Sequence

from hishamos.charts.formats import clock, count, exact_usd, missing, state_label
from hishamos.records.receipts import Receipt, ServedModel

HASH = 12
"""Digits of a hash that are shown to people; the whole one stands in the text on hover."""
MOST = 20
"""Runs and files that are shown; how many more there are is said."""
_FRAME = (
    "border:1px solid rgba(128,128,128,.4);border-radius:8px;padding:10px 14px;margin:4px 0;max-width:900px;font-size:13px;"
    "line-height:1.5;font-variant-numeric:tabular-nums"
)
_LEFT = "padding:2px 14px 2px 0;text-align:left;vertical-align:top;font-weight:normal;opacity:.7;white-space:nowrap"
_RIGHT = "padding:2px 0;text-align:left;vertical-align:top;overflow-wrap:anywhere"

Part = tuple[str, str]
"""What is shown, and the whole of it where that was shortened."""


def receipt_facts(receipt: Receipt) -> list[tuple[str, list[Part]]]:
    """Return what a receipt says, a name and its lines each."""
    facts: list[tuple[str, list[Part]]] = [
        ("notebook", _notebook(receipt)),
        ("code", [(_commit(receipt), receipt.git_commit or "")]),
        ("spend", [(spend_words(receipt), "")]),
        ("models", [(model_words(one), "") for one in receipt.models]),
        ("definitions", [(f"{one.kind} {one.name}@{one.version or '?'}", "") for one in receipt.definitions]),
        ("input files", _listed([(f"{one.path}  sha256 {one.sha256[:HASH]}", one.sha256) for one in receipt.files])),
        ("requests", [] if receipt.requests_hash is None else [(f"sha256 {receipt.requests_hash[:HASH]}", receipt.requests_hash)]),
        ("runs", _listed([(f"{one.id}  {one.name}  {state_label(one.state)}  inputs {one.inputs_hash[:HASH]}", one.inputs_hash) for one in receipt.runs])),
        ("execution", [(f"{receipt.execution}, receipt made {clock(receipt.made_at)} UTC", receipt.made_at.isoformat())]),
    ]
    return [(name, lines) for name, lines in facts if lines]


def receipt_text(receipt: Receipt) -> str:
    """Return a receipt as text."""
    facts = receipt_facts(receipt)
    width = max(len(name) for name, _ in facts)
    lines = [f"{name if first == 0 else '':<{width}}  {shown}" for name, parts in facts for first, (shown, _) in enumerate(parts)]
    return "\n".join(["Receipt", *lines])


def receipt_html(receipt: Receipt) -> str:
    """Return a receipt as plain HTML."""
    rows = "".join(
        f'<tr><th style="{_LEFT}">{html.escape(name)}</th><td style="{_RIGHT}">{"<br>".join(_shown(part) for part in parts)}</td></tr>'
        for name, parts in receipt_facts(receipt)
    )
    return f'<div dir="auto" style="{_FRAME}"><strong>Receipt</strong><table style="border-collapse:collapse;margin:6px 0 0">{rows}</table></div>'


def spend_words(receipt: Receipt) -> str:
    """Return what an execution cost, exactly, and how many calls that were."""
    if not receipt.attempts:
        return "no model was asked, 0 USD"
    tokens = f"{count(receipt.input_tokens)} tokens in, {count(receipt.output_tokens)} out"
    words = f"{exact_usd(receipt.cost_nanos)} USD, {_number(receipt.calls, 'call')}, {_number(receipt.attempts, 'attempt')}, {tokens}"
    words += f", {receipt.unpriced} unpriced" if receipt.unpriced else ""
    return words + (f", {receipt.orphaned} orphaned, may be billed twice" if receipt.orphaned else "")


def model_words(model: ServedModel) -> str:
    """Return what a model was asked and what it took."""
    answers = f"{count(model.succeeded)} of {_number(model.attempts, 'attempt')} succeeded" + (f", {count(model.cached)} cached" if model.cached else "")
    if model.offline:
        return f"{model.model}: {answers}; {state_label('offline')}"
    money = f"{exact_usd(model.cost_nanos)} USD" + (f" + {model.unpriced} unpriced" if model.unpriced else "")
    return f"{model.model}: {answers}, {count(model.input_tokens)} tokens in, {count(model.output_tokens)} out, {money}"


def _notebook(receipt: Receipt) -> list[Part]:
    digest = receipt.notebook_hash
    parts = [(f"{receipt.notebook or missing()}" + (f"  sha256 {digest[:HASH]}" if digest else ""), digest or "")]
    if receipt.parameters_hash:
        parts.append((f"parameters sha256 {receipt.parameters_hash[:HASH]}", receipt.parameters_hash))
    return parts


def _commit(receipt: Receipt) -> str:
    if receipt.git_commit is None:
        return f"HishamOS {receipt.hishamos}, not in git"
    state = {True: ", with changes that are not committed", False: ", clean", None: ""}[receipt.dirty]
    return f"HishamOS {receipt.hishamos}, git commit {receipt.git_commit[:HASH]}{state}"


def _listed(parts: Sequence[Part]) -> list[Part]:
    more = len(parts) - MOST
    return [*parts[:MOST], *([(f"and {more} more", "")] if more > 0 else [])]


def _shown(part: Part) -> str:
    shown, whole = part
    title = f' title="{html.escape(whole)}"' if whole else ""
    return f"<span{title}>{html.escape(shown)}</span>"


def _number(number: int, what: str) -> str:
    return f"{count(number)} {what}{'' if number == 1 else 's'}"
