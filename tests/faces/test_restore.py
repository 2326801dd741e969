"""Going back to a copy as people do it: in the terminal, with others at work in the workspace, and with the server killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hishamos
from hishamos.composition import compose
from hishamos.contracts.wire import Places
from hishamos.errors import InvalidInput, StoreError, UnknownName, WorkUnderWay
from hishamos.records.actors import OWNER
from tests.rigs.lengths import shared_out
from tests.rigs.simulator import Simulator

if TYPE_CHECKING:
    from tests.faces.conftest import Terminal

MODEL = "gpt-4.1-mini"
OFFLINE = "offline/extractive"


def paid_workspace(folder: Path, provider: Simulator) -> None:
    (folder / "key").write_text("sk-restoring-0123456789abcdef")
    (folder / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "file:{folder}/key"\napi_base = "{provider.url}/v1"\n[routes.default]\nmodels = ["openai/{MODEL}"]\n'
    )


def test_the_terminal_says_what_it_costs_asks_and_goes_back(own_terminal: Terminal) -> None:
    with Simulator() as provider:
        paid_workspace(own_terminal.folder, provider)
        own_terminal.json("ask", "research", "What is known?")
        own_terminal.json("backup", "copy.duckdb")
        before = own_terminal.json("spend", "--by", "model")
        own_terminal.json("ask", "research", "What else?")
        after = own_terminal.json("spend", "--by", "model")
    more = after[0]["cost_nanos"] - before[0]["cost_nanos"]
    assert more > 0
    plan = own_terminal.json("restore", "copy.duckdb", "--dry-run")
    assert (plan["lost"]["attempts"], plan["lost"]["cost_nanos"], plan["restored_at"]) == (1, more, None)
    asked = own_terminal.type("restore", "copy.duckdb")
    assert asked.returncode == 2
    assert "1 attempt, " in asked.stderr
    assert "--yes" in asked.stderr
    assert own_terminal.json("spend", "--by", "model") == after
    done = own_terminal.json("restore", "copy.duckdb", "--yes")
    assert done["lost"] == plan["lost"]
    assert own_terminal.json("spend", "--by", "model") == before
    (entry,) = own_terminal.json("audit")
    assert (entry["actor"], entry["action"], entry["subject"]) == ("owner", "health.restore", str(own_terminal.folder / "copy.duckdb"))
    assert (entry["attempts"], entry["added_nanos"], entry["value_before"]) == (-1, -more, done["kept"])
    said = own_terminal.type("restore", done["kept"], "--yes")
    assert said.returncode == 0
    assert "Came back: 1 attempt, " in said.stdout
    assert own_terminal.json("spend", "--by", "model") == after


@pytest.mark.long
def test_a_store_that_can_not_be_opened_is_restored_all_the_same(own_terminal: Terminal) -> None:
    own_terminal.json("command", "classify_bug", "-i", "text=It crashes.", "--model", OFFLINE)
    own_terminal.json("backup", "copy.duckdb")
    own_terminal.type("server", "stop")
    store = own_terminal.folder / "data" / "local" / "hishamos.duckdb"
    store.write_bytes(b"not a store any more" * 1000)
    broken = own_terminal.type("runs")
    assert "Restore a backup" in broken.stderr
    asked = own_terminal.type("restore", "copy.duckdb", "--json")
    assert asked.returncode == 2
    assert "can't be told" in asked.stderr
    done = own_terminal.json("restore", "copy.duckdb", "--yes")
    assert done["lost"] is None
    assert Path(done["kept"]).read_bytes().startswith(b"not a store")
    assert own_terminal.json("spend", "--by", "model")[0]["attempts"] == 1
    assert own_terminal.json("audit")[0]["value_before"] == done["kept"]


@pytest.mark.long
def test_everybody_goes_on_with_the_restored_store(workspace_dir: Path) -> None:
    one, other = hishamos.open(workspace_dir), hishamos.open(workspace_dir)
    paused = one.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "ask"}, model=OFFLINE).wait(60)
    assert paused.state == "waiting"
    file = one.health.backup("copy.duckdb")
    later = one.commands.start_map("classify_bug", [{"text": "It crashes."}], model=OFFLINE)
    one.runs.wait(later.id, timeout_s=60)
    one.runs.cancel(paused.id)
    stop = threading.Event()
    failures: list[Exception] = []
    seen: list[set[str]] = []

    def look() -> None:
        while not stop.wait(0.01):
            try:
                seen.append({run.id for run in other.runs.list()})
            except Exception as error:
                failures.append(error)

    onlooker = threading.Thread(target=look)
    onlooker.start()
    done = one.health.restore(file)
    assert [run.id for run in done.goes_on] == [paused.id]
    assert done.lost is not None
    assert done.lost.runs == 1
    assert {run.id for run in one.runs.list()} == {paused.id}
    with pytest.raises(UnknownName):
        one.runs.get(later.id)
    assert one.runs.get(paused.id).state == "waiting", "as it was when the copy was made"
    time.sleep(0.3)
    stop.set()
    onlooker.join(60)
    assert failures == []
    assert seen[0] == {paused.id, later.id}
    assert seen[-1] == {paused.id}
    one.runs.approve(paused.id, "approve")
    assert one.runs.wait(paused.id, timeout_s=60).state == "succeeded"
    assert any("restored from" in event.message for event in one.runs.follow(paused.id))


@pytest.mark.long
def test_what_is_being_worked_on_is_named_and_stopped_only_by_force(workspace_dir: Path) -> None:
    with Simulator() as provider:
        provider.script(MODEL, then={"delay_s": 1.0})
        paid_workspace(workspace_dir, provider)
        ws = hishamos.open(workspace_dir)
        ws.budgets.set("month", limit_usd="5")
        file = ws.health.backup("copy.duckdb")
        run = ws.commands.start_map("classify_bug", [{"text": f"It crashes {number}."} for number in range(40)], concurrency=2)
        while not provider.book():
            time.sleep(0.02)
        with pytest.raises(WorkUnderWay, match=rf"classify_bug {run.id}.*--force"):
            ws.health.restore(file)
        assert ws.runs.get(run.id).state == "running"
        done = ws.health.restore(file, force=True)
        assert ws.runs.list() == []
        sent = len(provider.book())
        assert done.lost is not None
        assert (done.lost.runs, done.lost.attempts) == (1, sent), "what was asked until it stopped is told, and all of it"
        time.sleep(0.5)
        assert len(provider.book()) == sent
        back = ws.health.restore(done.kept or "")
        assert [named.id for named in back.goes_on] == [run.id]
        assert back.back is not None
        assert back.back.cost_nanos == done.lost.cost_nanos > 0
        assert all(balance.equal for balance in ws.ledger.balances())
        provider.script(MODEL)
        assert ws.runs.wait(run.id, timeout_s=120).state == "succeeded"
        assert len(provider.book()) == 40, "no call is sent twice on the way there and back"


@pytest.mark.parametrize("after_s", shared_out([0.0, 0.05, 0.15, 0.3], {0.05}))
def test_a_server_killed_in_the_middle_leaves_one_store_or_the_other(workspace_dir: Path, after_s: float) -> None:
    ws = hishamos.open(workspace_dir)
    ws.projects.ensure("COPY")
    file = ws.health.backup("copy.duckdb")
    ws.projects.ensure("LATER")
    places = Places(workspace_dir)
    pid = int(json.loads(places.info.read_text())["pid"])
    killer = threading.Timer(after_s, os.kill, (pid, signal.SIGKILL))
    killer.start()
    done = ws.health.restore(file)
    killer.join()
    assert [project.key for project in ws.projects.list()] == ["COPY"], "a call that lost its answer is repeated, and does it once"
    entries = [entry for entry in ws.audit.list() if entry.action == "health.restore"]
    assert len(entries) == 1
    assert entries[0].value_before == done.kept
    assert not list(places.local.glob("*restoring*"))
    ws.health.restore(done.kept or "")
    assert {project.key for project in ws.projects.list()} == {"COPY", "LATER"}


def test_a_workspace_in_this_process_and_postgres_refuse(tmp_path: Path, postgres_url: str) -> None:
    with hishamos.open(":memory:") as ws, pytest.raises(InvalidInput, match="in memory"):
        ws.health.restore("copy.duckdb")
    (tmp_path / "hishamos.toml").write_text("")
    house = compose(tmp_path, store="data/local/hishamos.duckdb")
    here = house.workspace_for(OWNER)
    file = here.health.backup("copy.duckdb")
    assert here.health.restore(file, dry_run=True).lost is not None
    with pytest.raises(InvalidInput, match="this process"):
        here.health.restore(file)
    house.close()
    house = compose(tmp_path, store=postgres_url)
    with pytest.raises(StoreError, match="pg_restore"):
        house.workspace_for(OWNER).health.restore(file)
    house.close()
