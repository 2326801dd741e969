"""Rows of two frames that belong together by a criterion: which pairs are worth a question, the questions, the joined frame.

Where all pairs are too many, only those are asked that are most alike: each row of the first frame with its nearest rows of the second, by the
cosine of tf-idf over words and pieces of words. Two rows that share no word and no piece are never asked then.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from hishamos.errors import InvalidInput
from hishamos.frames.cells import Blank, NotPlain
from hishamos.frames.filtering import Unjudged, held, noted, verdicts
from hishamos.frames.kinds import Given, pages
from hishamos.frames.mapping import FACT_KINDS, FACTS, facts, no_clash
from hishamos.frames.row_answers import Answers, Asking, Question, ask, forecast
from hishamos.frames.row_pages import READ_AT_ONCE, Inputs, RecordRows
from hishamos.records.forecasts import Forecast
from hishamos.text.similarity import Vectors, piece_terms, word_terms

if TYPE_CHECKING:
    from hishamos.workspace import Workspace

Keep = Literal["inner", "left", "asked"]
KEEP: tuple[Keep, ...] = ("inner", "left", "asked")
WORDS = 0.7
"""The share of whole words in a likeness; the rest is that of their pieces, which find what is inflected or misspelt."""
COMMON = 0.2
"""A term that more than this share of rows holds, and more than :data:`FEW`, finds no pair by itself."""
FEW = 50
LOOKED_AT = 2_000
"""Characters of a row that are compared."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class JoinWork:
    """A join of two frames by a criterion."""

    workspace: Workspace
    left: Given
    right: Given
    sides: tuple[Sequence[Hashable], Sequence[Hashable]]
    """The columns of each that are shown and compared."""
    question: Question
    asking: Asking
    keep: Keep = "inner"
    max_pairs: int = 2_000
    suffix: str = "_right"
    unjudged: Unjudged = "raise"
    prefix: str = ""

    def __post_init__(self) -> None:
        if self.keep not in KEEP:
            raise InvalidInput(what=f"how is {self.keep!r}", where="join", next=f"Give one of: {', '.join(KEEP)}.")
        if type(self.left) is not type(self.right):
            raise InvalidInput(what="the two frames are of different kinds", where="join", next="Make one of them the kind of the other.")
        if self.max_pairs < 1:
            raise InvalidInput(what=f"max_pairs is {self.max_pairs}", where="join", next="Give a number of pairs from 1.")
        added = ("match", "reason", *FACTS) if self.keep == "asked" else ("reason",)
        no_clash([*self.left.names, *self.right.names], added, self.prefix)

    def forecast(self) -> Forecast:
        """Return what it will cost and take, and how many pairs are asked."""
        found = forecast(self.workspace, self.question, self._rows, self.asking)
        return found.model_copy(update={"notes": (self.words, *found.notes)})

    def do(self) -> Any:
        """Return the joined frame: the pairs for which the criterion holds, in the order of the first frame."""
        answers = ask(self.workspace, self.question, self._rows, self.asking)
        if self.keep == "asked":
            return self._asked(answers)
        told = verdicts(answers, "match")
        held(told, self.unjudged, "pairs", 'how="asked" with the same arguments shows each pair and pays nothing again')
        taken = told.taken(self.unjudged)
        reasons = {place: _reason(row) for place, row in enumerate(row for page in answers.pages() for row in page)} if taken else {}
        found = self._joined([self._pairs[place] for place in taken], [reasons[place] for place in taken])
        noted(found, criterion=self.question.inputs["criterion"], pairs=len(told.found), matches=len(taken), unjudged=told.unjudged, asked=self.words)
        return found

    @property
    def words(self) -> str:
        """How many pairs are asked of how many, and which."""
        whole, number = len(self.left) * len(self.right), len(self._pairs)
        if whole <= self.max_pairs:
            return f"all {number:,} pairs are asked"
        return f"{number:,} of {whole:,} pairs are asked, the most alike: at most {self.max_pairs // len(self.left):,} for each of {len(self.left):,} rows"

    def _joined(self, pairs: Sequence[Pair], reasons: Sequence[str | None]) -> Any:
        if self.keep == "left":
            matched = {left for left, _ in pairs}
            rows: list[tuple[int, int | None, str | None]] = [(left, right, why) for (left, right), why in zip(pairs, reasons, strict=True)]
            rows += [(left, None, None) for left in range(len(self.left)) if left not in matched]
            rows.sort(key=lambda row: row[0])
        else:
            rows = [(left, right, why) for (left, right), why in zip(pairs, reasons, strict=True)]
        beside = self.left.rows([left for left, _, _ in rows]).beside(self.right, [right for _, right, _ in rows], self.suffix)
        reason = beside.column()
        reason.add([why for _, _, why in rows])
        return beside.with_columns({f"{self.prefix}reason": reason})

    def _asked(self, answers: Answers) -> Any:
        beside = self.left.rows([left for left, _ in self._pairs]).beside(self.right, [right for _, right in self._pairs], self.suffix)
        columns = {self.prefix + name: beside.column({"match": "truth", **FACT_KINDS}.get(name, "text")) for name in ("match", "reason", *FACTS)}
        match, reason, *others = columns.values()
        for page in answers.pages():
            match.add([_match(row) for row in page])
            reason.add([_reason(row) for row in page])
            for column, cells in zip(others, facts(page, self.question.command.reference), strict=True):
                column.add(cells)
        return beside.with_columns(columns)

    @cached_property
    def _rows(self) -> PairRows:
        return PairRows(self._pairs, RecordRows(self.left, "left", self.sides[0]), RecordRows(self.right, "right", self.sides[1]))

    @cached_property
    def _pairs(self) -> list[Pair]:
        lefts, rights = _texts(self.left, self.sides[0]), _texts(self.right, self.sides[1])
        if len(lefts) * len(rights) <= self.max_pairs:
            return [(left, right) for left, one in enumerate(lefts) for right, other in enumerate(rights) if one and other]
        each = self.max_pairs // len(lefts)
        if each == 0:
            what = f"{len(lefts):,} rows are more than the {self.max_pairs:,} pairs that may be asked"
            raise InvalidInput(what=what, where="join", next=f"Give max_pairs={len(lefts)} or more, or join fewer rows.")
        return alike(lefts, rights, each)


