"""Where a call was made: in which notebook and cell, at which commit, in which execution; and what its maker calls it by tags of his own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from hishamos.records.own_tags import OwnTags
from hishamos.records.record import Record

NOTEBOOK = "HISHAMOS_NOTEBOOK"
"""The variable in which whoever executes a notebook names it. What its kernel starts in turn inherits it."""
EXECUTION = "HISHAMOS_EXECUTION"
"""The variable with the execution's id. Without it each kernel has one of its own."""


class Origin(Record):
    """What a client tells with each call, and a run keeps of the call that started it."""

    notebook: str | None = Field(None, max_length=4096)
    """Its path: from the workspace's folder where it lies inside, else absolute."""
    cell: str | None = Field(None, max_length=200)
    """The cell's id; ``In[7]`` where the notebook's face tells none."""
    git_commit: str | None = Field(None, pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")
    """The commit that is checked out where the notebook stands."""
    execution: str | None = Field(None, pattern=r"^[0-9A-Z]{8,40}$")
    """One life of a kernel, or one execution by papermill: what a receipt is made for."""
    own: OwnTags = {}
    """The tags that people gave; all else is known without them."""

    def tags(self) -> dict[str, Any]:
        """Return what is known of it, as tags of an attempt."""
        return self.model_dump(exclude_defaults=True)


def tagged(origin: Origin | None, own: Mapping[str, str]) -> Origin | None:
    """Return an origin with more tags, which stand over those that it has; raises :class:`InvalidInput` where they become too many."""
    return Origin.model_validate({**(origin.tags() if origin else {}), "own": {**(origin.own if origin else {}), **own}}) if own else origin
