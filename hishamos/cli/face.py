"""What a verb shows and where: answers on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from hishamos.errors import OutputLost

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from hishamos.workspace import Workspace

WAITS = 3
"""Exit code of a verb whose run waits for approval or time."""

INTERRUPTED = 130
"""The exit code of a verb that Ctrl-C ended."""


class FinishedWith(Exception):
    """A verb has shown everything and ends with this exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Face:
    """The options that every verb takes, and the two streams."""

    json: bool = False
    path: str | None = None
    traceback: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    """What ``--tag`` gave to all that the verb asks and starts."""

    def open(self) -> Workspace:
        """Open the workspace that ``--workspace`` names, else the nearest one."""
        import hishamos

        workspace = hishamos.open(self.path)
        return workspace.tagged(**self.tags) if self.tags else workspace

    def show(self, data: Any, draw: Callable[[], Iterable[RenderableType]], *, then: str = "") -> None:
        """Print ``data`` as one JSON line, or what ``draw`` returns, and in the latter case say what to type next."""
        if self.json:
            self.emit(data)
            return
        console = self.console()
        for part in draw():
            with _telling():
                console.print(part)
        if then:
            self.say(then)

    def emit(self, data: Any) -> None:
        """Print one JSON document on one line."""
        from hishamos.cli.documents import plain

        line = json.dumps(plain(data), ensure_ascii=False, separators=(", ", ": "), allow_nan=False) + "\n"
        with _telling():
            sys.stdout.write(line)
            sys.stdout.flush()

    def say(self, sentence: str) -> None:
        """Print a sentence on stderr."""
        from hishamos.text.inert import inert

        click.echo(inert(sentence), err=True)

    def complain(self, sentence: str) -> None:
        """Print an error on stderr."""
        if sys.stderr.isatty():
            from rich.text import Text

            self.console(stderr=True).print(Text.assemble(("✕", "red"), " ", sentence))
        else:
            self.say(f"✕ {sentence}")

    def console(self, *, stderr: bool = False) -> Console:
        """Return a rich console; away from a terminal it is as wide as its content needs and has no colour.

        It takes texts as they are: names and messages come from files, providers and models, and may look like rich's markup, or hold
        sequences that a terminal would obey.
        """
        from hishamos.cli.inert import InertConsole

        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() else 200
        return InertConsole(file=stream, markup=False, emoji=False, highlight=False, soft_wrap=not stream.isatty(), width=width)

    @property
    def live(self) -> bool:
        """Whether progress can be redrawn in place."""
        return sys.stderr.isatty()


@contextmanager
def _telling() -> Iterator[None]:
    """Raise :class:`OutputLost` where stdout takes nothing more; a reader who has left is no error of ours."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(problem=error.strerror or str(error), where="stdout", next="Make room there, or send it elsewhere.") from None


pass_face = click.make_pass_decorator(Face)
"""Hands the face to a verb as its first argument."""
