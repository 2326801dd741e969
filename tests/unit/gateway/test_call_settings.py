"""One call asks once in a breath whether the configuration changed; whoever is no call asks every time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from hishamos.gateway import call_settings


def test_a_call_asks_once_in_a_breath_and_another_call_asks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    read: Any = call_settings.once_a_breath(lambda: next(numbers))  # type: ignore[arg-type, return-value]  # any value will do
    assert [read(), read()] == [0, 1]

    async def call() -> list[int]:
        call_settings.begin_call()
        within = await asyncio.create_task(looked_up())
        return [read(), read(), within]

    async def looked_up() -> int:
        return read()

    async def both() -> list[list[int]]:
        return [await asyncio.create_task(call()), await asyncio.create_task(call())]

    assert asyncio.run(both()) == [[2, 2, 2], [3, 3, 3]]
    assert read() == 4
    monkeypatch.setattr(call_settings, "BREATH_S", -1.0)
    assert asyncio.run(both())[0] == [6, 7, 5], "a call that lasts sees what changes"
