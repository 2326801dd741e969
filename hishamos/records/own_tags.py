"""Own tags: what people themselves call their calls and runs (``customer=acme``), so that spend can be grouped by it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from hishamos.errors import InvalidInput

VARIABLE = "HISHAMOS_TAGS"
"""The variable with the tags of all that a process asks: ``customer=acme,experiment=b``."""
GROUP = "tag:"
"""What stands before a tag's name where spend is grouped, and attempts are chosen, by it."""
MOST = 10
LONGEST_NAME = 40
LONGEST_VALUE = 200
RESERVED = frozenset({
    "agent", "agent_version", "answer_of", "cell", "choice", "command", "execution", "files", "git_commit", "hidden", "issue", "key_prefix", "mode",
    "notebook", "own", "passed_over", "project", "run", "step", "user", "workflow",
})  # fmt: skip
"""What calls carry by these names already."""
_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{LONGEST_NAME - 1}}}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, which a line of a terminal can't show, and PostgreSQL's JSON not hold; halves of characters."""


def check_name(name: str, where: str = "own tags") -> str:
    """Return a tag's name; raises :class:`InvalidInput` with the nearest one that is allowed."""
    if not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").lstrip("_0123456789")[:LONGEST_NAME]
        following = "Small letters, digits and _, a letter first" + (f": {near}" if near else f", at most {LONGEST_NAME} of them")
        raise InvalidInput(what=f"{name[:80]!r} is no name for a tag", where=where, next=f"{following}.")
    if name in RESERVED:
        raise InvalidInput(what=f"each call has a {name!r} of its own, so no tag has this name", where=where, next=f"Choose another, such as my_{name}.")
    return name


def checked(tags: Any, *, where: str = "own tags") -> dict[str, str]:
    """Return tags by name, without blanks around their values; raises :class:`InvalidInput` for what is none, and for too many."""
    found = {check_name(str(name), where): _value(name, value, where) for name, value in dict(tags).items()}
    if len(found) > MOST:
        raise InvalidInput(what=f"{len(found)} tags at once ({', '.join(found)})", where=where, next=f"A call carries at most {MOST}.")
    return found


def _value(name: str, value: Any, where: str) -> str:
    if not isinstance(value, str):
        what = f"the value of the tag {name} is no text but of the type {type(value).__name__}"
        raise InvalidInput(what=what, where=where, next=f'Write {name}="{value}".')
    text = value.strip()
    if _UNFIT.search(text):
        raise InvalidInput(what=f"the value of the tag {name} holds a character that can't be shown", where=where, next="Write it as one line of text.")
    if not 1 <= len(text) <= LONGEST_VALUE:
        raise InvalidInput(what=f"the value of the tag {name} has {len(text)} characters", where=where, next=f"1 to {LONGEST_VALUE} are allowed.")
    return text


OwnTags = Annotated[dict[str, str], BeforeValidator(checked)]
"""At most 10 tags by name, each value a text of 1 to 200 characters."""


def from_pairs(pairs: Iterable[str], where: str) -> dict[str, str]:
    """Return the tags that are written as ``name=value``; ``where``: who wrote them, for the error."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise InvalidInput(what=f"{pair[:80]!r} is no NAME=VALUE", where=where, next="Write, for example, customer=acme.")
        if name in found:
            raise InvalidInput(what=f"the tag {name} is given twice", where=where, next="A call has one value of each: keep one of the two.")
        found[name] = value
    return checked(found, where=where)


def tag_words(tags: Mapping[str, str]) -> str:
    """Return tags as people read them, and as they are written: ``customer=acme, experiment=b``."""
    return ", ".join(f"{name}={value}" for name, value in tags.items())
