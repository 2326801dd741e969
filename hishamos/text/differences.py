"""Where two pieces of plain data differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hishamos.records.run_comparisons import Difference


def differences(before: Any, after: Any, place: str = "") -> Iterator[Difference]:
    """Yield each place at which two pieces of plain data differ, in order; what both lack or share is left out."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _within(before, after, key, f"{place}.{key}" if place else str(key), key in before, key in after)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            yield from _within(before, after, index, f"{place}[{index}]", index < len(before), index < len(after))
    elif type(before) is not type(after) or before != after:
        yield Difference(place=place, change="changed", before=before, after=after)


def _within(before: Any, after: Any, key: Any, place: str, had: bool, has: bool) -> Iterator[Difference]:
    if had and has:
        yield from differences(before[key], after[key], place)
    elif had:
        yield Difference(place=place, change="gone", before=before[key])
    else:
        yield Difference(place=place, change="added", after=after[key])


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return plain data in which names stand for others, also inside of texts."""
    if isinstance(value, str):
        for old, new in names.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, Mapping):
        return {renamed(key, names): renamed(inner, names) for key, inner in value.items()}
    return [renamed(inner, names) for inner in value] if isinstance(value, list) else value
