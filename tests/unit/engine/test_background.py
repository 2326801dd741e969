"""Blocking work: bounded, in turn, and one that hangs gives its place away."""

from __future__ import annotations

import threading
import time

import pytest

from hishamos.engine.background import Background
from hishamos.engine.timers import Timers


def test_at_most_so_many_at_once_and_all_get_their_turn():
    background, gate, peak, at_work = Background(3), threading.Event(), [], []

    def work(number):
        at_work.append(number)
        peak.append(len(at_work))
        gate.wait(5)
        at_work.remove(number)
        return number

    begun = []
    jobs = [background.start(lambda n=n: work(n), lambda n=n: begun.append(n)) for n in range(9)]
    time.sleep(0.05)
    assert len(begun) == 3
    gate.set()
    assert [job.future.result(5) for job in jobs] == list(range(9))
    assert max(peak) <= 3
    assert sorted(begun) == list(range(9))


def test_what_the_work_raises_is_told():
    def broken():
        raise KeyError("x")

    background = Background(1)
    assert isinstance(background.start(broken, lambda: None).future.exception(5), KeyError)
    assert background.start(lambda: 5, lambda: None).future.result(5) == 5


def test_a_job_given_up_gives_its_place_away():
    background, gate, began = Background(1), threading.Event(), []
    hanging = background.start(lambda: gate.wait(5), lambda: began.append("hanging"))
    never = background.start(lambda: began.append("never"), lambda: None)
    following = background.start(lambda: "done", lambda: began.append("following"))
    background.give_up(never)
    background.give_up(hanging)
    background.give_up(hanging)
    assert following.future.result(5) == "done"
    gate.set()
    time.sleep(0.05)
    assert began == ["hanging", "following"]
    assert not hanging.future.done()
    assert background.start(lambda: 1, lambda: None).future.result(5) == 1
    background.give_up(following)


def test_a_thread_serves_one_job_after_another_and_leaves_when_there_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hishamos.engine.background.IDLE_S", 0.05)
    background, served, usual = Background(2), [], threading.active_count()
    for _ in range(50):
        background.start(lambda: served.append(threading.get_ident()), lambda: None).future.result(5)
    assert len(set(served)) < 50
    end = time.monotonic() + 5
    while threading.active_count() > usual:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert background.start(lambda: 5, lambda: None).future.result(5) == 5


def test_timers_keep_order_and_survive_a_broken_action():
    timers, seen = Timers(), []

    def broken():
        raise RuntimeError("x")

    timers.after(0.6, lambda: seen.append(2))
    timers.after(0.1, broken)
    timers.after(0.2, lambda: seen.append(1))
    timers.after(0.3, lambda: seen.append("never")).cancel()
    time.sleep(0.9)
    assert seen == [1, 2]
    timers.close()
    timers.after(0, lambda: seen.append("closed"))
    time.sleep(0.05)
    assert seen == [1, 2]


@pytest.mark.parametrize("pause", [0.0, 0.01])
def test_an_earlier_timer_wakes_the_thread(pause):
    timers, seen = Timers(), []
    timers.after(30, lambda: None)
    time.sleep(pause)
    timers.after(0.01, lambda: seen.append(1))
    time.sleep(0.2)
    assert seen == [1]
    timers.close()