@dataclass(frozen=True)
class PairRows:
    """A row of each frame for each pair."""

    pairs: Sequence[Pair]
    left: RecordRows
    right: RecordRows

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, start: int, stop: int) -> list[Inputs | NotPlain]:
        """See :class:`hishamos.frames.row_pages.Rows`."""
        read: dict[tuple[int, int], Inputs | NotPlain] = {}
        found: list[Inputs | NotPlain] = []
        for pair in self.pairs[start:stop]:
            halves = []
            for side, rows, position in ((0, self.left, pair[0]), (1, self.right, pair[1])):
                if (side, position) not in read:
                    read[side, position] = rows.read(position, position + 1)[0]
                halves.append(read[side, position])
            lost = next((half for half in halves if isinstance(half, NotPlain)), None)
            found.append(lost or {name: value for half in halves if isinstance(half, dict) for name, value in half.items()})
        return found


def alike(left: Sequence[str], right: Sequence[str], each: int) -> list[Pair]:
    """Return for every text of ``left`` the at most ``each`` texts of ``right`` that are most like it, as pairs of places in order."""
    nearness: list[dict[int, float]] = [defaultdict(float) for _ in left]
    for terms, share in ((word_terms, WORDS), (piece_terms, 1 - WORDS)):
        vectors = Vectors([terms(text) for text in (*left, *right)])
        _add(nearness, vectors.rows[: len(left)], _holders(vectors.rows[len(left) :]), share, max(FEW, COMMON * len(right)))
    best = (heapq.nsmallest(each, near.items(), key=lambda one: (-round(one[1], 9), one[0])) for near in nearness)
    return [(place, other) for place, nearest in enumerate(best) for other in sorted(other for other, _ in nearest)]


def _add(
    nearness: list[dict[int, float]], rows: Sequence[Mapping[str, float]], holders: Mapping[str, list[tuple[int, float]]], share: float, most: float
) -> None:
    for near, row in zip(nearness, rows, strict=True):
        for term, weight in row.items():
            held_by = holders.get(term, ())
            if len(held_by) <= most:
                for other, its in held_by:
                    near[other] += share * weight * its


def _holders(rows: Sequence[Mapping[str, float]]) -> dict[str, list[tuple[int, float]]]:
    holders: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for place, row in enumerate(rows):
        for term, weight in row.items():
            holders[term].append((place, weight))
    return holders


def _texts(frame: Given, columns: Sequence[Hashable]) -> list[str]:
    """Return the rows as texts to compare; a row without a value has none, and belongs to no other, as a null does in SQL."""
    rows = RecordRows(frame, "row", columns)
    found: list[str] = []
    for row in (row for start, stop in pages(len(frame), READ_AT_ONCE) for row in rows.read(start, stop)):
        if isinstance(row, NotPlain) and not isinstance(row, Blank):  # near to nothing, it would be lost in silence
            raise InvalidInput(what=str(row), where="join", next="Correct it, or leave the row out.")
        found.append("" if isinstance(row, NotPlain) else " ".join(row["row"].values())[:LOOKED_AT])
    return found


def _match(row: Any) -> bool | None:
    value = row.output.get("match") if isinstance(row.output, dict) and "match" not in row.not_judged else None
    return value if isinstance(value, bool) else None


def _reason(row: Any) -> str | None:
    return row.output.get("reason") if isinstance(row.output, dict) and "reason" not in row.not_judged else None
