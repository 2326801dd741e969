"""One workspace in this process for all tests of this room: none of them minds what another one did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import hishamos
from hishamos.workspace import Workspace


@pytest.fixture(scope="session")
def ws() -> Iterator[Workspace]:
    with hishamos.open(":memory:") as workspace:
        yield workspace
