"""``%%command``, ``%%agent`` and ``%hishamos``: short forms for a cell."""

from __future__ import annotations

import shlex
from typing import Any

from hishamos import provenance
from hishamos.errors import InvalidInput, UnknownName
from hishamos.notebook.completing import WORDS
from hishamos.notebook.live_answers import watch_answer
from hishamos.records.definitions import Parameter
from hishamos.records.own_tags import checked, from_pairs, tag_words
from hishamos.schemas.inputs import from_text
from hishamos.workspace import Workspace

USAGE = "%hishamos spend [by …] | runs | budget | commands | agents | workflows | models | approvals | results | use [MODEL] | tag [NAME=VALUE … | --clear]"
ONE_WORD = {"agents", "approvals", "budget", "commands", "models", "results", "runs", "workflows"}
RECENT = 20


class Chosen:
    """The model that ``%hishamos use`` chose for this kernel's magics."""

    model: str | None = None


def register(shell: Any, workspace: Workspace) -> None:
    """Define the magics for a workspace."""
    chosen = Chosen()

    def command(line: str, cell: str) -> Any:
        """Run a command on the cell's text: ``%%command NAME [parameter=value …] [model=MODEL]``.

        The text goes to the first parameter that is left; values are read as the parameter's type has it.
        """
        name, given = _parsed(line, "%%command NAME [parameter=value …]")
        definition = workspace.commands.get(name)
        model = given.pop("model", chosen.model) if "model" not in definition.parameters else chosen.model
        inputs = {key: _value(definition.name, definition.parameters, key, text) for key, text in given.items()}
        left = [parameter for parameter in definition.parameters if parameter not in inputs]
        return workspace.commands.run(name, {**inputs, **({left[0]: cell.strip()} if left and cell.strip() else {})}, model=model)

    def agent(line: str, cell: str) -> Any:
        """Give an agent the cell's text as its task: ``%%agent NAME [model=MODEL]``; what it says and does is shown as it comes."""
        name, given = _parsed(line, "%%agent NAME")
        model = given.pop("model", chosen.model)
        if given:
            raise InvalidInput(what=f"unknown words: {', '.join(given)}", where="%%agent", next="It takes: %%agent NAME [model=MODEL]")
        return watch_answer(name, workspace.agents.stream(name, cell.strip(), model=model))

    def hishamos(line: str) -> Any:
        """Show what the workspace holds and costs: ``%hishamos spend | runs | budget``; ``use MODEL`` for the other magics; ``tag customer=acme``
        for all that this kernel asks from now on (``tag`` shows its tags, ``tag --clear`` takes them away).
        """
        return _said(workspace, chosen, line)

    shell.register_magic_function(command, "cell", "command")
    shell.register_magic_function(agent, "cell", "agent")
    shell.register_magic_function(hishamos, "line", "hishamos")


def _said(workspace: Workspace, chosen: Chosen, line: str) -> Any:
    match line.split(maxsplit=1):
        case []:
            return workspace
        case ["spend", *rest]:
            by = " ".join(rest).removeprefix("by ").replace(",", " ").split()
            return workspace.ledger.spend(by=by or ["day", "model"])
        case ["use", *model]:
            chosen.model = None if model in (["default"], []) else model[0].strip()
            print(f"%%command and %%agent ask {chosen.model or 'what their definitions say'}.")
            return None
        case ["tag", *given]:
            _tag(given[0] if given else "")
            return None
        case [word] if word in ONE_WORD:
            return _listed(workspace, word)
    word = line.split(maxsplit=1)[0]
    raise UnknownName.among("word", word, list(WORDS), USAGE)


def _tag(line: str) -> None:
    """Change the tags of all that this kernel asks, and say what they are."""
    given = shlex.split(line)
    if given == ["--clear"]:
        provenance.kernel_tags.clear()
    else:
        told = from_pairs(given, "%hishamos tag")
        checked({**provenance.tags_of_process(), **told})
        provenance.kernel_tags.update(told)
    tags = provenance.tags_of_process()
    print(
        f"What this notebook asks has the tags {tag_words(tags)}." if tags else "What this notebook asks has no tags. Give it some: %hishamos tag customer=acme"
    )


def _listed(workspace: Workspace, word: str) -> Any:
    match word:
        case "runs":
            return workspace.runs.list(limit=RECENT)
        case "results":
            return workspace.results.list(limit=RECENT)
        case "budget":
            return workspace.budgets.list()
        case "models":
            return sorted({model for provider in workspace.providers.list() for model in provider.models})
        case "approvals":
            return workspace.runs.approvals()
    return getattr(workspace, word).list()


def _parsed(line: str, usage: str) -> tuple[str, dict[str, str]]:
    words = shlex.split(line)
    if not words:
        raise InvalidInput(what="no name was given", where=usage, next="Name one; %hishamos commands and %hishamos agents show them.")
    bare = [word for word in words[1:] if "=" not in word]
    if bare:
        raise InvalidInput(what=f"{bare[0]!r} has no value", where=usage, next=f"Write {bare[0]}=VALUE; the cell's text is the main one.")
    pairs = [word.partition("=") for word in words[1:]]
    return words[0], {name: value for name, _, value in pairs}


def _value(command: str, parameters: dict[str, Parameter], name: str, text: str) -> Any:
    if name not in parameters:
        raise UnknownName.among("parameter", name, list(parameters), f"{command} takes: {', '.join(parameters)}.")
    return from_text(parameters[name], text)
