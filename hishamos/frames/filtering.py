"""Rows for which a criterion holds, by a model's judgement. Rows that could not be judged are never dropped or kept in silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hishamos.errors import InvalidInput, RowsNotJudged
from hishamos.frames.mapping import MapWork
from hishamos.frames.row_answers import Answers, ask
from hishamos.records.forecasts import Forecast
from hishamos.records.workspaces import MapRow

Unjudged = Literal["raise", "drop", "keep"]
UNJUDGED: tuple[Unjudged, ...] = ("raise", "drop", "keep")


@dataclass
class Verdicts:
    """What a model said of each of some rows: True, False, or None for one that could not be judged."""

    found: list[bool | None]
    why: str = ""
    """Of the first one that could not be judged."""

    @property
    def unjudged(self) -> int:
        """How many could not be judged."""
        return self.found.count(None)

    def taken(self, unjudged: Unjudged) -> list[int]:
        """Return the positions of the rows for which it holds; with ``keep``, and of those that could not be judged."""
        return [place for place, verdict in enumerate(self.found) if verdict or (verdict is None and unjudged == "keep")]


def verdicts(answers: Answers, name: str) -> Verdicts:
    """Return what answers say in the property ``name``."""
    told = Verdicts([])
    for row in (row for page in answers.pages() for row in page):
        verdict = _verdict(row, name)
        told.found.append(verdict)
        if verdict is None and not told.why:
            told.why = row.error or ("the offline model can't tell" if name in row.not_judged else f"it is {row.status}")
    return told


def _verdict(row: MapRow, name: str) -> bool | None:
    if row.status != "succeeded" or name in row.not_judged or not isinstance(row.output, dict):
        return None
    value = row.output.get(name)
    return value if isinstance(value, bool) else None


def held(told: Verdicts, unjudged: Unjudged, what: str, see: str) -> None:
    """Raise :class:`RowsNotJudged` where something could not be judged, unless the caller said what is to become of it."""
    if told.unjudged and unjudged == "raise":
        raise RowsNotJudged(number=told.unjudged, of=len(told.found), what=what, why=told.why, see=see)


def known_unjudged(value: str) -> None:
    """Raise :class:`InvalidInput` for a word that says nothing of what could not be judged."""
    if value not in UNJUDGED:
        raise InvalidInput(what=f"unjudged is {value!r}", where="unjudged", next=f"Give one of: {', '.join(UNJUDGED)}.")


@dataclass(frozen=True)
class FilterWork:
    """A criterion over the rows of a frame."""

    judge: MapWork
    unjudged: Unjudged

    def forecast(self) -> Forecast:
        """Return what it will cost and take."""
        return self.judge.forecast()

    def do(self) -> Any:
        """Return the rows of the frame for which the criterion holds."""
        work = self.judge
        told = verdicts(ask(work.workspace, work.question, work.rows, work.asking), "holds")
        held(told, self.unjudged, "rows", ".judge(…) with the same arguments shows each row and pays nothing again")
        found = work.frame.rows(told.taken(self.unjudged)).frame
        noted(found, criterion=work.question.inputs["criterion"], rows=len(told.found), kept=len(found), unjudged=told.unjudged)
        return found


def noted(frame: Any, **facts: Any) -> None:
    """Keep with a DataFrame how it came about (``attrs``); other kinds of frames have no place for it."""
    if hasattr(frame, "attrs"):
        frame.attrs = {**frame.attrs, "hishamos": facts}


def one_or_many(value: Any, names: Sequence[Any]) -> list[Any]:
    """Return a column, or several, as a list; a tuple may be one column's name."""
    if value in names or isinstance(value, str) or not isinstance(value, Iterable):
        return [value]
    return list(value)
