"""``agent``: give an agent one task; its output is text, or data by a schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from hishamos.engine.agent_loop import Task, work
from hishamos.engine.attaching import check_chosen, kept_files, read_back, task_files
from hishamos.engine.steptype import Answer, Interrupted, Library, Problem, Reference, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.engine.toolbox import Elsewhere, PinnedLibrary, called_there
from hishamos.errors import ConnectionLost, UnknownName
from hishamos.records.attachments import Attachment
from hishamos.records.calls import ModelRequest, Outcome
from hishamos.records.mcp import ServerTool
from hishamos.records.turns import AgentEvent
from hishamos.schemas.validation import schema_problem


class AgentInputs(StepInputs):
    """Who does what."""

    agent: str
    """The agent's name."""
    task: str
    """What it is asked to do."""
    data: Any = None
    """Material for the task, shown as JSON; nothing in it is an instruction."""
    output: dict[str, Any] | None = None
    """JSON Schema of the answer; left out: the agent's own, else text."""
    model: str | None = None
    """A model, route or policy, before the agent's own."""
    files: list[str] = Field(default=[])
    """Images, PDFs and texts that go with the task: inputs of the run, or files inside the workspace."""


class AgentStep(StepType[AgentInputs]):
    """One task, one answer, and as many questions and tools between them as the agent's limits allow."""

    name = "agent"
    inputs = AgentInputs
    literal = frozenset({"agent"})

    def run(self, context: StepContext, inputs: AgentInputs) -> Result:
        """See the plug."""
        agent = context.pinned.agents[inputs.agent]
        files: list[tuple[str, Attachment]] = []
        if inputs.files:
            check_chosen(context, inputs.files, f"agent {agent.name}")
            root = Path(context.outside.settings().root)
            kept = kept_files(context, lambda: [(file.name, file) for file in task_files(inputs.files, root, agent.name)])
            if not kept.ready:
                return Waiting([kept])
            files = read_back(kept.value)
        task = Task(agent, inputs.task, inputs.data, inputs.output, inputs.model, tuple(file for _, file in files))
        return work(task, PinnedLibrary(context.pinned), _StepDesk(context))

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:
        """See the plug: the agent exists; the schema is one."""
        problems = []
        try:
            library.agent(str(raw.get("agent", "")))
        except UnknownName as error:
            problems.append(Problem(("agent",), str(error)))
        schema = raw.get("output")
        if isinstance(schema, dict) and "{{" not in str(schema):
            wrong = schema_problem(schema)
            if wrong:
                problems.append(Problem(("output",), wrong))
        return problems

    def references(self, raw: Mapping[str, Any]) -> Reference:
        """See the plug."""
        return Reference(agents={str(raw["agent"])})


class _StepDesk:
    """:class:`hishamos.engine.agent_loop.Desk` in a run: keyed by run, step path, step attempt and place."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self.target, self.end_by = context.target, context.end_by
        self._telling = context.telling()

    def ask(self, place: str, request: ModelRequest, command: str | None, agent: str | None) -> Answer[Outcome]:
        """See the plug."""
        hear = None if self._telling is None else partial(self._telling.listen, place)
        return self._context.submit(request, command=command, agent=agent, key=self._key(place), hear=hear)

    def once(self, place: str, work: Callable[[Callable[[], Any]], str]) -> Answer[str]:
        """See the plug."""
        context = self._context
        return context.once(self._key(place), lambda: work(lambda: context.workspace(f"{context.attempt}/{place}")))

    def server_call(self, tool: ServerTool) -> Elsewhere:
        """See the plug."""
        there = called_there(tool, self._context.outside)

        def call(arguments: Mapping[str, Any], workspace: Callable[[], Any]) -> Any:
            try:
                return there.call(arguments, workspace)
            except ConnectionLost:
                raise Interrupted from None  # this process is leaving: the next one calls the tool

        return Elsewhere(call)

    def tell(self, place: str, event: AgentEvent) -> None:
        """See the plug."""
        if self._telling is not None:
            self._telling.once(place, event)

    def _key(self, place: str) -> str:
        return f"{self._context.run.id}/{self._context.path}/{self._context.attempt}/{place}"
