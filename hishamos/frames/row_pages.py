"""The rows of a map on their way to the server: read from a frame, a page at a time, cells that can't be sent set aside."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hishamos.frames.cells import Blank, NotPlain, plain
from hishamos.frames.kinds import Given, pages
from hishamos.records.record import canonical
from hishamos.text.files import absolute

if TYPE_CHECKING:
    from hishamos.records.definitions import CommandDefinition
    from hishamos.workspace import Workspace

READ_AT_ONCE = 250
PAGE_ROWS = 2_000
PAGE_CHARACTERS = 2_000_000
"""A page is closed when it holds so many rows or characters: neither end holds all rows at once."""
LOOKED_AT = 2_000
"""So many different rows a forecast looks at, evenly over the frame."""

Inputs = dict[str, Any]


class Rows(Protocol):
    """What a map asks of a command, row by row."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> list[Inputs | NotPlain]:
        """Return the inputs of some rows, or why a row can't be sent."""
        ...


@dataclass(frozen=True)
class ColumnRows:
    """A parameter from each of some columns; one whose cell is missing is left out, so that its default holds."""

    given: Given
    chosen: Mapping[str, Hashable]
    """Parameter to column."""
    files: frozenset[str] = frozenset()
    """Parameters that name files."""
    root: Path = Path()

    def __len__(self) -> int:
        return len(self.given)

    def read(self, start: int, stop: int) -> list[Inputs | NotPlain]:
        """See :class:`Rows`."""
        columns = {name: self.given.cells(column, start, stop) for name, column in self.chosen.items()}
        return [self._row(start + place, {name: cells[place] for name, cells in columns.items()}) for place in range(stop - start)]

    def _row(self, position: int, cells: Inputs) -> Inputs | NotPlain:
        found: Inputs = {}
        for name, cell in cells.items():
            try:
                value = str(cell) if isinstance(cell, os.PathLike) else plain(cell)
            except NotPlain as problem:
                return _placed(problem, self.given, position, self.chosen[name])
            if value is not None:
                found[name] = absolute(value, self.root) if name in self.files and isinstance(value, str) else value
        return found


@dataclass(frozen=True)
class RecordRows:
    """One parameter that holds several columns as text, by their names."""

    given: Given
    parameter: str
    columns: Sequence[Hashable]

    def __len__(self) -> int:
        return len(self.given)

    def read(self, start: int, stop: int) -> list[Inputs | NotPlain]:
        """See :class:`Rows`."""
        columns = {column: self.given.cells(column, start, stop) for column in self.columns}
        return [self._row(start + place, {column: cells[place] for column, cells in columns.items()}) for place in range(stop - start)]

    def _row(self, position: int, cells: Mapping[Hashable, Any]) -> Inputs | NotPlain:
        found: dict[str, str] = {}
        for column, cell in cells.items():
            try:
                value = plain(cell)
            except NotPlain as problem:
                return _placed(problem, self.given, position, column)
            if value is not None:
                found[str(column)] = value if isinstance(value, str) else canonical(value)
        if not found:
            told = ", ".join(repr(column) for column in self.columns)
            return Blank(f"row {self.given.label(position)} has no value in {told}")
        return {self.parameter: found}


@dataclass(frozen=True)
class ListedRows:
    """Rows that are there already."""

    listed: Sequence[Inputs]

    def __len__(self) -> int:
        return len(self.listed)

    def read(self, start: int, stop: int) -> list[Inputs | NotPlain]:
        """See :class:`Rows`."""
        return list(self.listed[start:stop])


def files_of(definition: CommandDefinition) -> frozenset[str]:
    """Return the parameters of a command that name files: only the caller knows its folder."""
    return frozenset(name for name, parameter in definition.parameters.items() if parameter.type == "file")


def _placed(problem: NotPlain, given: Given, position: int, column: Hashable) -> NotPlain:
    return NotPlain(f"the column {column!r}, row {given.label(position)}, holds {problem}")


@dataclass
class Sent:
    """What was handed in: what a map is started with, and the rows that could not be sent, by their positions."""

    rows: list[Inputs] | str = field(default_factory=list)
    number: int = 0
    refused: dict[int, str] = field(default_factory=dict)


def send(workspace: Workspace, rows: Rows) -> Sent:
    """Hand rows in: those that fit one page go with the map's start, more of them page by page before it."""
    sent = Sent()
    upload: str | None = None
    page: list[Inputs] = []
    for page in _pages(rows, sent.refused):
        if upload is None and len(page) + len(sent.refused) == len(rows):
            break
        upload = workspace.commands.put_rows(page, upload=upload, start=sent.number)
        sent.number += len(page)
    if upload is None:
        sent.rows, sent.number = page, len(page)
    else:
        sent.rows = upload
    return sent


def _pages(rows: Rows, refused: dict[int, str]) -> Iterator[list[Inputs]]:
    page: list[Inputs] = []
    characters = 0
    for start, stop in pages(len(rows), READ_AT_ONCE):
        for position, row in enumerate(rows.read(start, stop), start):
            if isinstance(row, NotPlain):
                refused[position] = str(row)
                continue
            page.append(row)
            characters += _length(row)
            if len(page) >= PAGE_ROWS or characters >= PAGE_CHARACTERS:
                yield page
                page, characters = [], 0
    if page:
        yield page


def _length(row: Inputs) -> int:
    return sum(len(value) if isinstance(value, str) else 20 if not isinstance(value, (list, dict)) else len(canonical(value)) for value in row.values())


@dataclass
class Sample:
    """Some of the different rows of a frame, evenly taken, and how many of them there are."""

    rows: list[Inputs]
    different: int


def sample(rows: Rows) -> Sample:
    """Return the different rows to look at for a forecast; those that can't be sent are none."""
    firsts: dict[bytes, int] = {}
    for start, stop in pages(len(rows), READ_AT_ONCE):
        for position, row in enumerate(rows.read(start, stop), start):
            if not isinstance(row, NotPlain):
                firsts.setdefault(hashlib.blake2b(canonical(row).encode("utf-8", "surrogatepass"), digest_size=16).digest(), position)
    places = list(firsts.values())
    chosen = [places[place * len(places) // LOOKED_AT] for place in range(LOOKED_AT)] if len(places) > LOOKED_AT else places
    taken: list[Inputs] = []
    characters = 0
    for position in chosen:
        row = rows.read(position, position + 1)[0]
        if isinstance(row, NotPlain):
            continue
        taken.append(row)
        characters += _length(row)
    while characters > 2 * PAGE_CHARACTERS and len(taken) > 1:  # rows are long: every second one tells as much
        taken = taken[::2]
        characters = sum(_length(row) for row in taken)
    return Sample(taken, len(places))
