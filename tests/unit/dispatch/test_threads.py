"""Places for runs at once, given to whoever is next in the store."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from hishamos.contracts.journal import InLine
from hishamos.dispatch import threads
from hishamos.dispatch.threads import ThreadsDispatcher
from hishamos.errors import StoreError
from tests.rigs.workers import settle


class Work:
    """Runs in words: they begin when they are told to and end when the test says so."""

    def __init__(self, places: int) -> None:
        self.queued: list[str] = []
        self.begun: list[str] = []
        self.futures: dict[str, Future[str]] = {}
        self.asked, self.broken = 0, False
        self.lock = threading.Lock()
        self.dispatcher = ThreadsDispatcher(self.begin, self.line, lambda: places)

    def begin(self, run: str) -> Future[str]:
        with self.lock:
            self.begun.append(run)
            if run in self.queued:
                self.queued.remove(run)
            self.futures[run] = Future()
            return self.futures[run]

    def line(self, limit: int) -> list[InLine]:
        self.asked += 1
        if self.broken:
            raise StoreError(problem="it is away", where="here", next="Wait.")
        return [InLine(run, False) for run in self.queued[:limit]]

    def start(self, *runs: str, first: bool = False) -> None:
        for run in runs:
            self.queued.insert(0, run) if first else self.queued.append(run)
            self.dispatcher.dispatch(run)

    def end(self, run: str) -> None:
        self.futures[run].set_result("succeeded")


def test_no_more_runs_begin_than_there_are_places():
    work = Work(2)
    work.start("a", "b", "c", "d")
    assert work.begun == ["a", "b"]
    work.end("a")
    assert work.begun == ["a", "b", "c"]
    work.end("b")
    work.end("c")
    assert work.begun == ["a", "b", "c", "d"]


def test_a_free_place_goes_to_whoever_the_store_says():
    work = Work(1)
    work.start("a", "b", "c")
    work.start("urgent", first=True)
    work.end("a")
    assert work.begun == ["a", "urgent"]


def test_while_nobody_waits_the_store_is_not_asked():
    work = Work(2)
    for run in ("a", "b", "c", "d"):
        work.start(run)
        work.end(run)
    assert (work.begun, work.asked) == (["a", "b", "c", "d"], 0)


def test_of_a_long_line_many_are_read_at_once():
    work = Work(1)
    work.start(*(f"r{number}" for number in range(50)))
    for number in range(50):
        work.end(f"r{number}")
    assert work.begun == [f"r{number}" for number in range(50)]
    assert work.asked <= 3


def test_a_run_that_is_just_ending_is_begun_anew_without_another_place():
    work = Work(1)
    work.start("a")
    first = work.futures["a"]
    work.dispatcher.dispatch("a")
    assert work.begun == ["a", "a"]
    first.set_result("waiting")
    work.start("b")
    assert work.begun == ["a", "a"], "a still has the place"
    work.end("a")
    assert work.begun == ["a", "a", "b"]


def test_a_store_that_fails_is_asked_again(monkeypatch):
    monkeypatch.setattr(threads, "AGAIN_S", 0.05)
    work = Work(1)
    work.start("a", "b")
    work.broken = True
    work.end("a")
    assert work.begun == ["a"]
    work.broken = False
    settle(lambda: work.begun == ["a", "b"], 10)


def test_once_closed_nothing_begins():
    work = Work(1)
    work.start("a", "b")
    work.dispatcher.close()
    work.end("a")
    work.start("c")
    assert work.begun == ["a"]
