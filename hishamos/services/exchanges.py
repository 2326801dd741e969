"""What an attempt was asked, worded again from what its run kept, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from hishamos.contracts.journal import Pinned
from hishamos.engine.conversation import agent_request, command_request
from hishamos.errors import HishamosError, UnknownName
from hishamos.records.calls import Attempt, AttemptStatus, Message, Outcome
from hishamos.records.definitions import CommandDefinition
from hishamos.records.exchanges import Exchange
from hishamos.records.runs import RunKind, Step
from hishamos.schemas.inputs import validated
from hishamos.services.machinery import Machinery
from hishamos.store import spending

ANSWERED = frozenset({AttemptStatus.SUCCEEDED, AttemptStatus.CACHED, AttemptStatus.INCOMPLETE})


def exchange(machinery: Machinery, attempt: str) -> Exchange:
    """Return an attempt with its question and its answer; raises :class:`UnknownName`."""
    found = spending.attempt(machinery.store, attempt)
    if found is None:
        raise UnknownName(kind="attempt", name=attempt, hint="", next="See: ws.ledger.calls()")
    text = spending.outcome(machinery.store, found) if found.status in ANSWERED else None
    outcome = None if text is None else Outcome.model_validate_json(text)
    told: dict[str, Any] = {"answer": outcome.text, "tools": outcome.calls} if outcome is not None else {}
    return Exchange(attempt=found, call=_place(found.idempotency_key), **told, **_asked(machinery, found))


def _asked(machinery: Machinery, attempt: Attempt) -> dict[str, Any]:
    """Return the attempt's step and the messages that it begins with, as far as the run has kept them."""
    history = machinery.journal.history
    steps = history.steps_at(attempt.run_id, [attempt.step_id]) if attempt.run_id and attempt.step_id else []
    if not steps:
        return {}
    step = steps[0]
    try:
        messages = _of_row(machinery, step) if step.type == "row" else _of_step(history.pinned(step.run_id), step)
    except HishamosError:  # its inputs are no longer what its command takes
        messages = ()
    return {"step": step, "messages": messages}


def _of_step(pinned: Pinned, step: Step) -> tuple[Message, ...]:
    given = step.inputs if isinstance(step.inputs, dict) else {}
    if step.type == "command" and given.get("command") in pinned.commands:
        return _worded(pinned, pinned.commands[given["command"]], given.get("inputs") or {}, given.get("agent"))
    if step.type == "agent" and given.get("agent") in pinned.agents:
        agent = pinned.agents[given["agent"]]
        return agent_request(agent, str(given.get("task", "")), given.get("data"), None, "").messages
    return ()


def _of_row(machinery: Machinery, step: Step) -> tuple[Message, ...]:
    run = machinery.journal.history.get(step.run_id)
    rows = machinery.journal.inputs_of_rows(run.id, _index(step.path), 1) if run.kind is RunKind.MAP else []
    if not rows:
        return ()
    pinned, options = machinery.journal.history.pinned(run.id), machinery.journal.map_options(run.id)
    return _worded(pinned, pinned.commands[options.command], {**options.inputs, **rows[0]})


def _worded(pinned: Pinned, command: CommandDefinition, inputs: Mapping[str, Any], chosen: str | None = None) -> tuple[Message, ...]:
    values = validated(command.parameters, inputs, f"command {command.name}")
    names = {name: PurePath(values[name]).name for name in command.attach if values.get(name) is not None}
    name = chosen or command.agent
    return command_request(command, pinned.agents.get(name) if name else None, {**values, **names}, "").messages


def _index(path: str) -> int:
    return int(path.rpartition("[")[2].rstrip("]"))


def _place(key: str) -> int:
    """Return which call of its step an idempotency key stands for, from 1."""
    last = key.rpartition("/")[2]
    return int(last) + 1 if last.isdecimal() else 1
