"""Taking back what had succeeded, last first, when a run fails or is cancelled."""

from __future__ import annotations

from dataclasses import dataclass, field

from hishamos.engine.failures import failure
from hishamos.engine.node import Node
from hishamos.errors import HishamosError, RunCancelled, RunFailed, RunTimedOut, WorkerDied
from hishamos.records.record import Failure
from hishamos.records.runs import Run, RunState, StepState


@dataclass
class Undoing:
    """How a run ends that did not succeed: its state, why, and what is to be compensated before, in order."""

    run: Run
    state: RunState
    reason: HishamosError | None
    """None for a run that was cancelled."""
    nodes: list[Node] = field(default_factory=list)

    def following(self) -> Node | None:
        """Return the next compensation that has not ended."""
        return next((node for node in self.nodes if not node.ended), None)

    def error(self) -> Failure | None:
        """Return what the run is to say: why it ended, what was compensated and what could not be."""
        if not self.nodes:
            return failure(self.reason) if self.reason else None
        done = [_undone(node) for node in self.nodes if node.state is StepState.SUCCEEDED]
        left = [f"{_undone(node)} ({node.reason})" for node in self.nodes if not node.passed]
        told = [f"Compensated: {', '.join(done)}."] if done else []
        told += [f"NOT compensated: {'; '.join(left)}."] if left else []
        told += ["Nothing had to be compensated."] if not told else []
        lists = {"compensated": done, "not_compensated": [_undone(node) for node in self.nodes if not node.passed]}
        following = f"Start it anew: hishamos run {self.run.name}"
        if isinstance(self.reason, (RunTimedOut, WorkerDied)):
            return failure(type(self.reason)(**{**self.reason.facts, "next": " ".join([*told, following]), **lists}))
        if self.reason is None:
            return failure(RunCancelled(workflow=self.run.name, undone=" ".join(told), next=following, **lists))
        facts = self.reason.facts if isinstance(self.reason, RunFailed) else {"workflow": self.run.name, "where": "outputs", "reason": str(self.reason)}
        return failure(RunFailed(**{**facts, "reason": f"{facts['reason']}. {' '.join(told)}", "next": following, **lists}))


def _undone(node: Node) -> str:
    return node.undoes or node.path


def run_failed(run: Run, node: Node) -> RunFailed:
    """Return why a run fails that lost a step."""
    return RunFailed(workflow=run.name, where=node.path, reason=node.reason, next=f"To go on from there: hishamos resume {run.id}", step=node.path)
