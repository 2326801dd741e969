"""One question to a model until its answer satisfies the schema: ask, hold against the schema, send back with the problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hishamos.engine.schemas import read_answer
from hishamos.engine.steptype import Answer, Done, Waiting
from hishamos.engine.templates import fill, render
from hishamos.errors import CallFailed, HishamosError, OutputInvalid, from_wire
from hishamos.records.attachments import Attachment
from hishamos.records.calls import CallStatus, Message, ModelRequest, Outcome
from hishamos.records.definitions import AgentDefinition, CommandDefinition
from hishamos.records.record import canonical
from hishamos.text.framing import DATA, REPAIR

Files = Mapping[str, Attachment]
"""By the parameter's name."""
Submit = Callable[[ModelRequest], Answer[Outcome]]


def command_request(
    command: CommandDefinition, agent: AgentDefinition | None, values: Mapping[str, Any], target: str, files: Files | None = None
) -> ModelRequest:
    """Return the request of a command with its validated parameters filled in; an agent gives its instructions.

    ``files``: what the parameters' files are that it attaches; in its templates they are their names.
    """
    where = f"command {command.name}"
    if files:
        values = {**values, **{name: file.name for name, file in files.items()}}
    messages = [Message(role="user", content=render(command.template, values, where), files=tuple((files or {}).values()))]
    if agent is not None:
        messages.insert(0, Message(role="system", content=agent.instructions))
    return ModelRequest(
        target=target,
        messages=tuple(messages),
        output_schema=None if command.output is None else fill(command.output, values, f"{where}, output"),
        max_output_tokens=command.max_output_tokens or (agent.max_output_tokens if agent else None),
        cache=command.cache,
    )


def agent_request(agent: AgentDefinition, task: str, data: Any, schema: dict[str, Any] | None, target: str, files: Sequence[Attachment] = ()) -> ModelRequest:
    """Return the request that gives an agent one task. ``data`` is shown as JSON below it."""
    content = task if data is None else task + DATA + canonical(data)
    return ModelRequest(
        target=target,
        messages=(Message(role="system", content=agent.instructions), Message(role="user", content=content, files=tuple(files))),
        output_schema=schema if schema is not None else agent.output,
        max_output_tokens=agent.max_output_tokens,
    )


def converse(request: ModelRequest, submit: Submit, repairs: int, what: str) -> Done | Waiting:
    """Return the answer, or what has to come before it is there. Called again from the top with the same ``submit`` positions.

    ``repairs``: how often an invalid answer is sent back. Raises what the gateway reports, or :class:`OutputInvalid`.
    """
    calls: list[Outcome] = []
    while True:
        answer = submit(request)
        if not answer.ready:
            return Waiting([answer])
        outcome = answer.value
        calls.append(outcome)
        if outcome.status is not CallStatus.SUCCEEDED:
            raise failure_of(*calls)
        if request.output_schema is None:
            return _done(outcome.text, calls)
        # The gateway has held the answer against the schema; what it could not read is told in words that a model can act on.
        data, problem = (outcome.data, None) if outcome.data is not None else read_answer(outcome.text, request.output_schema)
        if problem is None:
            return _done(data, calls)
        if len(calls) > repairs:
            raise OutputInvalid(model=outcome.model or request.target, what=what, attempts=len(calls), problem=problem, **warned(calls))
        again = (Message(role="assistant", content=outcome.text), Message(role="user", content=REPAIR.format(problem=problem)))
        request = request.model_copy(update={"messages": request.messages[: _asked(request)] + again})


def failure_of(*calls: Outcome) -> HishamosError:
    """Return the typed error of a call that did not succeed, the last of those given; it tells what shares of budgets all of them passed."""
    outcome = calls[-1]
    if outcome.error is not None:
        facts = {**outcome.error.facts, **warned(calls)}
        return from_wire({"type": outcome.error.type, "facts": facts, "message": outcome.error.message})
    reason = "its answer was cut off" if outcome.status is CallStatus.INCOMPLETE else f"the call was {outcome.status.value}"
    return CallFailed(model=outcome.model or "the model", reason=reason, cause=outcome.status.value, attempts=len(outcome.attempts), next="", **warned(calls))


def warned(calls: Sequence[Outcome]) -> dict[str, list[str]]:
    """Return what an error says of the shares of budgets that its calls passed, as its fact ``warnings``; nothing where they passed none."""
    told = [warning.message for call in calls for warning in call.warnings]
    return {"warnings": told} if told else {}


def _asked(request: ModelRequest) -> int:
    """How many messages were there before the first answer was sent back."""
    roles = [message.role for message in request.messages]
    return roles.index("assistant") if "assistant" in roles else len(roles)


def _done(output: Any, calls: list[Outcome]) -> Done:
    last = calls[-1]
    reused = all(call.reused for call in calls)
    return Done(output, model=last.model, not_judged=last.not_judged, reused=reused, calls=tuple(calls))
