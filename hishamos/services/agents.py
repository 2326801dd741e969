"""``ws.agents``: who works."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from concurrent.futures import Future
from typing import Any

from hishamos.contracts.feeds import Feed
from hishamos.contracts.services import Agents
from hishamos.engine.agent_loop import Task
from hishamos.engine.conversation import agent_request
from hishamos.errors import InvalidInput
from hishamos.records.calls import CommandResult, StreamEvent
from hishamos.records.definitions import AgentDefinition
from hishamos.services.questions import call_key, give, tags
from hishamos.services.service import Service, implements


@implements(Agents)
class AgentsService(Service):
    """The agents of one workspace for one actor."""

    def list(self, *, capability: str | None = None) -> List[AgentDefinition]:
        """See the contract."""
        return [agent for agent in self.machinery.catalog.agents() if capability is None or capability in agent.capabilities]

    def get(self, name: str) -> AgentDefinition:
        """See the contract."""
        return self.machinery.catalog.agent(name)

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
    ) -> CommandResult:
        """See the contract."""
        return self.ask_later(name, task, data=data, model=model, key=key, project=project, output=output).result()

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
    ) -> Future[CommandResult]:
        """The answer of :meth:`ask`, at once as a future; cancelling it cancels the call."""
        return give(self, Task(self.get(name), task, data, output, model), key=key, project=project)

    def stream(
        self, name: str, task: str, *, data: Any = None, model: str | None = None, key: str | None = None, project: str | None = None
    ) -> Feed[StreamEvent]:
        """See the contract. The feed fails with what the gateway reports; closing it cancels the call, unless its reader was lost."""
        from hishamos.engine.conversation import failure_of
        from hishamos.records.calls import CallStatus

        agent = self.get(name)
        if agent.tools:
            following = "Ask it: ws.agents.ask. What it has its tools do is in the answer's tools."
            raise InvalidInput(what=f"the agent {name!r} has tools, and only a single answer can be streamed", where="agents.stream", next=following)
        target = next((one for one in (model, agent.model) if one), self.machinery.settings().workspace.route)
        request = agent_request(agent, task, data, None, target)
        called, fresh = call_key(key)
        call = self.machinery.models.submit(request, key=called, tags=tags(self, project, None, name), stream=True, fresh=fresh)
        source, feed = call.events(), Feed[StreamEvent]()

        def pump() -> None:
            items, ended = source.take()
            for item in items:
                feed.put(item)
            if ended:
                call.outcome.add_done_callback(lambda done: end(done.exception() if not done.cancelled() else None))

        def end(error: BaseException | None) -> None:
            outcome = None if error is not None or call.outcome.cancelled() else call.outcome.result()
            failed = outcome is not None and outcome.status not in {CallStatus.SUCCEEDED, CallStatus.CANCELLED}
            feed.end(failure_of(outcome) if failed and outcome is not None else error)

        feed.on_close(lambda cancel: call.detach(cancel=cancel))
        source.on_ready(pump)
        return feed
