"""Verbs that ask a model once: an agent's answer, a command's answer."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import INTERRUPTED, Face, FinishedWith, pass_face
from hishamos.cli.values import find_file, inputs_option, parse_inputs, tag_option
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from hishamos.records.calls import CommandResult
    from hishamos.workspace import Workspace


@click.command("ask", cls=Verb)
@click.argument("agent")
@click.argument("text")
@click.option("--model", metavar="NAME", help="A model, route or policy instead of the agent's own.")
@click.option("--project", metavar="KEY", help="The project that the call belongs to.")
@click.option("--key", metavar="TEXT", help="Names this task: asked again under the same key, it goes on or is found, and is not paid again.")
@click.option("--file", "files", multiple=True, metavar="FILE", help="An image, PDF or text that goes with the task; any number of times.")
@click.option("--conversation", metavar="ID", help="Say it in this conversation, which the agent remembers; see: hishamos chats.")
@tag_option
@pass_face
def ask_verb(
    face: Face, *, agent: str, text: str, model: str | None, project: str | None, key: str | None, files: tuple[str, ...], conversation: str | None
) -> None:
    """Give an agent one task. TEXT - reads the task from standard input. On a terminal the answer is shown as it comes. Ctrl-C cancels the task."""
    from hishamos.cli.listening import listen, streams
    from hishamos.cli.watching import waiting

    task = sys.stdin.read() if text == "-" else text
    with face.open() as workspace:
        if conversation is not None:
            if key is not None or project is not None or files:
                raise click.UsageError("A message has its conversation's project and an id of its own, and takes no files: leave --key, --project, --file out.")
            with _cancelling(face, agent=agent):
                say(face, workspace, conversation, task, agent=agent, model=model)
            return
        found = [find_file(file, workspace.root, "--file") for file in files]
        if streams(face):
            with _cancelling(face, agent=agent):
                answer = listen(face, workspace.agents.stream(agent, task, model=model, project=project, key=key, files=found))
            show_answer(face, answer, shown=isinstance(answer.output, str))
            return
        with _cancelling(face, agent=agent), waiting(face, f"{agent} is working"):
            answer = workspace.agents.ask(agent, task, model=model, project=project, key=key, files=found)
        show_answer(face, answer)


def say(face: Face, workspace: Workspace, conversation: str, text: str, *, agent: str, model: str | None) -> None:
    """Say one thing and show the answer; sent again once, under the same id, where the connection was lost."""
    from hishamos.cli.listening import listen, streams
    from hishamos.cli.watching import waiting
    from hishamos.errors import ConnectionLost
    from hishamos.records.record import new_id

    message = new_id(20)
    if streams(face):
        try:
            answer = listen(face, workspace.conversations.stream(conversation, text, model=model, message=message, agent=agent))
        except ConnectionLost:
            answer = listen(face, workspace.conversations.stream(conversation, text, model=model, message=message, agent=agent))
        show_answer(face, answer, shown=isinstance(answer.output, str))
        return
    with waiting(face, f"{agent} is working"):
        answer = workspace.conversations.say(conversation, text, model=model, message=message, agent=agent)
    show_answer(face, answer)


@click.command("command", cls=Verb)
@click.argument("name")
@inputs_option
@click.option("--model", metavar="NAME", help="A model, route or policy instead of the command's own.")
@click.option("--project", metavar="KEY", help="The project that the call belongs to.")
@click.option("--fresh", is_flag=True, help="Ask anew although the cache has an answer.")
@click.option("--sample", type=click.IntRange(min=1), default=1, metavar="N", help="Which of several answers to the same question; each is cached by itself.")
@click.option("--preview", is_flag=True, help="Print the text that would be sent, and send nothing.")
@tag_option
@pass_face
def command_verb(face: Face, *, name: str, inputs: tuple[str, ...], model: str | None, project: str | None, fresh: bool, sample: int, preview: bool) -> None:
    """Run a command once. Ctrl-C cancels the call."""
    from hishamos.cli.watching import waiting

    with face.open() as workspace:
        definition = workspace.commands.get(name)
        values = parse_inputs(inputs, definition.parameters, of=f"command {definition.name}", root=workspace.root)
        if preview:
            text = workspace.commands.preview(name, values)
            face.show({"command": definition.reference, "text": text}, lambda: (_literal(text),))
            return
        with _cancelling(face, command=definition.reference), waiting(face, f"{name} is running"):
            answer = workspace.commands.run(name, values, model=model, project=project, fresh=fresh, sample=sample)
        show_answer(face, answer)


@contextmanager
def _cancelling(face: Face, **asked: str) -> Iterator[None]:
    """Say that an interrupt has cancelled what was asked; with --json in one document, as an answer would have come. ``asked``: the command or agent."""
    try:
        yield
    except KeyboardInterrupt:
        face.complain("Interrupted: cancelled.")
        if face.json:
            face.emit({"output": None, **asked, "status": "cancelled"})
        raise FinishedWith(INTERRUPTED) from None


def show_answer(face: Face, answer: CommandResult, *, shown: bool = False) -> None:
    """Print an answer with its model, cost and time; exit code 1 where it is no whole one. ``shown``: its text stands there already."""
    from hishamos.charts.formats import duration, state_label
    from hishamos.cli.tables import spend

    parts = [state_label("offline")] if answer.offline else [answer.model or "", spend(answer.cost_nanos)]
    taken = [attempt.latency_ms for attempt in answer.attempts if attempt.latency_ms is not None]
    if taken:
        parts.append(duration(sum(taken) / 1000))
    if len(answer.attempts) > 1:
        parts.append(f"{len(answer.attempts)} attempts")
    if answer.tools:
        used = Counter(use.name for use in answer.tools)
        parts.append("tools: " + ", ".join(name if count == 1 else f"{name} ×{count}" for name, count in used.items()))
    if answer.not_judged:
        parts.append(f"not judged offline: {', '.join(answer.not_judged)}")
    if answer.cached:
        parts.append(state_label("cached"))
    parts += [attempt.why for attempt in answer.attempts[-1:] if attempt.why]
    if answer.status != "succeeded":
        parts.insert(0, state_label(answer.status))
    face.show(answer, lambda: () if shown else (_literal(_body(answer)),), then="  ".join(parts))
    for warning in answer.warnings:
        face.say(f"! {warning.message}")
    if answer.status != "succeeded":
        raise FinishedWith(1)


def _body(answer: CommandResult) -> str:
    if isinstance(answer.output, str):
        return answer.output
    import json

    return json.dumps(answer.output, ensure_ascii=False, indent=2)


def _literal(text: str) -> Any:
    from rich.text import Text

    return Text(text)
