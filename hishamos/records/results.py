"""Results (what came out), projects and issues (the work)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from hishamos.records.record import Record


class ResultDraft(Record):
    """A result before it is saved."""

    title: str
    summary: str = ""
    body: str = ""
    """Markdown."""
    data: Any = None
    action_items: tuple[str, ...] = ()
    project: str | None = None
    offline: bool = False


class Result(ResultDraft):
    """What came out of a run."""

    id: str
    run_id: str | None = None
    workflow: str | None = None
    user_name: str | None = None
    version: int = 1
    rating: int | None = Field(None, ge=1, le=5)
    created_at: datetime
    run_pruned_at: datetime | None = None
    """When its run was let go; the result stays."""

    def item_origin(self, place: int) -> str:
        """Return what an issue says that it came from which was made of the action item at a place, from 0."""
        return f"result {self.id}, item {place + 1}"

    @property
    def run_words(self) -> str | None:
        """The run's id, and that it was pruned where it was; None for a result of no run."""
        return f"{self.run_id}, pruned" if self.run_id and self.run_pruned_at else self.run_id


LONGEST_COMMENT = 4000
"""Characters of a comment."""


class ResultComment(Record):
    """What a person says of a result: plain text, never Markdown."""

    id: str
    result_id: str
    user_name: str
    text: str
    created_at: datetime


IssueKind = Literal["epic", "story", "task", "bug"]
IssueState = Literal["open", "in progress", "done"]


class Project(Record):
    """Holds issues; its key prefixes theirs."""

    key: str = Field(pattern=r"^[A-Z][A-Z0-9]{1,9}$")
    name: str
    created_at: datetime


class IssueDraft(Record):
    """An issue before it has a key."""

    title: str
    body: str = ""
    kind: IssueKind = "bug"
    priority: Literal["highest", "high", "medium", "low"] = "medium"
    labels: tuple[str, ...] = ()
    origin: str | None = None
    """What it came from, unique within its project (a report's id): a second draft of the same origin gives the existing issue."""


class Issue(IssueDraft):
    """A piece of work: an epic, story, task or bug."""

    key: str
    project: str
    state: IssueState = "open"
    run_id: str | None = None
    version: int = 1
    created_at: datetime
    updated_at: datetime
