"""A statement is stopped once it takes too long or swells, and only then."""

from __future__ import annotations

import threading
import time

import pytest

from hishamos.store.bounds import AGAIN_S, Bounds

HUGE = 2**50


def test_what_ends_in_time_is_left_alone():
    stops: list[float] = []
    with Bounds(lambda: stops.append(time.monotonic()), timeout_s=5, growth=HUGE) as bounds:
        time.sleep(0.05)
    assert (stops, bounds.reached) == ([], None)


def test_what_takes_too_long_is_stopped_and_told_again():
    stopped = threading.Event()
    stops: list[float] = []

    def stop():
        stops.append(time.monotonic())
        if len(stops) == 2:
            stopped.set()

    began = time.monotonic()
    with Bounds(stop, timeout_s=0.1, growth=HUGE) as bounds:
        assert stopped.wait(5)
    assert bounds.reached == "time"
    assert 0.1 <= stops[0] - began < 1
    assert stops[1] - stops[0] >= AGAIN_S * 0.9


def test_what_swells_is_stopped_for_its_size():
    stopped = threading.Event()
    with Bounds(stopped.set, timeout_s=20, growth=30 * 2**20) as bounds:
        ballast = b"x" * (120 * 2**20)
        assert stopped.wait(10)
    assert bounds.reached == "memory"
    assert len(ballast) == 120 * 2**20


def test_a_failure_inside_goes_through():
    with pytest.raises(LookupError), Bounds(lambda: None, timeout_s=1, growth=HUGE):
        raise LookupError
