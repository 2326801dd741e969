"""The word that there is work, and who takes which run."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import Future

import pytest

from hishamos.contracts.journal import InLine
from hishamos.dispatch import celery
from hishamos.dispatch.celery import CeleryDispatcher, Taker, application, shown
from hishamos.errors import BrokerError, RunHeld
from tests.conftest import free_port
from tests.rigs.workers import settle


def test_without_the_extra_the_line_to_type_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "celery", None)
    with pytest.raises(BrokerError, match=r"pip install 'hishamos\[celery\]'"):
        application("redis://:secret@host:6379/0", "x")


def test_a_password_is_never_shown():
    assert shown("redis://user:secret@host:6379/0") == "redis://host:6379/0"
    assert shown("redis://host/1") == "redis://host/1"
    assert shown("rediss://host:6379/1?password=secret") == "rediss://host:6379/1"


def test_messages_are_acknowledged_late_come_back_soon_and_leave_no_result():
    made = application("redis://127.0.0.1:1/0", "x").conf
    assert (made.task_acks_late, made.worker_prefetch_multiplier, made.result_backend) == (True, 1, None)
    assert (made.accept_content, made.task_serializer) == (["json"], "json")
    assert (made.task_time_limit, made.task_soft_time_limit) == (None, None)
    assert made.broker_transport_options["visibility_timeout"] == 8
    assert made.broker_transport_options["global_keyprefix"] == "hishamos:x:"


def test_a_dead_broker_holds_nobody_up_and_is_named(caplog):
    dispatcher = CeleryDispatcher(f"redis://127.0.0.1:{free_port()}/0", "x", lambda limit: [InLine("a", False)])
    began = time.monotonic()
    for _ in range(20):
        dispatcher.dispatch("a")
    assert time.monotonic() - began < 1
    with pytest.raises(BrokerError, match="it does not answer"):
        dispatcher.messages()
    settle(lambda: "runs wait in the store" in caplog.text, 20)
    dispatcher.close()
    assert caplog.text.count("runs wait in the store") == 1, "it is said once"


def test_messages_that_nobody_fetches_do_not_pile_up(redis_url, monkeypatch):
    monkeypatch.setattr(celery, "ENOUGH", 3)
    dispatcher = CeleryDispatcher(redis_url, f"t{os.urandom(6).hex()}", lambda limit: [])
    for _ in range(10):
        dispatcher.dispatch("a")
    dispatcher._orders.put(None)
    dispatcher._thread.join(20)
    try:
        assert dispatcher.messages() == 3
    finally:
        dispatcher._redis.delete(dispatcher._key)
        dispatcher.close()


class Runs:
    def __init__(self, *queued: str) -> None:
        self.queued = list(queued)
        self.begun: list[str] = []
        self.told: list[str] = []
        self.ends: dict[str, Future[str]] = {run: Future() for run in queued}
        self.taker = Taker(self.begin, lambda limit: [InLine(run, False) for run in self.queued[:limit]], self.told.append)

    def begin(self, run: str) -> Future[str]:
        self.begun.append(run)
        return self.ends[run]


def test_nothing_to_take_is_no_work():
    assert Runs().taker.take() is None


def test_who_was_slower_takes_the_next_one():
    runs = Runs("a", "b")
    runs.ends["b"].set_result("succeeded")

    def lost(run: str) -> Future[str]:
        runs.queued.remove(run)
        return Runs.begin(runs, run)

    runs.ends["a"].set_exception(RunHeld(run="a", holder="another"))
    runs.taker._begin = lost
    assert runs.taker.take() == "b"
    assert runs.begun == ["a", "b"]


def test_a_run_that_can_not_be_worked_on_holds_up_none_behind_it(caplog):
    runs = Runs("broken", "a", "b")
    runs.ends["broken"].set_exception(ValueError("an unknown field"))
    for run in ("a", "b"):
        runs.ends[run].set_result("succeeded")
    assert runs.taker.take() == "a"
    runs.queued.remove("a")
    assert runs.taker.take() == "b"
    assert runs.begun == ["broken", "a", "b"], "it is left alone for a while"
    assert "run broken is left" in caplog.text
    runs.taker._passed_over["broken"] = 0.0
    runs.queued.remove("b")
    assert runs.taker.take() is None
    assert runs.begun[3:] == ["broken"], "then it is tried once more"


def test_two_threads_take_two_runs():
    runs = Runs("a", "b")
    taken: list[str | None] = []
    threads = [threading.Thread(target=lambda: taken.append(runs.taker.take())) for _ in range(2)]
    for thread in threads:
        thread.start()
    settle(lambda: sorted(runs.begun) == ["a", "b"], 10)
    for end in runs.ends.values():
        end.set_result("succeeded")
    for thread in threads:
        thread.join(10)
    assert sorted(map(str, taken)) == ["a", "b"]


def test_others_are_told_of_a_run_that_is_handed_back():
    runs = Runs("a")
    runs.ends["a"].set_result("queued")
    assert runs.taker.take() == "a"
    assert runs.told == ["a"]


def test_once_closed_nothing_is_taken():
    runs = Runs("a")
    runs.taker.closed = True
    assert runs.taker.take() is None
