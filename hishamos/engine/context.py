"""What a step sees of its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hishamos.contracts.journal import ChildOf, Claim, Decided, RowState, Signal
from hishamos.contracts.notebooks import NotebookCall, PreparedNotebook
from hishamos.engine.attaching import check_files_of
from hishamos.engine.rows import RowBook
from hishamos.engine.steptype import Answer, ChildEnd, Interrupted, Lane
from hishamos.engine.telling import Telling
from hishamos.engine.templates import condition
from hishamos.errors import InvalidInput
from hishamos.records.calls import ModelRequest, Outcome, Tags
from hishamos.records.record import derived_id
from hishamos.records.runs import Run, RunKind, RunState
from hishamos.schemas.inputs import validated

if TYPE_CHECKING:
    from hishamos.contracts.models import PendingCall
    from hishamos.engine.background import Background
    from hishamos.engine.node import Node
    from hishamos.engine.tools import Tools
    from hishamos.errors import HishamosError

T = TypeVar("T")


class Held(Interrupted):
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
        scope: Callable[[], dict[str, Any]],
    ) -> None:
        self.run, self.pinned = claim.run, claim.pinned
        self.path, self.attempt, self.item = node.path, node.attempt, node.item
        self.retry = node.definition.retry
        self.decided: Decided | None = node.decided
        self.moment = tools.clock()
        self.started_at = node.started_at or self.moment
        self.outside = tools.outside
        self.children: Sequence[ChildEnd] | None = node.child_ends()
        self.memory = node.memory
        self.rows = book
        self.row_ended = keep
        self.end_by = end_by
        self._tools, self._node, self._held, self._began = tools, node, held, began
        self._first = claim.lease.number == 1  # who takes a run over may find its calls
        self._position = 0
        self._scope = scope

    @cached_property
    def limit_s(self) -> float:
        """See the plug."""
        return self._node.limit_s or self._tools.settings().step_timeout_s  # asked for by few steps: it looks whether the file has changed

    def submit(
        self,
        request: ModelRequest,
        *,
        command: str | None = None,
        agent: str | None = None,
        key: str | None = None,
        fresh: bool = True,
        hear: Callable[[PendingCall], None] | None = None,
        batch: bool = False,
    ) -> Answer[Outcome]:
        """See the plug."""
        name = key or f"{self.run.id}/{self.path}/{self.attempt}/{self._position}"
        self._position += 1
        answer = self._node.answers.get(name)
        if answer is None:
            if self._held:
                raise Held
            tags, limit = self._tags(command, agent), self.run.budget_nanos
            call = self._tools.gateway.submit(
                request, key=name, tags=tags, run_budget_nanos=limit, stream=hear is not None, fresh=fresh and self._first, batch=batch
            )
            self._node.calls.append(call)
            if hear is not None:
                hear(call)
            answer = self._node.answers[name] = Answer(call.outcome)
        return answer

    def telling(self) -> Telling | None:
        """See the plug."""
        if "telling" not in self.memory and self._tools.journal.watched(self.run.id):
            self.memory["telling"] = Telling(partial(self._tools.journal.tell, self.run.id, self.path))
        found: Telling | None = self.memory.get("telling")
        return found

    def once(self, key: str, work: Callable[[], str]) -> Answer[str]:
        """See the plug."""
        return self._job(f"once {key}", lambda: self._tools.keeping.once(key, work, fresh=self._first), lambda: None, self._tools.lanes["steps"])

    def background(self, work: Callable[[], T], *, lane: Lane = "steps") -> Answer[T]:
        """See the plug."""
        name = f"job {self._position}"
        self._position += 1
        return self._job(name, work, self._began, self._tools.lanes[lane])

    def _job(self, name: str, work: Callable[[], T], began: Callable[[], None], lane: Background) -> Answer[T]:
        answer = self._node.answers.get(name)
        if answer is None:
            if self._held:
                raise Held
            job = lane.start(work, began)
            self._node.jobs.append(job)
            answer = self._node.answers[name] = Answer(job.future)
        return answer

    def at_end(self, stop: Callable[[], None]) -> None:
        """See the plug."""
        self._node.stops.append(stop)

    def notebook(self, notebook: Path, parameters: Mapping[str, Any], output: Path, *, reuse: bool = False, kernel: str | None = None) -> PreparedNotebook:
        """See the plug."""
        if self._tools.notebook is None:
            raise InvalidInput(what="no executor of notebooks is at hand", where=self.path, next="Run it in a workspace: hishamos batch.")
        return self._tools.notebook(
            NotebookCall(self.run, self.path, self.attempt, notebook, parameters, output, timeout_s=self.limit_s, reuse=reuse, kernel=kernel)
        )

    def summary(self, folder: Path) -> str:
        """See the plug."""
        return self._tools.summary(self.run.id, self.path, folder, self.children or ())

    def row_known(self, key: str) -> RowState | None:
        """See the plug."""
        return self._tools.journal.states_of_rows([key]).get(key)

    def workspace(self, place: str = "") -> Any:
        """See the plug."""
        return self._tools.workspace_for(self.run, f"{self.path}/{place}" if place else self.path)

    def child(self, workflow: str, inputs: Mapping[str, Any]) -> Run:
        """See the plug. Raises :class:`InvalidInput` for inputs that the workflow does not take, and where the run has a budget of its own."""
        if self.run.budget_nanos is not None:
            following = "Set the budget on a project, a user or the workspace: those hold for child runs too."
            raise InvalidInput(what="a run with a budget of its own can't start another run", where=self.path, next=following)
        if self._held:
            raise Held
        definition = self.pinned.workflows[workflow]
        root = Path(self.outside.settings().root)
        values = validated(definition.inputs, inputs, f"workflow {workflow}", root)
        files = [values[name] for name, parameter in definition.inputs.items() if parameter.type == "file" and values[name] is not None]
        check_files_of(self.run, self.pinned.workflow, files, root, f"workflow {workflow}")
        run = Run(
            id=derived_id(f"{self.run.id}/{self.path}"),
            name=definition.name,
            version=definition.version,
            state=RunState.QUEUED,
            inputs=values,
            model=self.run.model,
            project=self.run.project,
            parent=self.run.id,
            user_name=self.run.user_name,
            key_prefix=self.run.key_prefix,
            origin=self.run.origin,
            priority=self.run.priority,
            steps_total=len(definition.steps),
            created_at=self.moment,
        )
        entered = self.memory.setdefault("entered", True)
        self.memory["entered"] = False
        pinned = self.pinned.model_copy(update={"workflow": definition})
        child = self._tools.journal.child(run, pinned, ChildOf(parent=self.run.id, path=self.path, attempt=self.attempt), entered=entered)
        if child is None:
            raise Held
        if child.state is RunState.QUEUED:
            self._tools.dispatch(child.id)
        return child

    def holds(self, expression: str, names: Mapping[str, Any]) -> bool:
        """See the plug."""
        return condition(expression, {**self._scope(), **names}, self.path)

    def signal(self, name: str) -> Signal | None:
        """See the plug."""
        return self._tools.journal.signal(self.run.id, name)

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
            agent_version=self.pinned.agents[agent].version if agent in self.pinned.agents else None,
            **(self.run.origin.tags() if self.run.origin else {}),
        )
