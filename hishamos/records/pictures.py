"""The graph of a workflow or of a run as data, and a picture of it."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from hishamos.records.record import Record

PictureFormat = Literal["svg", "png", "mermaid", "text"]
Ground = Literal["light", "dark"]
"""What a picture will stand on; its own ground is transparent."""


class GraphPart(Record):
    """A step within a step: what a map or loop does each time, a case of a switch, or what takes the step back."""

    role: str
    """``each``, ``each time``, the case's value, ``otherwise``, or ``undone by``."""
    type: str
    subject: str = ""
    """Which command, agent, function, …; see :class:`GraphStep`."""
    state: str | None = None


class GraphStep(Record):
    """One step of a graph; where it is a run's, how it stands."""

    id: str
    type: str
    subject: str = ""
    """What it is about: the command's, agent's or function's name, the list it goes over, the question it asks."""
    description: str = ""
    after: tuple[str, ...] = ()
    when: str | None = None
    parts: tuple[GraphPart, ...] = ()
    many: bool = False
    """Whether its parts are done for each item of a list, or time after time."""
    lenient: bool = False
    """Whether the run goes on when it fails."""
    goto: str | None = None
    """Where the run goes on when it fails."""
    at_most: int | None = None
    """How often it goes back there."""
    state: str | None = None
    """None in the graph of a workflow."""
    note: str = ""
    """What it waits for, or why it failed."""
    done: int | None = None
    """How many of its items have ended."""
    total: int | None = None
    """How many items it has, as far as is known."""
    failed: int = 0
    """How many of them failed."""
    seconds: float | None = None
    cost_nanos: int | None = None
    attempts: int = 0
    """Attempts at providers; without any there is no cost to tell."""
    unpriced: bool = False
    offline: bool = False
    """Whether its last answer came from the offline model."""
    reused: bool = False


class Graph(Record):
    """The steps of a workflow in the order of its definition."""

    name: str
    version: str
    run: str | None = None
    """The run's id; None for the graph of a workflow."""
    state: str | None = None
    offline: bool = False
    steps: tuple[GraphStep, ...]


class Picture(Record):
    """A drawn graph. ``Path("graph.png").write_bytes(picture.data)`` keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, ser_json_bytes="base64", val_json_bytes="base64")

    name: str
    format: PictureFormat
    words: str
    """The same in words, for those who can't see it."""
    width: int | None = None
    """In pixels of the page, as it is to be shown; None for texts."""
    height: int | None = None
    data: bytes
    """The file's bytes; SVG, Mermaid and text are UTF-8."""

    @property
    def text(self) -> str:
        """The picture as text; of a PNG its words."""
        return self.words if self.format == "png" else self.data.decode()
