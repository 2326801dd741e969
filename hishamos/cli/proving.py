"""``hishamos prove``: the promises held against a provider that keeps its own book."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hishamos.records.proofs import Proof


@click.command("prove", cls=Verb)
@click.option("--rows", default=60, show_default=True, type=click.IntRange(20, 5000), help="Rows of the map whose client and server are killed.")
@click.option("--calls", default=64, show_default=True, type=click.IntRange(1, 256), help="Calls at once from each process against the budget.")
@click.option("--processes", default=4, show_default=True, type=click.IntRange(2, 16), help="Processes that crowd the budget.")
@pass_face
def prove_verb(face: Face, *, rows: int, calls: int, processes: int) -> None:
    """Put the seven promises to the proof on this machine, and print what was measured.

    It needs no key and no network, works in a temporary workspace of its own, and takes half a minute. The exit code is 1 when a promise was broken.
    """
    from hishamos.proof.proving import prove

    proof = prove(rows=rows, calls=calls, processes=processes, say=face.say)
    face.show(proof, lambda: _parts(proof))
    if not proof.kept:
        raise FinishedWith(1)


def _parts(proof: Proof) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bright_black")
    for name in ("", "Promise", "Measured"):
        drawn.add_column(name, overflow="fold")
    for promise in proof.promises:
        sign = Text("✓ kept", style="green") if promise.kept else Text("✕ broken", style="red")
        drawn.add_row(sign, Text(f"{promise.number} {promise.name}"), Text(promise.evidence))
    kept = sum(promise.kept for promise in proof.promises)
    return [drawn, Text(f"{kept} of {len(proof.promises)} promises kept, in {proof.seconds:.1f} s, by HishamOS {proof.version}.")]
