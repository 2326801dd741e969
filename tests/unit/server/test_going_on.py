"""What a new server does first: it goes on with what a dead one left, also where the store does not answer at once."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest

from hishamos.errors import StoreError
from hishamos.server import __main__ as server


def test_a_store_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(server, "AGAIN_S", 0.0)
    answers = [StoreError(problem="it is away", where="there", next="wait"), StoreError(problem="it is away", where="there", next="wait"), None]

    def go_on() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    host = SimpleNamespace(wanted=lambda: (), composed=SimpleNamespace(go_on=go_on))
    with caplog.at_level(logging.ERROR, server.log.name):
        asyncio.run(server._go_on(host))  # type: ignore[arg-type]
    assert answers == []
    assert [record.getMessage().count("it is away") for record in caplog.records] == [1, 1]


def test_what_ends_a_task_for_which_nobody_waits_stands_in_the_log(caplog: pytest.LogCaptureFixture):
    async def scenario() -> None:
        async def broken() -> None:
            raise ValueError("that was not foreseen")

        task = asyncio.create_task(broken())
        task.add_done_callback(server._told)
        await asyncio.wait([task])
        await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR, server.log.name):
        asyncio.run(scenario())
    assert "that was not foreseen" in caplog.text
