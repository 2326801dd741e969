"""The kinds of providers that there are: our own, those of installed packages, and litellm's, whose files are read; it is not imported."""

from __future__ import annotations

import difflib
import json
import re
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

KINDS = ("openai", "anthropic", "gemini", "ollama", "openrouter", "azure", "offline")
GROUP = "hishamos.adapters"
"""Of entry points, under which packages offer adapters for further kinds."""
NEAR = 0.75
"""So alike, of 1, is a misspelt kind to the one that was meant."""
_LISTED = re.compile(r"^class LlmProviders\(.*?\):\n(.*?)^\S", re.DOTALL | re.MULTILINE)
_VALUE = re.compile(r"^ +[A-Z]\w* = \"([^\"]+)\"", re.MULTILINE)


def is_known(kind: str) -> bool:
    """Return whether something here serves a kind; True too where litellm's list can't be read, for then nobody can say that it does not."""
    if kind in KINDS:
        return True
    listed = litellm_kinds()
    return not listed or kind in listed or kind in offered_kinds()


def nearest_kind(kind: str) -> str | None:
    """Return the kind that was most likely meant; None where none is near."""
    # Our own first: of two that are equally near they are the likelier.
    known = [*dict.fromkeys((*KINDS, *sorted(offered_kinds()), *sorted(litellm_kinds())))]
    return next(iter(difflib.get_close_matches(kind.lower(), known, n=1, cutoff=NEAR)), None)


def offered_kinds() -> frozenset[str]:
    """Return the kinds for which installed packages offer adapters."""
    return frozenset(point.name for point in entry_points(group=GROUP))


@lru_cache(maxsize=1)
def litellm_kinds() -> frozenset[str]:
    """Return the providers that litellm calls, as it lists them in its files; none where they can't be read."""
    found = find_spec("litellm")
    if found is None or not found.submodule_search_locations:
        return frozenset()
    folder = Path(next(iter(found.submodule_search_locations)))
    try:
        listed = _LISTED.search((folder / "types" / "utils.py").read_text(encoding="utf-8"))
        further = json.loads((folder / "llms" / "openai_like" / "providers.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return frozenset()
    return frozenset([*_VALUE.findall(listed[1]), *further]) if listed else frozenset()
