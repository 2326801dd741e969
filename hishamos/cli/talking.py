"""Conversations with agents: talk on, list them, read one, delete one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.values import tag_option
from hishamos.cli.verbs import Verb
from hishamos.errors import HishamosError, InvalidInput

if TYPE_CHECKING:
    from hishamos.records.conversations import Conversation

LEAVE = frozenset({"/quit", "/exit", "/bye"})
GOES_ON = "Go on with it: hishamos chat {agent} --conversation {id}"


@click.command("chat", cls=Verb)
@click.argument("agent")
@click.option("--conversation", metavar="ID", help="Go on with this one; left out, a new one is begun.")
@click.option("--model", metavar="NAME", help="A model, route or policy instead of the agent's own; of a new conversation for all its messages.")
@click.option("--project", metavar="KEY", help="The project that a new conversation belongs to.")
@tag_option
@pass_face
def chat_verb(face: Face, *, agent: str, conversation: str | None, model: str | None, project: str | None) -> None:
    """Talk with an agent; it remembers what was said. A line is a message; an empty line or Ctrl-D ends the talk, Ctrl-C the answer under way.

    Away from a terminal each line of standard input is a message; with --json each answer is one object on a line.
    """
    from hishamos.cli.asking import say

    with face.open() as workspace:
        spoken = workspace.conversations
        talk = spoken.get(conversation) if conversation is not None else spoken.start(agent, model=model, project=project)
        failed = False
        for line in _lines(face, talk):
            try:
                say(face, workspace, talk.id, line, agent=agent, model=model)
            except KeyboardInterrupt:
                face.say("The answer was cancelled.")
            except HishamosError as error:
                if not sys.stdin.isatty():
                    raise
                face.complain(str(error))
            except FinishedWith:
                failed = True
        if sys.stdin.isatty():
            face.say(GOES_ON.format(agent=agent, id=talk.id))
        if failed:
            raise FinishedWith(1)


@click.command("chats", cls=Verb)
@click.argument("conversation", required=False)
@click.option("--agent", metavar="NAME", help="Only those with this agent.")
@click.option("--delete", is_flag=True, help="Delete it with all that was said; its calls stay in the ledger.")
@pass_face
def chats_verb(face: Face, *, conversation: str | None, agent: str | None, delete: bool) -> None:
    """List your conversations with agents, show one, or delete one."""
    from rich.table import Table
    from rich.text import Text

    from hishamos.cli.tables import spend

    with face.open() as workspace:
        if delete:
            if conversation is None:
                raise InvalidInput(what="no conversation is named", where="hishamos chats --delete", next="Give its id.")
            gone = workspace.conversations.get(conversation)
            workspace.conversations.delete(gone.id)
            face.show({"deleted": gone.id}, lambda: (f"Deleted conversation {gone.id} ({gone.messages} messages).",))
            return
        if conversation is not None:
            said = workspace.conversations.messages(conversation)

            def read() -> Iterator[Text]:
                for one in said:
                    yield Text(f"{one.number}  you: {one.text}", "bold")
                    body = one.answer.text if one.answer is not None else one.error.message if one.error is not None else "…"
                    yield Text(f"{body}\n  {one.state}  {spend(one.cost_nanos)}" + (f"  {one.left_out} earlier not sent in full" if one.left_out else ""))

            face.show(said, read)
            return
        found = workspace.conversations.list(agent=agent)

    def draw() -> tuple[Table]:
        table = Table("conversation", "agent", "messages", "cost", "last", "title", box=None, pad_edge=False)
        for one in found:
            table.add_row(one.id, one.agent, str(one.messages), spend(one.cost_nanos, one.unpriced), f"{one.changed_at:%d %b %H:%M}", one.title)
        return (table,)

    face.show(found, draw, then="hishamos chat AGENT --conversation ID" if found else "None yet: hishamos chat AGENT")


def _lines(face: Face, talk: Conversation) -> Iterator[str]:
    """Give what is typed, line by line."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin if line.strip())
        return
    face.say(f"Conversation {talk.id} with {talk.agent}. An empty line ends it.")
    while True:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            return
        if not line or line in LEAVE:
            return
        yield line
