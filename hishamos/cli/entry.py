"""The border of the terminal: every way out of a verb becomes an exit code and a sentence, never a traceback."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import click

from hishamos.cli.face import INTERRUPTED, Face, FinishedWith
from hishamos.cli.verbs import Verbs
from hishamos.errors import HishamosError, NoProvider, OutputLost, to_wire


@click.group(cls=Verbs, name="hishamos", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(None, "--version", package_name="hishamos", message="hishamos %(version)s")
def hishamos() -> None:
    """A workbench for AI work: durable runs, one ledger, any provider."""


def run_terminal(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    _speak_utf8()
    typed = list(sys.argv[1:] if arguments is None else arguments)
    # Set at once too: a line that can't be parsed is answered in the form that it asked for.
    face = Face(json="--json" in typed)
    try:
        hishamos.main(args=typed, prog_name="hishamos", standalone_mode=False, obj=face)
    except BaseException as error:  # noqa: BLE001 - the last border: a person sees a sentence, not a traceback
        try:
            return _left_by(_told_to(typed, error), face)
        except (OutputLost, OSError) as lost:  # it ended the verb, or came when that was to be told
            return _unheard(face, lost)
    return 0


def _told_to(typed: list[str], error: BaseException) -> BaseException:
    """Where no provider is configured, put in the very line that works without one."""
    if not isinstance(error, NoProvider) or "--model" in typed:
        return error
    return NoProvider(target=error.target, line=shlex.join(["hishamos", *typed, "--model", "offline/extractive"]))


def _left_by(error: BaseException, face: Face) -> int:
    """Say what ended a verb, and return its exit code."""
    match error:
        case FinishedWith() | SystemExit():  # rich leaves by the latter when the reader of our output has left
            return error.code if isinstance(error.code, int) else 1
        case KeyboardInterrupt() | click.Abort():
            _complain(face, "Interrupted.", {"type": "Interrupted", "facts": {}, "message": "Interrupted."})
            return INTERRUPTED
        case click.exceptions.Exit():
            return error.exit_code
        case click.ClickException():
            _complain(face, _words(error), {"type": type(error).__name__, "facts": {}, "message": error.format_message()})
            return error.exit_code
        case OutputLost() | BrokenPipeError():
            raise error
        case HishamosError():
            _complain(face, str(error), to_wire(error))
            for warning in error.facts.get("warnings", ()):  # shares of budgets that were passed on the way to it
                face.say(f"! {warning}")
            return error.exit_code
        case _:
            return _unexpected(face, error)


def _unheard(face: Face, error: OutputLost | OSError) -> int:
    """Let go of an output that takes nothing more, and say so unless its reader has left, who knows it."""
    # Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, OutputLost):
        face.complain(str(error))
    return 1


def _speak_utf8() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")


def _words(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" Try: {context.command_path} --help" if context is not None else ""
    message = error.format_message()
    return message if hint and "--help" in message else f"{message}{'' if message.endswith(('.', '?')) else '.'}{hint}"


def _complain(face: Face, sentence: str, wire: dict[str, Any]) -> None:
    face.complain(sentence)
    if face.json:
        face.emit({"error": wire})


def _unexpected(face: Face, error: BaseException) -> int:
    if face.traceback:
        import traceback

        traceback.print_exception(error)
    sentence = f"HishamOS met an error that it has no words for: {type(error).__name__}: {error}. Add --traceback to see where; then please report it."
    _complain(face, sentence, {"type": type(error).__name__, "facts": {}, "message": str(error)})
    return 1
