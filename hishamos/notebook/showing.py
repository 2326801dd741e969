"""Registers the cards with IPython and watches runs live; the live view is replaced in place by the static card."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hishamos.errors import HishamosError
from hishamos.notebook.cards import CARDS, definition_card, list_card, plain, run_card, workspace_card
from hishamos.notebook.proof_card import proof_card
from hishamos.records.definitions import WorkflowDefinition
from hishamos.records.pictures import Picture, PictureFormat
from hishamos.records.proofs import Proof
from hishamos.records.runs import Run, RunKind, RunState
from hishamos.workspace import Workspace

REFRESH_S = 0.5
QUICK_S = 0.3
SETTLED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.WAITING, RunState.PAUSED})


def draw_records() -> None:
    """Show records as cards in this kernel, those that need no workspace."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return
    for kind, draw in {**CARDS, Proof: proof_card}.items():
        shell.display_formatter.formatters["text/html"].for_type(kind, draw)
        shell.display_formatter.formatters["text/plain"].for_type(kind, _printed(plain))


def install(workspace: Workspace) -> None:
    """Show records as cards in this kernel, and this workspace's runs live while they are waited for."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return
    draw_records()
    markup = shell.display_formatter.formatters["text/html"]
    words = shell.display_formatter.formatters["text/plain"]
    markup.for_type(Run, lambda run: _static(workspace, run))
    markup.for_type(WorkflowDefinition, lambda workflow: _drawn(workspace, workflow))
    words.for_type(Run, _printed(plain))
    markup.for_type(Workspace, workspace_card)
    words.for_type(Workspace, _printed(lambda shown: f"workspace {shown.root}"))
    markup.for_type(list, list_card)
    # The hook by which IPython lets an exception describe itself; the cell still fails, so a batch sees it.
    HishamosError._render_traceback_ = _short_traceback  # type: ignore[attr-defined]
    workspace.watch = watch
    from hishamos.notebook.magics import register

    register(shell, workspace)


def watch(workspace: Workspace, identity: str, timeout_s: float | None) -> Run:
    """Wait for a run and show it: refreshed while it works, then replaced by the static card, also when the cell is interrupted."""
    from IPython.display import HTML, display

    run = workspace.runs.wait(identity, timeout_s=QUICK_S if timeout_s is None else min(QUICK_S, timeout_s))
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    handle = display(HTML(_live(workspace, run)), display_id=True)
    try:
        while run.state not in SETTLED and (deadline is None or time.monotonic() < deadline):
            run = workspace.runs.wait(identity, timeout_s=REFRESH_S)
            handle.update(HTML(_live(workspace, run)))
    finally:
        run = workspace.runs.get(identity)
        handle.update({"text/html": _static(workspace, run), "text/plain": plain(run)}, raw=True)
    return run


def _live(workspace: Workspace, run: Run) -> str:
    return run_card(run, workspace.runs.steps(run.id, limit=100), graph=_graph(workspace, run, "svg"), forecast=workspace.runs.forecast(run.id))


def _graph(workspace: Workspace, run: Run, format: PictureFormat) -> Picture | None:
    """A map or a batch is one step: a picture of it says nothing."""
    return workspace.runs.picture(run.id, format=format) if run.kind is RunKind.WORKFLOW else None


def _drawn(workspace: Workspace, workflow: WorkflowDefinition) -> str:
    """Draw a workflow that the workspace knows in this very version; of any other the card lists the steps."""
    known = {one.name: one.version for one in workspace.workflows.list()}
    drawn = workspace.workflows.picture(workflow.name, format="png") if known.get(workflow.name) == workflow.version else None
    return definition_card(workflow, drawn)


def _static(workspace: Workspace, run: Run) -> str:
    run = workspace.runs.get(run.id)
    spend = workspace.ledger.spend(by="model", run=run.id) if run.attempts else None
    return run_card(run, workspace.runs.steps(run.id, limit=1000), spend, _graph(workspace, run, "png"), workspace.runs.forecast(run.id))


def _printed(draw: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
    return lambda value, printer, _cycle: printer.text(draw(value))


def _short_traceback(error: HishamosError) -> list[str]:
    """What IPython prints for a typed error: what, where and what next, without the frames of this package."""
    return [f"{type(error).__name__}: {error}"]
