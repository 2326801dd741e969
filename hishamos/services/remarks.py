"""What people say of things: a rating from 1 to 5, and plain text of bounded length, with nothing in it that a terminal would obey."""

from __future__ import annotations

from hishamos.errors import InvalidInput
from hishamos.text.inert import inert


def check_rating(rating: int, where: str) -> None:
    """Raise :class:`InvalidInput` for a rating that is none."""
    if rating not in range(1, 6):
        raise InvalidInput(what=f"A rating is a whole number from 1 to 5, not {rating}", where=where, next="")


def remark(text: str, where: str, longest: int) -> str:
    """Return the text as it is kept; raises :class:`InvalidInput` for one of more than ``longest`` characters. It may come out empty."""
    kept = inert(text).encode("utf-8", "replace").decode("utf-8").strip()
    if len(kept) > longest:
        raise InvalidInput(what=f"the comment has {len(kept):,} characters", where=where, next=f"Say it in at most {longest:,}.")
    return kept
