"""The rows of ``ws.map``: their keys belong to the workspace, so that equal rows are paid once and failed ones tried again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hishamos.contracts.journal import Claim, Journal, MapOptions, Pinned, RowState
from hishamos.engine.attaching import command_files
from hishamos.engine.conversation import command_request
from hishamos.errors import HishamosError
from hishamos.records.calls import ModelRequest
from hishamos.records.definitions import AgentDefinition, CommandDefinition
from hishamos.records.record import content_hash
from hishamos.schemas.inputs import validated

if TYPE_CHECKING:
    from hishamos.engine.tools import Tools

AHEAD = 256
"""Rows that are read, rendered and looked up at once."""


@dataclass(slots=True)
class PlannedRow:
    """One row before it is sent: its request and key, or what is wrong with its inputs."""

    key: str = ""
    request: ModelRequest | None = None
    known: RowState | None = None
    error: HishamosError | None = None
    number: int = 0
    """The attempt number of its key; 0 before it is opened."""
    first: bool = False
    """Whether nobody is known to have asked under its key."""

    @property
    def wanted(self) -> ModelRequest:
        """The request of a row without an error."""
        assert self.request is not None
        return self.request


class RowBook:
    """Plans a map's rows some hundred at a time. ``target``: the model, route or policy by name; ``root``: the workspace's folder."""

    def __init__(self, run: str, journal: Journal, pinned: Pinned, options: MapOptions, target: str, root: Path) -> None:
        self._run = run
        self._journal = journal
        self.command = pinned.commands[options.command]
        self.batch = options.batch
        self._agent = pinned.agents[self.command.agent] if self.command.agent else None
        self._options = options
        self._target = target
        self._root = root
        self._planned: dict[int, PlannedRow] = {}
        self._begun: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._sent: set[tuple[str, int]] = set()
        self._lock = threading.Lock()

    def take(self, index: int) -> PlannedRow:
        """Return a row's plan and forget it. One whose files are read is planned by itself, and blocks as long as that takes."""
        if self.command.attach:
            return self._rows_from(index, 1)[index]
        with self._lock:
            if index not in self._planned:
                self._plan(index)
            return self._planned.pop(index)

    def open(self, row: PlannedRow) -> None:
        """Give a row the number under which this map tries its key.

        An unknown key begins with 1; one whose last attempt failed goes on with the next; equal rows of this map share their number.
        """
        if row.number == 0:
            first = 1 if row.known is None else row.known.attempt + 1
            row.first = row.known is None and row.key not in self._numbers
            row.number = self._numbers.setdefault(row.key, first)
            self._begun.setdefault(row.key, first)

    def again(self, row: PlannedRow, *, sent: bool) -> bool:
        """Return whether a row that failed is to be tried under another number, and give it that number.

        That is so when its number turned out to have ended before this map began (nothing was ``sent``), once for each key.
        """
        if sent:
            self._sent.add((row.key, row.number))
        elif row.number == self._begun[row.key] and (row.key, row.number) not in self._sent:
            self._numbers[row.key] = row.number = max(self._numbers[row.key], row.number + 1)
            return True
        return False

    def _plan(self, start: int) -> None:
        self._planned.update({index: row for index, row in self._rows_from(start, AHEAD).items() if index not in self._planned})

    def _rows_from(self, start: int, count: int) -> dict[int, PlannedRow]:
        rows = self._journal.inputs_of_rows(self._run, start, count)
        planned = {start + offset: self._prepared(inputs) for offset, inputs in enumerate(rows)}
        known = self._journal.states_of_rows([row.key for row in planned.values() if row.key])
        for row in planned.values():
            row.known = known.get(row.key)
        return planned

    def _prepared(self, inputs: Mapping[str, Any]) -> PlannedRow:
        try:
            request = row_request(self.command, self._agent, inputs, self._options, self._target, self._root)
        except HishamosError as error:
            return PlannedRow(error=error)
        return PlannedRow(key=row_key(self.command, request, self._options), request=request)


def row_request(
    command: CommandDefinition, agent: AgentDefinition | None, inputs: Mapping[str, Any], options: MapOptions, target: str, root: Path
) -> ModelRequest:
    """Return what a row asks; raises :class:`InvalidInput` for inputs that the command does not take, and what templates raise."""
    values = validated(command.parameters, {**options.inputs, **inputs}, f"command {command.name}", root)
    request = command_request(command, agent, values, target, command_files(command, values))
    return request if options.output is None else request.model_copy(update={"output_schema": options.output})


def row_key(command: CommandDefinition, request: ModelRequest, options: MapOptions) -> str:
    """Return the key that a row has in the workspace: everything that can change its answer."""
    return content_hash([command.version, request.identity(), command.repairs, options.key, options.nonce], 40)


def book_of(claim: Claim, tools: Tools) -> RowBook:
    """Return the rows of a claimed map. Where neither run, command nor agent names a model, the workspace's route is asked."""
    options = claim.options
    assert options is not None
    command = claim.pinned.commands[options.command]
    agent = claim.pinned.agents[command.agent] if command.agent else None
    wanted = (claim.run.model, command.model, agent.model if agent else None, tools.settings().route)
    target = next(name for name in wanted if name)
    return RowBook(claim.run.id, tools.journal, claim.pinned, options, target, Path(tools.outside.settings().root))
