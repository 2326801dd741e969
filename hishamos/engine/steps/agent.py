"""``agent``: give an agent one task; its output is text, or data by a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hishamos.engine.conversation import agent_request, converse
from hishamos.engine.steptype import Library, Problem, Reference, Result, StepContext, StepInputs, StepType
from hishamos.errors import UnknownName
from hishamos.schemas.validation import schema_problem

REPAIRS = 2


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


class AgentStep(StepType[AgentInputs]):
    """One task, one answer."""

    name = "agent"
    inputs = AgentInputs
    literal = frozenset({"agent"})

    def run(self, context: StepContext, inputs: AgentInputs) -> Result:
        """See the plug."""
        agent = context.pinned.agents[inputs.agent]
        request = agent_request(agent, inputs.task, inputs.data, inputs.output, context.target(inputs.model, agent.model))
        return converse(request, lambda one: context.submit(one, agent=agent.name), REPAIRS, f"agent {agent.name}")

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:
        """See the plug: the agent exists and needs nothing that is not there yet; the schema is one."""
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
