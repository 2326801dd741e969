"""Reads what a run's card tells from the workspace."""

from __future__ import annotations

from hishamos.notebook.run_cards import RunFacts, run_card
from hishamos.records.runs import Run, RunKind, RunState, StepState
from hishamos.workspace import Workspace

STEPS_LIVE, STEPS_KEPT, FAILURES = 100, 1000, 100


def static_card(workspace: Workspace, run: Run) -> str:
    """Return a run's card as it is now."""
    return run_card(read_facts(workspace, run.id))


def read_facts(workspace: Workspace, identity: str, *, live: bool = False, before: RunFacts | None = None) -> RunFacts:
    """Read what a run's card tells. ``live``: a drawing that is quick to make, and fewer steps; ``before``: what was read last, kept where it still holds."""
    run = workspace.runs.get(identity)
    batch, flow = run.kind is RunKind.BATCH, run.kind is RunKind.WORKFLOW
    moved = before is None or (before.run.steps_done, before.run.state) != (run.steps_done, run.state)
    # An attempt that costs nothing, or has no price, changes none of the sums when it ends, but a step ends with it.
    spent = moved or before is None or (before.run.attempts, before.run.cost_nanos) != (run.attempts, run.cost_nanos)
    if flow:
        steps = workspace.runs.steps(run.id, limit=STEPS_LIVE if live else STEPS_KEPT)
    else:  # a map or a batch is one step with many rows: what failed is what somebody wants to see
        steps = [] if batch else workspace.runs.steps(run.id, state=StepState.FAILED, limit=FAILURES)
    return RunFacts(
        run,
        steps=steps,
        graph=workspace.runs.picture(run.id, format="svg" if live else "png") if flow else None,
        forecast=workspace.runs.forecast(run.id) if before is None else before.forecast,
        spend=(workspace.ledger.spend(by="model", run=run.id) if run.attempts else None) if spent else before.spend,  # type: ignore[union-attr]
        notebooks=(workspace.batch.rows(run.id) if batch else ()) if moved else before.notebooks,  # type: ignore[union-attr]
        batch=workspace.batch.get(run.id) if batch else None,
        approvals=[one for one in workspace.runs.approvals() if one.run_id == run.id] if run.state is RunState.WAITING else (),
    )
