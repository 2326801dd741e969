"""The card of a proof: each promise with what was measured."""

from __future__ import annotations

from hishamos.charts.formats import duration
from hishamos.charts.palette import ACCENTS
from hishamos.notebook import markup
from hishamos.records.proofs import Promise, Proof


def proof_card(proof: Proof) -> str:
    """Return a proof's card."""
    rows = [(_sign(promise), markup.text(f"{promise.number} {promise.name}"), markup.text(promise.evidence)) for promise in proof.promises]
    kept = sum(promise.kept for promise in proof.promises)
    head = markup.head("Proof", f"{kept} of {len(proof.promises)} promises kept", duration(proof.seconds))
    return markup.card(head, markup.table(("", "promise", "measured"), rows), f"HishamOS {markup.text(proof.version)}")


def _sign(promise: Promise) -> str:
    colour, words = ("green", "✓ kept") if promise.kept else ("red", "✕ broken")
    return f'<span style="color:{ACCENTS[colour]};white-space:nowrap">{words}</span>'
