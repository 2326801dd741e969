"""``ws.agents``: who works."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

from hishamos.contracts.agents import Agents
from hishamos.contracts.feeds import Feed
from hishamos.engine.agent_loop import Task
from hishamos.engine.attaching import task_files
from hishamos.errors import InvalidInput
from hishamos.records.callbacks import Offer
from hishamos.records.calls import CommandResult
from hishamos.records.definitions import AgentDefinition
from hishamos.records.picking import Pick, TrackRecord
from hishamos.records.record import now
from hishamos.records.turns import AgentEvent
from hishamos.services.kernel_functions import offered_tools
from hishamos.services.picking import pick, weights_of
from hishamos.services.questions import give, streamed
from hishamos.services.saving import save
from hishamos.services.service import Service, implements
from hishamos.store.track_records import track_records

RECORDED = timedelta(days=90)


@implements(Agents)
class AgentsService(Service):
    """The agents of one workspace for one actor."""

    def list(self, *, capability: str | None = None) -> List[AgentDefinition]:
        """See the contract."""
        return [agent for agent in self.machinery.catalog.agents() if capability is None or capability in agent.capabilities]

    def get(self, name: str) -> AgentDefinition:
        """See the contract."""
        return self.machinery.catalog.agent(name)

    def save(self, definition: str | AgentDefinition, *, version: str | None = None) -> AgentDefinition:
        """See the contract."""
        return save(self, "agent", definition, version)

    def pick(self, task: str, *, among: Sequence[str] | None = None, weights: Mapping[str, float] | None = None) -> Pick:
        """See the contract."""
        agents = self.list() if among is None else [self.get(name) for name in dict.fromkeys(among)]
        if not agents or not task.strip():
            what = "there is no task" if agents else "there is no agent to pick from"
            raise InvalidInput(what=what, where="agents.pick", next="Say in some words what is to be done; name agents, or none to choose from all.")
        return pick(task, agents, track_records(self.machinery.store, now() - RECORDED), weights_of(weights))

    def record(self, name: str) -> TrackRecord:
        """See the contract."""
        agent = self.get(name).name
        return track_records(self.machinery.store, now() - RECORDED).get(agent, TrackRecord(agent=agent))

    def records(self) -> List[TrackRecord]:
        """See the contract."""
        known = track_records(self.machinery.store, now() - RECORDED)
        return [known.get(agent.name, TrackRecord(agent=agent.name)) for agent in self.list()]

    def ask(
        self,
        name: str,
        task: str,
        *,
        data: Any = None,
        model: str | None = None,
        key: str | None = None,
        project: str | None = None,
        output: dict[str, Any] | None = None,
        files: Sequence[str] = (),
        tools: Offer | None = None,
    ) -> CommandResult:
        """See the contract."""
        return self.ask_later(name, task, data=data, model=model, key=key, project=project, output=output, files=files, tools=tools).result()

    def ask_later(
        self,
        name: str,
        task: str,
        *,
        data: Any = None,
        model: str | None = None,
        key: str | None = None,
        project: str | None = None,
        output: dict[str, Any] | None = None,
        files: Sequence[str] = (),
        tools: Offer | None = None,
    ) -> Future[CommandResult]:
        """The answer of :meth:`ask`, at once as a future; cancelling it cancels the call."""
        agent = self.get(name)
        more = offered_tools(self.machinery.desks, tools)
        return give(self, Task(agent, task, data, output, model, task_files(files, self.root, name), tools=more), key=key, project=project)

    def stream(
        self,
        name: str,
        task: str,
        *,
        data: Any = None,
        model: str | None = None,
        key: str | None = None,
        project: str | None = None,
        files: Sequence[str] = (),
    ) -> Feed[AgentEvent]:
        """See the contract."""
        given = Task(self.get(name), task, data, None, model, task_files(files, self.root, name))
        return streamed(lambda tell: give(self, given, key=key, project=project, tell=tell))
