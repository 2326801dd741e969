"""What comes of holding definitions against what they refer to: every mistake with its file and line."""

from __future__ import annotations

from typing import Literal

from hishamos.records.record import Record

DefinitionKind = Literal["workflow", "command", "agent"]
KINDS: tuple[DefinitionKind, ...] = ("workflow", "command", "agent")


class DefinitionText(Record):
    """A definition as it was written."""

    text: str
    """YAML."""
    file: str = "<text>"
    """What it is called in what is said about it."""
    kind: DefinitionKind | None = None
    """Left out: told by the folder in ``file`` (``workflows/``, ``commands/``, ``agents/``), else by what only that kind has."""


class StoredDefinition(Record):
    """A definition's text as it stands in the workspace, or as it is shipped."""

    kind: DefinitionKind
    name: str
    file: str
    """Relative to the workspace; of a shipped one ``library/…``."""
    text: str
    version: str | None = None
    """The version that ``save`` replaces; None for a shipped one, which the workspace has none of its own of."""


class Mistake(Record):
    """One thing that keeps a definition from being used."""

    file: str
    line: int | None = None
    """Counted from 1; None for a definition that is a Python object."""
    place: str = ""
    """Where in the definition: ``steps[2].with.command``."""
    problem: str
    next: str = ""
    """What to do about it."""

    @property
    def where(self) -> str:
        """File, line and place in one text."""
        line = self.file if self.line is None else f"{self.file}:{self.line}"
        return line + (f", {self.place}" if self.place else "")


class CheckedDefinition(Record):
    """What was found in one definition."""

    file: str
    kind: DefinitionKind | None = None
    name: str | None = None
    version: str | None = None
    """None unless it can be used."""
    mistakes: tuple[Mistake, ...] = ()
    """In the order of the text. While its form is wrong, what it refers to is not looked at."""
