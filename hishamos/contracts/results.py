"""The contract of results: what came out."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Sequence
from typing import Protocol

from hishamos.contracts.verbs import verb
from hishamos.records.result_comparisons import ResultComparison
from hishamos.records.results import Issue, Result, ResultComment, ResultDraft


class Results(Protocol):
    """``ws.results``: what came out."""

    @verb("results.read")
    def list(self, *, run: str | None = None, project: str | None = None, search: str | None = None, limit: int = 100) -> List[Result]:
        """Return results, newest first; ``search`` looks in title, summary and body."""
        ...

    @verb("results.read")
    def get(self, result: str) -> Result:
        """Return one result."""
        ...

    @verb("results.read")
    def compare(self, result: str, other: str) -> ResultComparison:
        """Return how a result compares with another one: what they say, and how the runs compare that they came out of.

        ``other``: the earlier one. For runs alone there is ``ws.runs.compare``.
        """
        ...

    @verb("results.write", kind="change")
    def save(self, draft: ResultDraft) -> Result:
        """Save a result."""
        ...

    @verb("results.write", kind="change")
    def rate(self, result: str, rating: int) -> Result:
        """Rate a result from 1 to 5."""
        ...

    @verb("results.write", kind="change")
    def comment(self, result: str, text: str) -> ResultComment:
        """Say something of a result, plain text of at most 4,000 characters; raises ``UnknownName``, ``InvalidInput``."""
        ...

    @verb("results.read")
    def comments(self, result: str, *, limit: int = 100) -> List[ResultComment]:
        """Return what people said of a result, the newest last; where there are more than ``limit``, the newest of them."""
        ...

    @verb("projects.write", kind="change")
    def to_issues(self, result: str, *, items: Sequence[int] | None = None, project: str | None = None) -> List[Issue]:
        """Make an issue of each action item, or of those at the places ``items`` (from 0), and return them; an item that has one keeps it.

        ``project``: its key, the result's own where left out; it is made if it does not exist. Raises ``UnknownName``, ``InvalidInput``.
        """
        ...

    @verb("projects.read")
    def issues(self, result: str) -> List[Issue]:
        """Return the issues that were made of a result's action items, oldest first."""
        ...
