"""What people say of things: plain text of bounded length, with nothing in it that a terminal would obey."""

from __future__ import annotations

from hishamos.errors import InvalidInput
from hishamos.text.inert import inert


def remark(text: str, where: str, longest: int) -> str:
    """Return the text as it is kept; raises :class:`InvalidInput` for one of more than ``longest`` characters. It may come out empty."""
    kept = inert(text).encode("utf-8", "replace").decode("utf-8").strip()
    if len(kept) > longest:
        raise InvalidInput(what=f"the comment has {len(kept):,} characters", where=where, next=f"Say it in at most {longest:,}.")
    return kept
