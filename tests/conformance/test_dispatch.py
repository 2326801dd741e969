"""Dispatchers: a job is a run's id, the truth is the run's row; who is next stands in the store. The same tests inline, in threads and with Celery."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from hishamos.composition import compose
from hishamos.dispatch.inline import InlineDispatcher
from hishamos.records.actors import OWNER
from hishamos.records.record import new_id, now
from hishamos.records.runs import Run, RunState
from tests.rigs.lengths import shared_out
from tests.rigs.workers import WorkerProcess, settle

PLACES = 2
FLOWS = {
    "one": "steps:\n  - {id: a, type: command, with: {command: classify_bug, inputs: {text: The app crashes}}}",
    "light": "steps:\n  - {id: a, type: approval, when: run.name == 'never', with: {message: Never}}",
    "slow": "steps:\n  - {id: a, type: shell, timeout: 0.3, with: {program: sleep, args: ['20']}}",
    "asks": "steps:\n"
    "  - {id: ok, type: approval, with: {message: Really}}\n"
    "  - {id: b, type: command, after: [ok], with: {command: classify_bug, inputs: {text: It crashes}}}",
    "within": "steps:\n  - {id: child, type: workflow, with: {workflow: one}}",
    "waits": "steps:\n  - {id: w, type: wait, with: {seconds: 0.2}}\n  - {id: b, type: command, after: [w], with: {command: classify_bug, inputs: {text: It crashes}}}",
}


def lay_out(folder: Path, settings: str) -> None:
    (folder / "workflows").mkdir()
    (folder / "hishamos.toml").write_text(f'[workspace]\nruns = {PLACES}\n{settings}\n[allow]\nprograms = ["sh", "sleep"]\n')
    for name, steps in FLOWS.items():
        (folder / "workflows" / f"{name}.yaml").write_text(f"name: {name}\ndescription: For a test.\n{steps}\n")


@pytest.fixture(scope="module")
def scaled(postgres_server, redis_url):
    """A workspace whose runs a real worker process works on."""
    import psycopg

    folder, schema = Path(tempfile.mkdtemp(prefix="hos-")), f"t_{os.urandom(6).hex()}"
    lay_out(folder, f'store = "{postgres_server}?schema={schema}"\nbroker = "{redis_url}"')
    worker = WorkerProcess(folder, concurrency=PLACES)
    composed = compose(folder)
    composed.start()
    worker.ready()
    yield composed
    composed.close()
    assert worker.stop() == 0, worker.log.read_text()
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'drop schema if exists "{schema}" cascade')
    shutil.rmtree(folder)


@pytest.fixture(params=shared_out(["inline", "threads", "celery"], usual=["threads", "celery"]))
def place(request, tmp_path):
    if request.param == "celery":
        yield request.getfixturevalue("scaled")
        return
    lay_out(tmp_path, "")
    composed = compose(tmp_path, store=":memory:")
    if request.param == "inline":
        composed.machinery.dispatcher = InlineDispatcher(composed.machinery.runner.begin)
    composed.start()
    yield composed
    composed.close()


def start(place, name, **options):
    return place.workspace_for(OWNER).workflows.start(name, {}, model="offline/extractive", **options).id


def insert(place, runs):
    """Insert queued runs in one commit, so that nobody sees some of them only; then have them worked on."""
    machinery = place.machinery
    workflow = machinery.catalog.workflow("light")
    pinned = machinery.catalog.pin(workflow)
    made = [
        Run(id=new_id(), name="light", version=workflow.version, state=RunState.QUEUED, model="offline/extractive", steps_total=1, created_at=now(), **fields)
        for fields in runs
    ]
    machinery.store.transaction(lambda transaction: [machinery.journal.insert(transaction, run, pinned) for run in made] and None)
    machinery.runner.recover(machinery.dispatcher.dispatch)
    return [run.id for run in made]


def ended(place, *runs, seconds=60):
    history = place.machinery.journal.history
    for run in runs:
        settle(lambda run=run: history.get(run).ended, seconds, lambda run=run: history.get(run))
    return [history.get(run) for run in runs]


def state(place, run):
    return place.machinery.journal.history.get(run).state


def test_a_run_is_worked_on(place):
    (run,) = ended(place, start(place, "one"))
    assert (run.state, run.steps_done) == (RunState.SUCCEEDED, 1)


def test_a_step_that_never_keeps_its_time_limit_is_tried_three_more_times(place):
    (run,) = ended(place, start(place, "slow"))
    (step,) = place.machinery.journal.history.steps(run.id, under=None, state=None, after=None, limit=10)
    assert (run.state, step.state, step.attempt) == (RunState.FAILED, "timed_out", 4)
    assert run.error.facts["step"] == "a"
    events = place.machinery.journal.history.events(run.id, after=0, limit=100)
    assert [event.state for event in events if event.path == "a"].count("timed_out") == 4


def test_a_run_that_waits_is_let_go_and_taken_up_again(place):
    run = start(place, "asks")
    settle(lambda: state(place, run) is RunState.WAITING)
    place.workspace_for(OWNER).runs.approve(run, "ok")
    assert ended(place, run)[0].state is RunState.SUCCEEDED


def test_a_run_that_waits_for_a_time_is_woken(place):
    assert ended(place, start(place, "waits"))[0].state is RunState.SUCCEEDED


def test_handing_over_again_or_nonsense_changes_nothing(place):
    run = start(place, "one")
    for _ in range(3):
        place.machinery.dispatcher.dispatch(run)
    ended(place, run)
    place.machinery.dispatcher.dispatch(run)
    place.machinery.dispatcher.dispatch("NOSUCH")
    ended(place, start(place, "one"))
    events = place.machinery.journal.history.events(run, after=0, limit=100)
    assert [event.state for event in events if event.kind == "run"] == ["queued", "running", "succeeded"]
    assert len(place.machinery.journal.history.calls(run, limit=10)) == 1


def test_an_urgent_run_overtakes_a_hundred_queued_ones(place):
    *others, urgent = insert(place, [{"priority": 1}] * 100 + [{"priority": 9}])
    (run,) = ended(place, urgent)
    found = place.machinery.journal.history.found(state=None, kind=None, name="light", project=None, limit=1000)
    began = [one for one in found if one.id in others and one.started_at is not None and one.started_at < run.started_at]
    assert len(began) <= PLACES


def test_among_equals_the_users_take_turns(place):
    runs = insert(place, [{"user_name": "amal"}] * 20 + [{"user_name": "badr"}] * 4)
    found = sorted(ended(place, *runs), key=lambda run: run.started_at)
    last = max(number for number, run in enumerate(found) if run.user_name == "badr")
    assert last <= 8 + PLACES, [run.user_name for run in found]


def test_runs_that_wait_for_runs_of_their_own_leave_no_run_without_a_place(place):
    parents = [start(place, "within") for _ in range(3 * PLACES)]
    assert {run.state for run in ended(place, *parents)} == {RunState.SUCCEEDED}


@pytest.mark.parametrize("priority", [-1, 10, 100])
def test_a_priority_is_0_to_9(place, priority):
    with pytest.raises(Exception, match="is no priority"):
        start(place, "one", priority=priority)
