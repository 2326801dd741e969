"""Asking a model outside of a run: one call with its repairs, as a future."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from hishamos.contracts.feeds import Feed
from hishamos.engine.agent_loop import Task
from hishamos.engine.steptype import Done
from hishamos.errors import ServerClosing
from hishamos.records.calls import CommandResult, Finished, ModelRequest, Tags, summed
from hishamos.records.definitions import AgentDefinition
from hishamos.records.record import timed_id
from hishamos.records.turns import AgentEvent, Answered
from hishamos.services.service import Service, acting_run, first_try, present_origin, request_id


def ask(
    service: Service,
    request: ModelRequest,
    *,
    key: str | None,
    project: str | None,
    command: str | None,
    agent: AgentDefinition | None,
    repairs: int,
    what: str,
) -> Future[CommandResult]:
    """Send a request and return its answer as a future; cancelling it cancels the call unless others wait for it.

    ``key``: the caller's idempotency key; without one the request's own id. Raises at once what can be known before anything is sent.
    """
    called, fresh = call_key(key)
    belongs = tags(service, project, command, agent)
    acting, runner = acting_run.get(), service.machinery.runner
    limit = acting.budget_nanos if acting else None
    question = runner.ask(request, key=called, tags=belongs, repairs=repairs, what=what, fresh=fresh, run_budget_nanos=limit)
    return _result_of(question, command, agent.name if agent else None)


def give(service: Service, task: Task, *, key: str | None, project: str | None, tell: Callable[[AgentEvent], None] | None = None) -> Future[CommandResult]:
    """Give an agent a task and return its answer as a future, as :func:`ask`. Its tools act as the service's actor. ``tell``: is told what happens."""
    called, fresh = call_key(key)
    belongs, acting, machinery = tags(service, project, None, task.agent), acting_run.get(), service.machinery

    def workspace(place: str) -> Any:
        made = machinery.workspace_as(service.actor, acting, f"{called}/{place}")
        return made.tagged(**belongs.own) if belongs.own else made

    limit = acting.budget_nanos if acting else None
    given = machinery.runner.give(task, machinery.catalog, key=called, tags=belongs, workspace=workspace, fresh=fresh, run_budget_nanos=limit, tell=tell)
    return _result_of(given, None, task.agent.name)


def streamed(ask: Callable[[Callable[[AgentEvent], None]], Future[CommandResult]]) -> Feed[AgentEvent]:
    """Return what ``ask`` tells as a feed that ends with the answer and its end, or fails as the answer does.

    Closing the feed cancels the work, unless its reader was lost: then it goes on, and is found again by its key.
    """
    feed, ends = Feed[AgentEvent](), list[Finished]()

    def tell(event: AgentEvent) -> None:
        if isinstance(event, Finished):
            ends.append(event)  # told after the answer
        else:
            feed.put(event)

    def end(done: Future[CommandResult]) -> None:
        error = ServerClosing() if done.cancelled() else done.exception()
        if error is None:
            feed.put(Answered(result=done.result()))
        for event in ends:
            feed.put(event)
        feed.end(error)

    answer = ask(tell)
    feed.on_close(lambda cancel: _cancelled(answer) if cancel else None)
    answer.add_done_callback(end)
    return feed


def _cancelled(answer: Future[CommandResult]) -> None:
    answer.cancel()


def _result_of(question: Future[Done], command: str | None, agent: str | None) -> Future[CommandResult]:
    answer: Future[CommandResult] = Future()

    def pass_on(done: Future[Done]) -> None:
        if done.cancelled() or not answer.set_running_or_notify_cancel():
            return
        error = done.exception()
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result_of(done.result(), command, agent))

    answer.add_done_callback(lambda future: question.cancel() if future.cancelled() else None)
    question.add_done_callback(pass_on)
    return answer


def call_key(key: str | None) -> tuple[str, bool]:
    """Return the idempotency key of a call outside of a run, and whether it was made for this very call."""
    if key is not None:
        return f"key/{key}", False
    identity = request_id.get()
    return f"call/{identity or timed_id(20)}", identity is None or first_try.get()


def tags(service: Service, project: str | None, command: str | None, agent: AgentDefinition | None) -> Tags:
    """Return what a call outside of a run belongs to; one made by a run's function or notebook belongs to that run."""
    acting, origin = acting_run.get(), present_origin()
    return Tags(
        run=acting.run_id if acting else None,
        step=acting.step if acting else None,
        workflow=(acting.workflow or None) if acting else None,
        agent=agent.name if agent else None,
        agent_version=agent.version if agent else None,
        command=command,
        project=acting.project_for(project) if acting else project,
        user=service.actor.name,
        key_prefix=service.actor.key_prefix,
        **(origin.tags() if origin else {}),
    )


def result_of(done: Done, command: str | None, agent: str | None) -> CommandResult:
    """Return the answer of a conversation as a record."""
    last = done.calls[-1]
    return CommandResult(
        output=done.output,
        text=last.text,
        model=done.model,
        command=command,
        agent=agent,
        call_ids=tuple(call.call_id for call in done.calls),
        attempts=tuple(attempt for call in done.calls for attempt in call.attempts),
        cost_nanos=summed(done.calls),
        status=last.status,
        tools=done.tools,
        not_judged=done.not_judged,
        warnings=tuple(warning for call in done.calls for warning in call.warnings),
        reused=done.reused,
    )
