"""``%%command``, ``%%agent`` and ``%hishamos``: short forms for a cell."""

from __future__ import annotations

import shlex
from typing import Any

from hishamos.errors import InvalidInput
from hishamos.notebook.live_answers import watch_answer
from hishamos.workspace import Workspace

USAGE = "%hishamos spend | runs | budget | use MODEL"


class _Chosen:
    """The model that ``%hishamos use`` chose for this kernel's magics."""

    model: str | None = None


def register(shell: Any, workspace: Workspace) -> None:
    """Define the magics for a workspace."""
    chosen = _Chosen()

    def command(line: str, cell: str) -> Any:
        """Run a command on the cell's text: ``%%command NAME [parameter=value …]``; the text goes to the first parameter that is left."""
        name, given = _parsed(line, "%%command NAME")
        definition = workspace.commands.get(name)
        left = [parameter for parameter in definition.parameters if parameter not in given]
        return workspace.commands.run(name, {**given, **({left[0]: cell.strip()} if left else {})}, model=chosen.model)

    def agent(line: str, cell: str) -> Any:
        """Give an agent the cell's text as its task: ``%%agent NAME``; what it says and does is shown as it comes."""
        name, _ = _parsed(line, "%%agent NAME")
        return watch_answer(name, workspace.agents.stream(name, cell.strip(), model=chosen.model))

    def hishamos(line: str) -> Any:
        """Show spend, runs or budgets, or choose the model for the other magics."""
        match line.split():
            case ["spend"]:
                return workspace.ledger.spend(by=["day", "model"])
            case ["runs"]:
                return workspace.runs.list(limit=20)
            case ["budget"]:
                return workspace.budgets.list()
            case ["use", model]:
                chosen.model = model
                return None
        raise InvalidInput(what=f"unknown words: {line!r}", where="%hishamos", next=USAGE)

    shell.register_magic_function(command, "cell", "command")
    shell.register_magic_function(agent, "cell", "agent")
    shell.register_magic_function(hishamos, "line", "hishamos")


def _parsed(line: str, usage: str) -> tuple[str, dict[str, str]]:
    words = shlex.split(line)
    if not words:
        raise InvalidInput(what="no name was given", where=usage, next="Name one; ws.commands.list() and ws.agents.list() show them.")
    pairs = [word.partition("=") for word in words[1:]]
    return words[0], {name: value for name, _, value in pairs}
