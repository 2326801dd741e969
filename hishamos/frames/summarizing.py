"""Many texts folded into one, by parts that fit the model, then by summaries of parts, until one is left for each group."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hishamos.errors import InvalidInput
from hishamos.frames.cells import NotPlain, plain
from hishamos.frames.kinds import Column, Given, pages
from hishamos.frames.mapping import FACT_KINDS, FACTS, facts, no_clash
from hishamos.frames.row_answers import Asking, Question, ask, forecast
from hishamos.frames.row_pages import READ_AT_ONCE, ListedRows
from hishamos.records.forecasts import Forecast
from hishamos.records.record import canonical
from hishamos.records.runs import Run
from hishamos.records.workspaces import MapRow

if TYPE_CHECKING:
    from hishamos.workspace import Workspace

MOST_TOKENS = 24_000
"""A part is no longer than this, nor than half of what the model takes: from much longer prompts things get lost."""
LEAST_TOKENS = 2_000
BYTES_A_TOKEN = 3
"""Fewer than most texts have: 4 in English, 3 to 5 in Arabic; a part that is counted too long only is a little shorter."""
WORD_BYTES = 7
DEEPEST = 30
KINDS = {"rows": "whole", **FACT_KINDS}


@dataclass
class Group:
    """The rows of one group on their way to one summary."""

    first: int
    """The position of its first row."""
    texts: list[str] = field(default_factory=list)
    rows: int = 0
    """How many of its rows have a text."""
    end: MapRow | None = None
    spent: list[MapRow] = field(default_factory=list)
    """The parts asked so far."""

    def fail(self, error: str, status: Any = "failed") -> None:
        """End without a summary."""
        self.end = MapRow(index=0, status=status, error=error)

    @property
    def facts(self) -> MapRow:
        """How it ended, with the money and the attempts of all its parts."""
        end = self.end or MapRow(index=0, status="pending")
        costs = [row.cost_nanos for row in self.spent]
        cost = None if None in costs else sum(cost or 0 for cost in costs)
        reused = bool(self.spent) and all(row.reused for row in self.spent)
        return end.model_copy(update={"cost_nanos": cost, "attempts": sum(row.attempts for row in self.spent), "reused": reused})


@dataclass(frozen=True)
class SummaryWork:
    """One summary of a column, or one for each group."""

    workspace: Workspace
    frame: Given
    column: Hashable
    by: Sequence[Hashable]
    question: Question
    asking: Asking
    prefix: str = ""

    def __post_init__(self) -> None:
        no_clash(self.by, ("rows", "summary", *FACTS), self.prefix)

    def forecast(self) -> Forecast:
        """Return what all levels will cost and take; summaries that do not exist yet are taken to be as long as they may be."""
        groups, room, found = self._groups(), self._room(), []
        words = int(self.question.inputs["max_words"])
        for level in range(DEEPEST):
            rows = [{"texts": part} for group in groups if group.end is None for part in parts(group.texts, room)]
            if not rows:
                break
            found.append(_named(forecast(self.workspace, self.question, ListedRows(rows), self.asking), f"level {level + 1}"))
            for group in groups:
                number = len(parts(group.texts, room)) if group.end is None else 0
                if number == 1:
                    group.fail("")
                group.texts = [f"{level}.{place} {'summary ' * (words * WORD_BYTES // 8)}" for place in range(number)]
        return _together(found, len(self.frame), self.question)

    def do(self) -> Any:
        """Return a frame with a row for each group, in the order in which they first come."""
        groups, room, asking = self._groups(), self._room(), self.asking
        for _ in range(DEEPEST):
            open_groups = [group for group in groups if group.end is None]
            if not open_groups:
                break
            run, interrupted = self._level(open_groups, room, asking)
            if interrupted:
                break
            if asking.budget_usd is not None and run is not None:  # all levels together keep within it
                asking = replace(asking, budget_usd=f"{max(Decimal(0), Decimal(asking.budget_usd) - run.cost_usd):f}")
        return self._framed(groups)

    def _level(self, groups: Sequence[Group], room: int, asking: Asking) -> tuple[Run | None, bool]:
        """Ask for a summary of each part of each group, and go on from those; return the map's run, and whether it was interrupted."""
        owners = [(group, part) for group in groups for part in parts(group.texts, room)]
        answers = ask(self.workspace, self.question, ListedRows([{"texts": part} for _, part in owners]), asking)
        ends: dict[int, list[MapRow]] = {}
        for (group, _), row in zip(owners, (row for page in answers.pages() for row in page), strict=True):
            ends.setdefault(id(group), []).append(row)
        for group in groups:
            _go_on(group, ends[id(group)])
        return answers.run, answers.interrupted

    def _groups(self) -> list[Group]:
        """Read the texts by their groups."""
        groups: dict[str, Group] = {}
        for start, stop in pages(len(self.frame), READ_AT_ONCE):
            columns = [self.frame.cells(column, start, stop) for column in self.by]
            for place, cell in enumerate(self.frame.cells(self.column, start, stop)):
                key = canonical([_key(cells[place]) for cells in columns])
                self._take(groups.setdefault(key, Group(start + place)), cell, start + place)
        for group in groups.values():
            if group.end is None and not group.texts:
                group.fail("none of its rows has a text")
        return list(groups.values())

    def _take(self, group: Group, cell: Any, position: int) -> None:
        try:
            text = plain(cell)
        except NotPlain as problem:
            group.fail(f"the column {self.column!r}, row {self.frame.label(position)}, holds {problem}")
            return
        if text is not None and str(text).strip():
            group.texts.append(text if isinstance(text, str) else canonical(text))
            group.rows += 1

    def _room(self) -> int:
        room = self.workspace.commands.room(self.question.command.name, model=self.asking.model)
        return BYTES_A_TOKEN * max(LEAST_TOKENS, min(MOST_TOKENS, MOST_TOKENS if room is None else room // 2))

    def _framed(self, groups: Sequence[Group]) -> Any:
        heads = self.frame.rows([group.first for group in groups], self.by or self.frame.names[:0])
        ends = [group.facts for group in groups]
        summaries = [_summary(row) if row.status == "succeeded" else None for row in ends]
        values: list[list[Any]] = [[group.rows for group in groups], summaries, *facts(ends, self.question.command.reference)]
        columns: dict[str, Column] = {self.prefix + name: self.frame.column(KINDS.get(name, "text")) for name in ("rows", "summary", *FACTS)}
        for column, cells in zip(columns.values(), values, strict=True):
            column.add(cells)
        found = heads.with_columns(columns)
        return found.reset_index(drop=True) if hasattr(found, "reset_index") else found


def parts(texts: Sequence[str], room: int) -> list[list[str]]:
    """Return texts in parts of at most ``room`` bytes of UTF-8, in their order: what is added at the end leaves the parts before as they are.

    A text that is longer than a part is cut, at a line's or a word's end where there is one.
    """
    found: list[list[str]] = []
    left = 0
    for piece in (piece for text in texts for piece in _pieces(text, room)):
        size = len(piece.encode("utf-8", "surrogatepass")) + 8
        if not found or size > left:
            found.append([])
            left = room
        found[-1].append(piece)
        left -= size
    return found


def _pieces(text: str, room: int) -> Iterator[str]:
    while len(text.encode("utf-8", "surrogatepass")) + 8 > room:
        head = text.encode("utf-8", "surrogatepass")[: room - 8].decode("utf-8", "ignore")
        cut = next((place for mark in ("\n", " ") if (place := head.rfind(mark)) > len(head) // 2), len(head) - 1) + 1
        yield text[:cut]
        text = text[cut:]
    yield text


def _go_on(group: Group, rows: Sequence[MapRow]) -> None:
    group.spent += rows
    lost = next((row for row in rows if row.status != "succeeded"), None)
    if lost is not None and all(row.status in ("pending", "succeeded") for row in rows):
        group.fail("", "pending")  # who asks again goes on from here
    elif lost is not None:
        number = sum(row.status != "succeeded" for row in rows)
        group.fail(f"{number} of {len(rows)} parts: {lost.error or lost.status}", lost.status)
    elif len(rows) == 1:
        group.end = rows[0]
    else:
        group.texts = [_summary(row) or "" for row in rows]


def _summary(row: MapRow) -> str | None:
    return row.output.get("summary") if isinstance(row.output, dict) and "summary" not in row.not_judged else None


def _key(cell: Any) -> Any:
    try:
        return plain(cell)
    except NotPlain as problem:
        raise InvalidInput(what=f"a group is {problem}", where="summarize, by", next="Group by text, numbers or dates.") from None


def _named(found: Forecast, name: str) -> Forecast:
    return found.model_copy(update={"parts": tuple(part.model_copy(update={"step": name}) for part in found.parts)})


def _together(found: Sequence[Forecast], rows: int, question: Question) -> Forecast:
    """Return the forecast of all levels: the sums of what is known, the time of all where it is known for each."""
    if not found:
        raise InvalidInput(what="no row has a text", where=f"summarize, command {question.command.name}", next="Choose another column.")
    sums = {name: sum(getattr(one, name) for one in found) for name in ("low_nanos", "likely_nanos", "high_nanos")}
    times = {name: [getattr(one, name) for one in found] for name in ("low_s", "likely_s", "high_s")}
    seconds = {name: None if None in listed else sum(listed) for name, listed in times.items()}
    note = f"{len(found)} level{'s' if len(found) > 1 else ''}: {', '.join(f'{one.rows:,}' for one in found)} parts"
    joined = {"parts": tuple(part for one in found for part in one.parts), "whole": all(one.whole for one in found), "notes": (note, *found[0].notes)}
    return found[0].model_copy(update={**sums, **seconds, **joined, "rows": rows, "reused": sum(one.reused or 0 for one in found)})
