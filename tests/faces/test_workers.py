"""``hishamos workers`` and ``hishamos worker`` as people type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faces.conftest import OFFLINE, Terminal


@pytest.mark.long
def test_where_the_server_does_the_work_it_is_the_only_process(own_terminal: Terminal):
    own_terminal.json("run", "triage_bugs", "-i", "publish=no", "-i", f"file={sample()}", *OFFLINE, "--priority", "9", "--deadline", "600")
    found = own_terminal.json("workers")
    assert found["broker"] == "local"
    assert [(one["kind"], one["places"], one["at_work"]) for one in found["workers"]] == [("server", 32, 0)]
    assert (found["queues"], found["tasks"], found["retries"], found["dead"], found["queued"]) == ([], [], 0, [], 0)
    assert [run["priority"] for run in own_terminal.json("runs")] == [9]
    drawn = own_terminal.type("workers").stdout
    assert "Broker" in drawn
    assert "server" in drawn


@pytest.mark.long
def test_a_worker_has_nothing_to_do_there_and_says_what_to_write(own_terminal: Terminal):
    done = own_terminal.type("worker")
    assert done.returncode == 2
    assert 'broker = "redis://host:6379/0"' in done.stderr


def test_a_broker_without_a_store_for_many_is_refused_with_the_line(own_terminal: Terminal):
    (own_terminal.folder / "hishamos.toml").write_text('[workspace]\nbroker = "redis://127.0.0.1:6379/0"\n')
    for line in (("worker",), ("runs",)):
        done = own_terminal.type(*line)
        assert done.returncode != 0
        assert 'store = "postgresql://user@host/db"' in done.stderr, done.stderr
        assert "line 2" in done.stderr


def test_a_priority_is_0_to_9(own_terminal: Terminal):
    assert own_terminal.type("run", "triage_bugs", "--priority", "10").returncode == 2


def sample() -> Path:
    import hishamos

    return Path(hishamos.sample("bugs.csv"))
