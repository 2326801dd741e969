"""The verbs by name: each is loaded when it is called, so that ``hishamos --help`` stays quick."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import click

from hishamos.errors import nearest_hint


@dataclass(frozen=True)
class Line:
    """One verb's place in the help: the module that holds it and its sentence."""

    module: str
    help: str


SECTIONS: dict[str, dict[str, Line]] = {
    "Start": {
        "demo": Line("demonstration", "Triage the sample bug reports and show what came out."),
        "init": Line("beginning", "Make the current folder a workspace."),
        "doctor": Line("looking", "Say what was found, what works and what to do next."),
        "prove": Line("proving", "Put the seven promises to the proof on this machine."),
        "console": Line("windows", "Open the console in a browser."),
        "lab": Line("windows", "Open JupyterLab with the notebooks."),
        "gallery": Line("gallery", "Execute the tutorial notebooks into web pages."),
    },
    "Definitions": {
        "new": Line("defining", "Write a starter: workflow, command or agent."),
        "check": Line("defining", "List every mistake in workflows, commands and agents."),
        "schema": Line("defining", "Print the JSON Schema of their files, for editors."),
    },
    "Work": {
        "run": Line("running", "Start a workflow and watch it."),
        "ask": Line("asking", "Give an agent one task."),
        "chat": Line("talking", "Talk with an agent that remembers."),
        "pick": Line("picking", "Say which agent fits a task best, and why."),
        "command": Line("asking", "Run a command once."),
        "map": Line("mapping", "Run a command on each row of a CSV file."),
        "batch": Line("batching", "Execute a notebook once per row of a CSV file."),
        "schedule": Line("scheduling", "Start workflows by the clock."),
    },
    "Runs": {
        "runs": Line("looking", "List runs, newest first."),
        "show": Line("looking", "Show one run: steps, attempts, results."),
        "follow": Line("running", "Stream a run's events until it ends or waits."),
        "pause": Line("running", "Stop a run before its next step or call."),
        "resume": Line("running", "Go on with a run; finished steps are not repeated."),
        "fork": Line("running", "Start a new run from a step of an old one."),
        "repeat": Line("repeating", "Do a run again and say what differs."),
        "cancel": Line("running", "Cancel a run."),
        "approve": Line("running", "Decide on a step that waits for approval."),
        "signal": Line("running", "Set an event that a run waits for."),
    },
    "Look": {
        "commands": Line("catalogue", "List commands, or show one."),
        "agents": Line("catalogue", "List agents, or show one."),
        "chats": Line("talking", "List conversations with agents, show or delete one."),
        "workflows": Line("catalogue", "List workflows, or show one."),
        "results": Line("catalogue", "List results, or show one."),
        "projects": Line("catalogue", "List projects."),
        "issues": Line("catalogue", "List issues, or show one."),
        "sql": Line("looking", "Run one SELECT over the workspace's views."),
    },
    "Money and health": {
        "spend": Line("money", "Show the spend by model, day, workflow, …"),
        "budget": Line("money", "List budgets, set or remove one."),
        "reconcile": Line("reconciling", "Hold balances, or a provider's invoice, against the ledger."),
        "audit": Line("auditing", "List who changed what in the books."),
        "providers": Line("looking", "List providers and how they did of late."),
        "trust": Line("trusting", "Say where a key may go, and which MCP servers agents use."),
        "backup": Line("storing", "Write a consistent copy of the store."),
        "restore": Line("storing", "Go back to a copy of the store."),
        "prune": Line("storing", "Let go of runs that ended long ago."),
        "server": Line("serving", "See or stop the workspace's server."),
        "serve": Line("standing", "Keep the workspace's server up."),
        "workers": Line("workers", "Show workers, what waits, what was given up."),
        "worker": Line("workers", "Work on runs that a broker hands out, until stopped."),
    },
}

VERBS = {name: line for section in SECTIONS.values() for name, line in section.items()}


def common_options() -> list[click.Parameter]:
    """Return the options that stand before or after any verb's own arguments."""
    return [
        click.Option(["--json"], is_flag=True, expose_value=False, callback=_set("json"), help="One JSON document on stdout; progress on stderr."),
        click.Option(["--workspace"], metavar="FOLDER", expose_value=False, callback=_set("path"), help="The workspace; left out, the nearest one."),
        click.Option(["--traceback"], is_flag=True, expose_value=False, hidden=True, callback=_set("traceback")),
    ]


def _set(name: str) -> Any:
    def remember(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            setattr(context.find_root().obj, name, value)

    return remember


class Verb(click.Command):
    """A verb that prints data."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.params.extend(common_options())


class VerbGroup(click.Group):
    """A verb that has verbs of its own; without one it does its own work."""

    command_class = Verb

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.params.extend(common_options())

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        _known(ctx, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


class Verbs(VerbGroup):
    """All verbs; the module of one is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        line = VERBS.get(cmd_name)
        if line is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"hishamos.cli.{line.module}"), f"{cmd_name}_verb")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        width = max(map(len, VERBS))
        for title, lines in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line.help) for name, line in lines.items()])


def _known(ctx: click.Context, name: str, known: list[str]) -> None:
    if name not in known and not name.startswith("-"):
        raise click.UsageError(f"There is no verb {name!r}{nearest_hint(name, known)}", ctx)
