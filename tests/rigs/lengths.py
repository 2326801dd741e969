"""What of many equal cases the usual run takes, and what is left to the long one: see the marker ``long`` in ``pyproject.toml``."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TypeVar

import pytest

T = TypeVar("T")


def shared_out(values: Iterable[T], usual: Container[T]) -> list[object]:
    """Return the values of a parameter, those that are not ``usual`` marked as the long run's."""
    return [value if value in usual else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.long) for value in values]


def examples(usual: int, every: int) -> pytest.MarkDecorator:
    """Give a test ``examples``: how many of a property's the usual run tries, and how many the long one."""
    return pytest.mark.parametrize("examples", [usual, pytest.param(every, marks=pytest.mark.long)])
