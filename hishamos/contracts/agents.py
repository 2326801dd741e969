"""The contract of agents: who works, and how their work is followed."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from hishamos.contracts.shapes import Shape
from hishamos.contracts.verbs import verb
from hishamos.records.callbacks import Offer
from hishamos.records.calls import CommandResult
from hishamos.records.definitions import AgentDefinition
from hishamos.records.picking import Pick, TrackRecord
from hishamos.records.turns import AgentEvent


class Agents(Protocol):
    """``ws.agents``: who works."""

    @verb("agents.read")
    def list(self, *, capability: str | None = None) -> List[AgentDefinition]:
        """Return all agents, the workspace's own before the library's, by name."""
        ...

    @verb("agents.read")
    def get(self, name: str) -> AgentDefinition:
        """Return one agent; raises :class:`UnknownName` with the nearest name."""
        ...

    @verb("agents.write", kind="change")
    def save(self, definition: str | AgentDefinition, *, version: str | None = None) -> AgentDefinition:
        """Write an agent, YAML or an object, into the workspace's ``agents/``; see :meth:`Workflows.save`."""
        ...

    @verb("agents.read")
    def pick(self, task: str, *, among: Sequence[str] | None = None, weights: Mapping[str, float] | None = None) -> Pick:
        """Return the agent that fits a task best, with all candidates, their scores and a sentence each; asks no model and costs nothing.

        ``among``: the names to choose from, left out all; one name overrules the choice and shows how it weighs. ``weights``: how much
        ``capability``, ``success``, ``rating``, ``load``, ``cost`` and ``speed`` count, those left out as :class:`PickWeights` says. Equal
        scores are told apart by the name. Raises ``UnknownName``, ``InvalidInput``.
        """
        ...

    @verb("agents.read")
    def record(self, name: str) -> TrackRecord:
        """Return how an agent did in the last 90 days: calls, share answered, ratings, median cost and time."""
        ...

    @verb("agents.read")
    def records(self) -> List[TrackRecord]:
        """Return how all agents did, as :meth:`record` tells it of one, by name."""
        ...

    @verb("models.call", kind="wait")
    def ask(
        self,
        name: str,
        task: str,
        *,
        data: Any = None,
        model: str | None = None,
        key: str | None = None,
        project: str | None = None,
        output: Shape | None = None,
        files: Sequence[str | Path] = (),
        tools: Offer | Sequence[Callable[..., Any]] | None = None,
    ) -> CommandResult:
        """Give an agent one task and return its answer. ``data`` is plain data, shown to the agent as JSON.

        ``files``: paths of images, PDFs and texts that go with the task.
        ``output``: the answer's shape instead of the agent's own: a JSON Schema, or a pydantic model whose instance is then the output.
        ``tools``: functions of yours that the agent may use beside its own tools; they are called in your process, while you wait.
        The tools that the agent used are in the answer's ``tools``; they act as the caller. Raises :class:`AgentStopped` when one of the agent's
        limits ends it, and what :meth:`Commands.run` raises.
        """
        ...

    @verb("models.call", kind="stream")
    def stream(
        self,
        name: str,
        task: str,
        *,
        data: Any = None,
        model: str | None = None,
        key: str | None = None,
        project: str | None = None,
        files: Sequence[str | Path] = (),
    ) -> Iterator[AgentEvent]:
        """Give an agent one task and stream its work: the text of each turn, its tools and their results, what it cost so far, the answer, its end.

        The last two events are ``answer``, with what :meth:`ask` returns, and ``finish``. Where it fails there is no ``answer``, and the iterator
        raises what :meth:`ask` raises. Closing it early cancels the work. When its reader is lost the work goes on in the server: the same
        ``key`` finds it again, told from its first event, and nothing is paid or run twice.
        """
        ...
