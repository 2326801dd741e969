"""Two results side by side."""

from __future__ import annotations

from hishamos.records.record import Record
from hishamos.records.results import Result
from hishamos.records.run_comparisons import Difference, RunComparison


class ResultComparison(Record):
    """How a result compares with another one, and, where runs made them, how these do."""

    before: Result
    after: Result
    differences: tuple[Difference, ...] = ()
    """Where title, summary, body, data, action items and rating differ."""
    runs: RunComparison | None = None
    """None where one of them came out of no run, or both of the same."""

    @property
    def same(self) -> bool:
        """Whether both say the same."""
        return not self.differences
