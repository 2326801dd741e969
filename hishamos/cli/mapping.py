"""A command for each row of a CSV file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hishamos.cli.face import INTERRUPTED, Face, FinishedWith, pass_face
from hishamos.cli.values import inputs_option, parse_columns, parse_inputs, tag_option
from hishamos.cli.verbs import Verb
from hishamos.errors import InvalidInput

if TYPE_CHECKING:
    from hishamos.records.runs import Run
    from hishamos.workspace import Workspace

PREVIEW = 10


@click.command("map", cls=Verb)
@click.argument("file", metavar="FILE.csv")
@click.argument("command")
@click.option("--columns", multiple=True, metavar="PARAMETER=COLUMN", help="Which column feeds a parameter; left out, columns named like parameters.")
@inputs_option
@click.option("--out", metavar="FILE.csv", help="Where to write the rows with the answers; left out, FILE.COMMAND.csv beside FILE.csv.")
@click.option("--model", metavar="NAME", help="A model, route or policy instead of the command's own.")
@click.option("--concurrency", default=32, show_default=True, type=click.IntRange(1), help="At most so many calls at once.")
@click.option("--mode", type=click.Choice(["now", "batch"]), default="now", show_default=True, help="batch: in one piece, within a day, at batch prices.")
@click.option("--budget", metavar="USD", help="A hard limit on this map.")
@click.option("--prefix", default="", metavar="TEXT", help="Put this before the new columns' names.")
@click.option("--fresh", is_flag=True, help="Ask again, and pay again, for rows that are finished already.")
@click.option("--forecast", is_flag=True, help="Say what it will cost and how long it takes, and ask nobody.")
@tag_option
@pass_face
def map_verb(
    face: Face,
    *,
    file: str,
    command: str,
    columns: tuple[str, ...],
    inputs: tuple[str, ...],
    out: str | None,
    model: str | None,
    concurrency: int,
    mode: Literal["now", "batch"],
    budget: str | None,
    prefix: str,
    fresh: bool,
    forecast: bool,
) -> None:
    """Run a command on each row of a CSV file; equal rows are paid once. Ctrl-C only detaches: the rest goes on in the server.

    Rows that failed or were refused are tried again by the same line, finished ones are reused. Exit code 1 when a row has no answer.
    """
    from hishamos.cli.csv_files import read_rows, write_rows
    from hishamos.cli.foretelling import show_forecast

    names, rows = read_rows(file)
    target = _target(file, command, out)
    watched = _Watched(face)
    with face.open() as workspace:
        workspace.watch = watched
        definition = workspace.commands.get(command)
        values = parse_inputs(inputs, definition.parameters, of=f"command {definition.name}", root=workspace.root)

        import pandas as pd

        table = pd.DataFrame(rows, columns=names, dtype="str")
        if forecast:
            show_forecast(
                face, workspace.map.forecast(table, command, columns=parse_columns(columns), inputs=values, model=model, concurrency=concurrency, prefix=prefix)
            )
            return
        frame = workspace.map(
            table,
            command,
            columns=parse_columns(columns),
            inputs=values,
            model=model,
            concurrency=concurrency,
            mode=mode,
            budget_usd=budget,
            prefix=prefix,
            fresh=fresh,
        )
    from hishamos.cli.documents import frame_rows

    done = frame_rows(frame)
    write_rows(target, [str(name) for name in frame.columns], [_cells(row) for row in done])
    _show_map(face, done, target, watched, prefix=prefix, hidden=names[1:])


class _Watched:
    """How the map waits: shows the progress, and remembers the run and whether it was interrupted."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self.run: Run | None = None
        self.interrupted = False

    def __call__(self, workspace: Workspace, run: str, timeout_s: float | None) -> Run:  # noqa: ARG002 - the watch's signature
        from hishamos.cli.watching import watch

        try:
            self.run = watch(self._face, workspace, run)
        except KeyboardInterrupt:
            self.interrupted = True
            self.run = workspace.runs.get(run)
            raise
        return self.run


def _target(file: str, command: str, out: str | None) -> Path:
    source = Path(file).expanduser()
    target = Path(out).expanduser() if out else source.with_name(f"{source.stem}.{command}.csv")
    if target.is_dir():
        raise InvalidInput(what=f"{out or target} is a folder", where="--out", next="Give the name of a file in it, such as answers.csv.")
    if target.suffix.lower() != ".csv":
        raise InvalidInput(what=f"{target.name} does not end in .csv", where="--out", next="Answers are written as CSV only: give it a name that does.")
    if not target.parent.is_dir():
        raise InvalidInput(what=f"The folder {target.parent} does not exist", where="--out", next="Make it, or choose another place.")
    if target.exists() and target.samefile(source):
        raise InvalidInput(what="The answers would overwrite the file they are about", where="--out", next="Choose another name.")
    return target


def _cells(row: Mapping[str, Any]) -> dict[str, Any]:
    from hishamos.cli.documents import plain

    return {name: json.dumps(plain(value), ensure_ascii=False) if isinstance(value, list | dict) else plain(value) for name, value in row.items()}


def _show_map(face: Face, rows: Sequence[Mapping[str, Any]], target: Path, watched: _Watched, *, prefix: str, hidden: Sequence[str]) -> None:
    from hishamos.charts.formats import count, state_label
    from hishamos.charts.pace import rows_told
    from hishamos.cli.tables import rows_table
    from hishamos.cli.watching import outcome

    states = Counter(str(row[f"{prefix}hos_status"]) for row in rows)
    run = watched.run
    document = {"run": run, "out": str(target), "rows": len(rows), "states": dict(states), "interrupted": watched.interrupted}
    answered = states["succeeded"]
    words = ", ".join(f"{count(number)} {state_label(name)}" for name, number in states.most_common())
    note = " ".join(dict.fromkeys(str(row[f"{prefix}hos_error"]) for row in rows if row[f"{prefix}hos_error"]))[:400]
    head = [f"{outcome(run)}  {rows_told(run)}"] if run else []
    face.show(
        document,
        lambda: (*head, words, *([note] if note else []), rows_table(_narrow(rows[:PREVIEW], prefix, hidden))),
        then=f"Written: {target}",
    )
    if watched.interrupted and run:
        face.say(f"Detached; the run goes on in the server. Watch it: hishamos follow {run.id}; the same line again collects the rest.")
        raise FinishedWith(INTERRUPTED)
    if answered < len(rows):
        face.say("Next: the same line again tries only what has no answer.")
        raise FinishedWith(1)


def _narrow(rows: Sequence[Mapping[str, Any]], prefix: str, hidden: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows that fit a terminal: ``hidden`` columns and facts of the call but its state are left out, long cells are cut."""
    out = {*hidden, *(f"{prefix}hos_{name}" for name in ("error", "cost_usd", "attempts", "command", "reused", "model"))}
    return [{name: _cut(value) for name, value in row.items() if name not in out} for row in rows]


def _cut(value: Any) -> Any:
    text = value if isinstance(value, str) else None
    return f"{text[:39]}…" if text and len(text) > 40 else value
