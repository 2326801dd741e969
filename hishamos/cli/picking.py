"""Which agent fits a task: the candidates, their scores, and a sentence for each."""

from __future__ import annotations

import click

from hishamos.cli.face import Face, pass_face
from hishamos.cli.verbs import Verb
from hishamos.errors import InvalidInput

SHOWN = 5


@click.command("pick", cls=Verb)
@click.argument("text")
@click.option("--among", multiple=True, metavar="AGENT", help="Choose from these agents only; may be given several times.")
@click.option("--weight", "weights", multiple=True, metavar="NAME=NUMBER", help="How much capability, success, rating, load, cost or speed counts.")
@click.option("--all", "everybody", is_flag=True, help=f"Show all candidates instead of the first {SHOWN}.")
@pass_face
def pick_verb(face: Face, *, text: str, among: tuple[str, ...], weights: tuple[str, ...], everybody: bool) -> None:
    """Say which agent fits the task TEXT best, and why. No model is asked, nothing is paid. Overrule it by naming another: hishamos ask AGENT TEXT."""
    from rich.table import Table
    from rich.text import Text

    from hishamos.cli.tables import spend

    with face.open() as workspace:
        pick = workspace.agents.pick(text, among=among or None, weights=dict(map(_weight, weights)))

    def draw() -> tuple[Text, Table]:
        table = Table("agent", "score", "capability", "success", "rating", "load", "cost", "speed", "median cost", "why", box=None, pad_edge=False)
        for one in pick.candidates if everybody else pick.candidates[:SHOWN]:
            numbers = (one.score, one.capability, one.success, one.rating, one.load, one.cost, one.speed)
            price = spend(one.record.cost_nanos) if one.record.cost_nanos is not None else "–"
            table.add_row(one.agent, *(f"{number:.2f}" for number in numbers), price, one.why)
        return (Text(pick.why), table)

    face.show(pick, draw, then=f"hishamos ask {pick.agent} TEXT")


def _weight(given: str) -> tuple[str, float]:
    name, _, number = given.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise InvalidInput(what=f"{given!r} is no weight", where="--weight", next="Write it as speed=0.5.") from None
