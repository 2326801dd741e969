"""``python -m hishamos.proof.client FOLDER COMMAND MODEL ROWS LABEL [PROJECT]``: a client of the workspace, to be killed or to crowd it.

It starts a map, asks how it goes until it has ended, and prints one JSON document: how its rows ended, how often it asked, who was locked out.
"""

from __future__ import annotations

import collections
import json
import sys

import hishamos

CONCURRENCY = 64


def main(folder: str, command: str, model: str, count: str, label: str, project: str | None = None) -> None:
    """See the module."""
    workspace = hishamos.open(folder)
    rows = int(count)
    texts = [{"text": f"{label} {number}"} for number in range(rows)]
    run = workspace.commands.start_map(command, texts, model=model, concurrency=8 if project is None else CONCURRENCY, project=project)
    asked, locked = 1, 0
    while not run.ended:
        asked += 1
        try:
            run = workspace.runs.wait(run.id, timeout_s=0.05)
        except hishamos.errors.StoreBusy:
            locked += 1
    ends = collections.Counter(row.status for row in workspace.commands.map_rows(run.id, limit=rows))
    print(json.dumps({"ends": ends, "asked": asked + 1, "locked": locked}))


if __name__ == "__main__":
    main(*sys.argv[1:])
