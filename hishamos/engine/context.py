"""What a step sees of its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hishamos.contracts.journal import Claim, Decided, Journal, RowState
from hishamos.engine.rows import RowBook
from hishamos.engine.steptype import Answer, ChildEnd
from hishamos.errors import InvalidInput
from hishamos.records.calls import ModelRequest, Outcome, Tags
from hishamos.records.runs import RunKind

if TYPE_CHECKING:
    from hishamos.engine.node import Node
    from hishamos.engine.tools import Tools
    from hishamos.errors import HishamosError

T = TypeVar("T")


def once(journal: Journal, key: str, work: Callable[[], str], *, fresh: bool) -> str:
    """Return what the journal keeps under ``key``, else what ``work`` gives, once it is kept; ``fresh``: nobody can have kept it."""
    kept = None if fresh else journal.kept(key)
    return journal.keep(key, work()) if kept is None else kept


class Held(Exception):
    """The run was asked to pause or leave: nothing new is asked for, the step is entered again later."""


class NodeContext:
    """:class:`hishamos.engine.steptype.StepContext` for one entry of one step."""

    def __init__(
        self,
        tools: Tools,
        claim: Claim,
        node: Node,
        *,
        held: bool,
        book: Callable[[], RowBook],
        began: Callable[[], None],
        keep: Callable[[RowState], None],
        end_by: Callable[[float, HishamosError], None],
    ) -> None:
        self.run, self.pinned = claim.run, claim.pinned
        self.path, self.attempt, self.item = node.path, node.attempt, node.item
        self.retry_attempts = node.definition.retry.attempts if node.definition.retry else None
        self.decided: Decided | None = node.decided
        self.children: Sequence[ChildEnd] | None = node.child_ends()
        self.memory = node.memory
        self.rows = book
        self.row_ended = keep
        self.end_by = end_by
        self._tools, self._node, self._held, self._began = tools, node, held, began
        self._first = claim.lease.number == 1  # who takes a run over may find its calls
        self._position = 0

    def submit(
        self, request: ModelRequest, *, command: str | None = None, agent: str | None = None, key: str | None = None, fresh: bool = True
    ) -> Answer[Outcome]:
        """See the plug."""
        name = key or f"{self.run.id}/{self.path}/{self.attempt}/{self._position}"
        self._position += 1
        answer = self._node.answers.get(name)
        if answer is None:
            if self._held:
                raise Held
            call = self._tools.gateway.submit(
                request, key=name, tags=self._tags(command, agent), run_budget_nanos=self.run.budget_nanos, fresh=fresh and self._first
            )
            self._node.calls.append(call)
            answer = self._node.answers[name] = Answer(call.outcome)
        return answer

    def once(self, key: str, work: Callable[[], str]) -> Answer[str]:
        """See the plug."""
        return self._job(f"once {key}", lambda: once(self._tools.journal, key, work, fresh=self._first), began=lambda: None)

    def background(self, work: Callable[[], T]) -> Answer[T]:
        """See the plug."""
        name = f"job {self._position}"
        self._position += 1
        return self._job(name, work, self._began)

    def _job(self, name: str, work: Callable[[], T], began: Callable[[], None]) -> Answer[T]:
        answer = self._node.answers.get(name)
        if answer is None:
            if self._held:
                raise Held
            job = self._tools.background.start(work, began)
            self._node.jobs.append(job)
            answer = self._node.answers[name] = Answer(job.future)
        return answer

    def notebook(self, notebook: Path, parameters: Mapping[str, Any], output: Path) -> dict[str, Any]:
        """See the plug."""
        if self._tools.notebook is None:
            raise InvalidInput(what="no executor of notebooks is at hand", where=self.path, next="Run it in a workspace: hishamos batch.")
        limit = self._node.definition.timeout or self._tools.settings().step_timeout_s
        return self._tools.notebook(notebook, parameters, output, run=self.run, step=self.path, timeout_s=limit)

    def workspace(self, place: str = "") -> Any:
        """See the plug."""
        return self._tools.workspace_for(self.run, f"{self.path}/{place}" if place else self.path)

    def target(self, *wanted: str | None) -> str:
        """See the plug."""
        return next((name for name in (self.run.model, *wanted) if name), self._tools.settings().route)

    def _tags(self, command: str | None, agent: str | None) -> Tags:
        return Tags(
            run=self.run.id,
            step=self.path,
            workflow=self.run.name if self.run.kind is RunKind.WORKFLOW else None,
            agent=agent,
            command=command,
            project=self.run.project,
            user=self.run.user_name,
            key_prefix=self.run.key_prefix,
        )
