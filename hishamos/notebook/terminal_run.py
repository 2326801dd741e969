"""A run that is waited for in a terminal IPython: a line that moves, then its card as a line of text."""

from __future__ import annotations

import sys
import time

from hishamos.charts.formats import outlook, state_label
from hishamos.notebook.cards import plain
from hishamos.notebook.run_cards import spend_words
from hishamos.records.runs import RUN_ENDED, Run, RunState
from hishamos.workspace import Workspace

REFRESH_S = 0.5
"""A run is drawn anew after so long."""
QUICK_S = 0.3
"""A run that has ended by then is not shown live."""
SETTLED = RUN_ENDED | {RunState.WAITING, RunState.PAUSED}


def watch_in_terminal(workspace: Workspace, identity: str, timeout_s: float | None) -> Run:
    """Wait for a run and say on one line of stderr how far it is; then its card as a line of text."""
    live, deadline = sys.stderr.isatty(), None if timeout_s is None else time.monotonic() + timeout_s
    run = workspace.runs.wait(identity, timeout_s=QUICK_S if timeout_s is None else min(QUICK_S, timeout_s))
    try:
        while run.state not in SETTLED and (deadline is None or time.monotonic() < deadline):
            if live:
                words = [run.name, state_label(run.state), outlook(run.progress, run.left_s, run.left_nanos), spend_words(run)]
                print("\r\x1b[K" + "  ".join(word for word in words if word), end="", file=sys.stderr, flush=True)
            left = REFRESH_S if deadline is None else max(0.0, min(REFRESH_S, deadline - time.monotonic()))
            run = workspace.runs.wait(identity, timeout_s=left)
    finally:
        if live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    run = workspace.runs.get(run.id)
    print(plain(run))
    return run
