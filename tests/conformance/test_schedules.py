"""Schedules start each time once: with a clock of the test's own, on both store engines, with any number of servers and after a crash."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from hishamos.composition import compose
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.actors import OWNER
from hishamos.records.runs import RunState
from hishamos.services.scheduler import Scheduler
from hishamos.store import schedules as kept

QUICK = """
name: quick
description: Ends at once.
inputs:
  word: {type: string, default: hello}
steps:
  - {id: one, type: switch, with: {on: "{{ inputs.word }}", cases: {never: {type: wait, with: {seconds: 1}}}}}
outputs: {word: "{{ inputs.word }}"}
"""
SLOW = """
name: slow
description: Waits for somebody.
steps:
  - {id: ask, type: approval, with: {message: "Go on?"}}
"""


class Office:
    """A workspace with any number of servers, and a clock that stands still until it is moved."""

    def __init__(self, root, url):
        self.root, self.url = root, url
        (root / "workflows").mkdir()
        (root / "workflows" / "quick.yaml").write_text(QUICK)
        (root / "workflows" / "slow.yaml").write_text(SLOW)
        self.moment = datetime.now(UTC)
        self.servers = []
        self.open()

    def open(self):
        composed = compose(self.root, store=self.url)
        self.servers.append(composed)
        self.scheduler = Scheduler(composed.machinery, lambda: self.moment)
        self.ws = composed.workspace_for(OWNER)
        return composed

    def to(self, moment, *, late=timedelta(0)):
        """Let it be a moment, or some time later, and look."""
        self.moment = moment + late
        return self.scheduler.look()

    def close(self):
        for composed in self.servers:
            composed.close()


@pytest.fixture(params=["duckdb", "postgres"])
def office(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "work.duckdb")
    made = Office(tmp_path, url)
    yield made
    made.close()


def outcomes(office, name="s"):
    return [(one.outcome, one.note) for one in reversed(office.ws.schedules.times(name, limit=1000))]


def test_a_schedule_is_shown_with_its_next_times(office):
    made = office.ws.schedules.create(
        "s", "quick", "0 7 * * mon-fri", timezone="Europe/Berlin", inputs={"word": "x"}, model="offline/extractive", budget_usd="2"
    )
    assert made == office.ws.schedules.get("s") == office.ws.schedules.list()[0]
    assert (made.workflow, made.cron, made.timezone, made.inputs) == ("quick", "0 7 * * mon-fri", "Europe/Berlin", {"word": "x"})
    assert (made.missed, made.overlap, made.budget_nanos, made.user_name) == ("once", "skip", 2_000_000_000, "owner")
    assert made.upcoming[0] == made.next_at > datetime.now(UTC)
    assert len(made.upcoming) == 3
    with pytest.raises(InvalidInput, match="already"):
        office.ws.schedules.create("s", "quick", "@daily")
    with pytest.raises(UnknownName, match="did you mean"):
        office.ws.schedules.get("S")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"workflow": "quik"}, "quick"),
        ({"cron": "61 * * * *"}, "minute"),
        ({"timezone": "Mars/Base"}, "time zone"),
        ({"inputs": {"wrd": 1}}, "wrd"),
        ({"missed": "maybe"}, "skip, once, all"),
        ({"overlap": "maybe"}, "skip, queue, allow"),
        ({"budget_usd": "-1"}, "amount"),
        ({"model": "nobody"}, "nobody"),
        ({"name": "1 2"}, "name"),
    ],
)
def test_what_could_not_start_is_refused_when_it_is_made(office, arguments, words):
    with pytest.raises((InvalidInput, UnknownName), match=words):
        office.ws.schedules.create(**{"name": "s", "workflow": "quick", "cron": "@daily", **arguments})
    assert office.ws.schedules.list() == []


def test_each_time_starts_one_run_that_says_whose_it_is(office):
    made = office.ws.schedules.create("s", "quick", "@hourly", inputs={"word": "x"}, project="P", budget_usd="1")
    first = made.next_at
    assert office.to(first - timedelta(seconds=1)) == []
    (run,) = office.to(first)
    assert office.to(first) == office.to(first + timedelta(minutes=59)) == []
    ended = office.ws.runs.wait(run, timeout_s=30)
    (second,) = office.to(first + timedelta(hours=1))
    assert run != second
    assert (ended.state, ended.outputs, ended.project, ended.user_name, ended.budget_nanos) == (RunState.SUCCEEDED, {"word": "x"}, "P", "owner", 1_000_000_000)
    assert "started by schedule s" in office.ws.runs.events(run)[0].message
    office.ws.runs.wait(second, timeout_s=30)
    assert [one.run_id for one in office.ws.schedules.times("s")] == [second, run]
    assert [one.due_at for one in office.ws.schedules.times("s")] == [first + timedelta(hours=1), first]
    assert office.ws.schedules.get("s").last_run == second


def test_several_servers_that_look_at_once_start_each_time_once(office):
    made = office.ws.schedules.create("s", "quick", "@hourly", overlap="allow")
    if office.url.startswith("postgres"):
        office.open()
    machines = [composed.machinery for composed in office.servers]
    looking = [Scheduler(machines[number % len(machines)], lambda: office.moment) for number in range(8)]
    started = []
    with ThreadPoolExecutor(8) as pool:
        for hour in range(4):
            office.moment = made.next_at + timedelta(hours=hour)
            started += [run for found in pool.map(lambda one: one.look(), looking) for run in found]
    assert len(started) == len(set(started)) == 4
    assert len(office.ws.runs.list(name="quick")) == 4
    assert [one.outcome for one in office.ws.schedules.times("s")] == ["started"] * 4


def test_a_run_whose_server_died_before_it_handed_it_out_is_taken_by_another(office, monkeypatch):
    made = office.ws.schedules.create("s", "quick", "@hourly")
    handed = []
    monkeypatch.setattr(office.servers[0].machinery.dispatcher, "dispatch", handed.append)
    (run,) = office.to(made.next_at)
    assert handed == [run]
    assert office.ws.runs.get(run).state is RunState.QUEUED
    monkeypatch.undo()
    assert office.to(made.next_at, late=timedelta(seconds=31)) == []  # nothing is started anew
    assert office.ws.runs.wait(run, timeout_s=30).state is RunState.SUCCEEDED
    assert len(office.ws.runs.list(name="quick")) == 1


def test_a_crash_in_the_decision_leaves_the_time_due(office, monkeypatch):
    made = office.ws.schedules.create("s", "quick", "@hourly")
    notes = count()

    def dies(*given):
        next(notes)
        raise RuntimeError("killed")

    monkeypatch.setattr(kept, "_note", dies)
    with pytest.raises(RuntimeError):
        office.to(made.next_at)
    assert next(notes) >= 1
    assert office.ws.runs.list(name="quick") == []
    monkeypatch.undo()
    (run,) = office.to(made.next_at)
    assert [one.id for one in office.ws.runs.list(name="quick")] == [run]


@pytest.mark.parametrize(
    ("policy", "hours", "runs", "told", "most"),
    [
        ("skip", 4, 0, ["skipped"], 100),
        ("once", 4, 1, ["skipped", "started"], 100),
        ("all", 4, 4, ["started"] * 4, 100),
        ("all", 60, 20, ["skipped", *["started"] * 20], 20),
        pytest.param("all", 300, 100, ["skipped", *["started"] * 100], 100, marks=pytest.mark.long),
        ("once", 300, 1, ["skipped", "started"], 100),
    ],
)
def test_missed_times_come_to_what_the_policy_says(office, policy, hours, runs, told, most, monkeypatch):
    if most != kept.MOST:
        monkeypatch.setattr(kept, "MOST", most)
    made = office.ws.schedules.create("s", "quick", "@hourly", missed=policy, overlap="allow")
    started = office.to(made.next_at + timedelta(hours=hours - 1), late=timedelta(minutes=30))
    assert len(started) == runs
    assert [outcome for outcome, _ in outcomes(office)][-len(told) :] == told
    if "skipped" in told:
        assert any("missed: no server ran" in note for _, note in outcomes(office))
    assert office.ws.schedules.get("s").next_at == made.next_at + timedelta(hours=hours)
    for run in started:
        office.ws.runs.wait(run, timeout_s=60)


def test_a_time_on_which_a_server_is_a_little_late_was_not_missed(office):
    made = office.ws.schedules.create("s", "quick", "@hourly", missed="skip")
    assert len(office.to(made.next_at, late=timedelta(seconds=59))) == 1


def test_times_while_the_last_run_has_not_ended(office):
    for policy in ("skip", "queue", "allow"):
        office.ws.schedules.create(policy, "slow", "@hourly", overlap=policy)
    first = office.ws.schedules.get("skip").next_at
    assert len(office.to(first)) == 3
    runs = {name: office.ws.schedules.get(name).last_run for name in ("skip", "queue", "allow")}
    assert len(office.to(first + timedelta(hours=1))) == len(office.to(first + timedelta(hours=2))) == 1
    assert outcomes(office, "skip")[1:] == [("skipped", f"run {runs['skip']} had not ended")] * 2
    assert [outcome for outcome, _ in outcomes(office, "allow")] == ["started"] * 3
    assert office.ws.schedules.get("queue").waiting == 2
    assert office.ws.schedules.get("skip").problem
    ended = office.ws.runs.wait(runs["queue"], timeout_s=30)
    office.ws.runs.approve(ended.id, "ask")
    while not (state := office.ws.runs.wait(ended.id, timeout_s=5)).ended:
        assert state.state is not RunState.FAILED
    (following,) = office.to(first + timedelta(hours=2, minutes=1))
    assert office.ws.schedules.get("queue").waiting == 1
    assert office.ws.schedules.times("queue")[0].due_at == first + timedelta(hours=1)
    assert office.ws.schedules.get("queue").last_run == following


def test_what_can_no_longer_start_says_why_and_goes_on_when_it_can(office):
    made = office.ws.schedules.create("s", "quick", "@hourly")
    (office.root / "workflows" / "quick.yaml").rename(office.root / "workflows" / "quick.away")
    assert office.to(made.next_at) == []
    assert outcomes(office)[0][0] == "failed"
    assert "quick" in office.ws.schedules.get("s").problem
    assert any(finding.subject == "schedule s" for finding in office.ws.providers.diagnose(network=False))
    (office.root / "workflows" / "quick.away").rename(office.root / "workflows" / "quick.yaml")
    assert len(office.to(made.next_at + timedelta(hours=1))) == 1
    assert office.ws.schedules.get("s").problem == ""


def test_a_paused_schedule_starts_nothing_and_misses_nothing(office):
    made = office.ws.schedules.create("s", "quick", "@hourly", missed="all")
    paused = office.ws.schedules.pause("s")
    assert (paused.enabled, paused.next_at, paused.upcoming) == (False, None, ())
    assert office.to(made.next_at + timedelta(hours=5)) == []
    assert office.ws.schedules.resume("s").next_at == made.next_at
    assert office.ws.schedules.resume("s").enabled
    office.ws.schedules.remove("s")
    assert office.to(made.next_at) == []
    for verb in (office.ws.schedules.get, office.ws.schedules.pause, office.ws.schedules.resume, office.ws.schedules.remove, office.ws.schedules.run):
        with pytest.raises(UnknownName):
            verb("s")


def test_a_schedule_made_paused_waits_to_be_resumed(office):
    assert office.ws.schedules.create("s", "quick", "@hourly", paused=True).next_at is None
    assert not office.servers[0].busy()


def test_it_can_be_run_beside_its_times(office):
    made = office.ws.schedules.create("s", "quick", "@yearly", inputs={"word": "now"})
    run = office.ws.schedules.run("s")
    assert office.ws.runs.wait(run.id, timeout_s=30).outputs == {"word": "now"}
    assert outcomes(office) == [("by hand", "")]
    assert office.ws.schedules.get("s").next_at == made.next_at


def test_an_enabled_schedule_holds_the_server(office):
    composed = office.servers[0]
    assert not composed.busy()
    office.ws.schedules.create("s", "quick", "@yearly")
    assert composed.busy()
    office.ws.schedules.pause("s")
    assert not composed.busy()


def test_the_doctor_says_that_nothing_keeps_the_server_up(office):
    def told():
        return [finding for finding in office.ws.providers.diagnose(network=False) if finding.subject == "schedules"]

    assert told() == []
    office.ws.schedules.create("s", "quick", "@daily")
    assert told()[0].state == "note"
    assert "serve --install" in told()[0].advice


def test_the_scheduler_rings_by_itself(office):
    """The one that a server has, with the real clock: a schedule made here is looked at in the background."""
    composed = office.servers[0]
    made = office.ws.schedules.create("s", "quick", "@hourly")
    due = made.next_at - timedelta(hours=1)
    composed.machinery.store.transaction(lambda transaction: kept.switch(transaction, "s", enabled=True, next_at=due))
    composed.scheduler.ring()
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    while not (times := office.ws.schedules.times("s")):
        assert datetime.now(UTC) < deadline
        time.sleep(0.01)
    assert times[0].outcome == "started"
