"""A notebook for each row of a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import INTERRUPTED, Face, FinishedWith, pass_face
from hishamos.cli.values import tag_option
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from hishamos.records.batches import BatchRow

SHOWN = 50


@click.command("batch", cls=Verb)
@click.argument("notebook")
@click.option("--rows", "file", required=True, metavar="FILE.csv", help="One execution per row; its columns are the notebook's parameters.")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="At most so many notebooks at once.")
@click.option("--output", metavar="FOLDER", help="Where the executed notebooks and summary.ipynb go; left out, data/local/batches/RUN.")
@click.option("--reuse", is_flag=True, help="Keep kernels for the next notebook; names, environment, folder and the workspace's modules are reset.")
@click.option("--kernel", metavar="NAME", help="Which kernel executes them; left out, the notebook's own.")
@click.option("--timeout", "timeout_s", type=float, metavar="SECONDS", help="For each notebook; left out, step_timeout_s of hishamos.toml.")
@click.option("--fresh", is_flag=True, help="Execute, and pay for, rows again that are finished already.")
@tag_option
@pass_face
def batch_verb(
    face: Face, *, notebook: str, file: str, jobs: int, output: str | None, reuse: bool, kernel: str | None, timeout_s: float | None, fresh: bool
) -> None:
    """Execute a notebook once per row of a CSV file. Ctrl-C only detaches: the batch goes on in the server.

    Cells become what the notebook's parameters are (numbers, truths, lists as JSON, text); an empty cell leaves the notebook's own default. The
    same line again does only what is missing, and of a changed file only rows that are new. Exit code 1 when a notebook failed.
    """
    from hishamos.cli.csv_files import read_rows
    from hishamos.cli.documents import plain
    from hishamos.cli.running import detached
    from hishamos.cli.values import find_file
    from hishamos.cli.watching import outcome, watch
    from hishamos.records.batches import MOST_ROWS

    _, rows = read_rows(file, most=MOST_ROWS)
    with face.open() as workspace:
        path = find_file(notebook, workspace.root, "the notebook")
        folder = str(Path(output).expanduser().absolute()) if output else None
        run = workspace.batch.start(str(path), rows, jobs=jobs, output=folder, fresh=fresh, reuse=reuse, kernel=kernel, timeout_s=timeout_s, cells=True)
        face.say(f"Run {run.id} in {workspace.root}")
        try:
            run = watch(face, workspace, run.id)
        except KeyboardInterrupt:
            detached(face, run)
            raise FinishedWith(INTERRUPTED) from None
        done, batch = workspace.batch.rows(run.id), workspace.batch.get(run.id)
    document = {"run": plain(run), "rows": plain(done), "batch": plain(batch)}
    face.show(document, lambda: (outcome(run), *_tables(done, offline=run.offline)), then=f"Summary: {batch.summary}" if batch.summary else "")
    if any(row.status != "succeeded" for row in done):
        face.say(f"Next: hishamos resume {run.id}, or the same line again: only what is missing is executed.")
        raise FinishedWith(1)


def _tables(rows: Sequence[BatchRow], *, offline: bool) -> list[Any]:
    """Return all rows, or of many those that did not succeed."""
    from hishamos.charts.formats import count

    shown = rows if len(rows) <= SHOWN else [row for row in rows if row.status != "succeeded"][:SHOWN]
    told = [] if len(shown) == len(rows) else [f"{count(len(shown))} of {count(len(rows))} rows; all of them stand in the summary."]
    return [_table(shown, offline=offline), *told]


def _table(rows: Sequence[BatchRow], *, offline: bool) -> Any:
    from hishamos.charts.formats import count, duration, missing
    from hishamos.cli.tables import spend, state, table

    shown = [
        (
            count(row.index + 1),
            state("reused" if row.reused else row.status),
            ", ".join(f"{name}={value}" for name, value in row.parameters.items()),
            spend(row.cost_nanos, offline=offline),
            duration(row.seconds),
            _failure(row) or row.output_path or missing(),
        )
        for row in rows
    ]
    return table("Notebooks", ("Row", "State", "Parameters", "Spend", "Time", "Notebook or error"), shown, right=("Row", "Spend", "Time"))


def _failure(row: BatchRow) -> str | None:
    if row.reason is None:
        return None
    return row.reason if row.cell is None else f"cell {row.cell}: {row.reason}"
