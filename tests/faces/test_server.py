"""The workspace server as its clients meet it: elected once, found again, typed errors, keys handed over, nobody starved."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import hishamos
from hishamos.contracts.services import CONTRACTS
from hishamos.contracts.wire import PROTOCOL, Hello, Places, Welcome, all_verbs
from hishamos.errors import AnswerStopped, InvalidSettings, NoProvider, ServerUnreachable, StoreBusy, StoreTooNew, UnknownName
from hishamos.records.calls import CallStatus, Finished, Restarted, TextPiece, UsageTold
from hishamos.records.results import IssueDraft, ResultDraft
from hishamos.records.turns import AgentEvent
from hishamos.remote.requests import Requests
from tests.rigs.simulator import Simulator

TEXT = {"text": "The app crashes on save and the file is lost"}
OFFLINE = "offline/extractive"
PING = "import hishamos, sys; print(hishamos.open(sys.argv[1]).health.ping().pid)"


def provider_file(folder: Path, url: str, more: str = "") -> None:
    (folder / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{url}/v1"\nconcurrency = 128\n'
        f'[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n{more}'
    )


def server_pid(folder: Path) -> int:
    return int(json.loads(Places(folder).info.read_text())["pid"])


def gone(pid: int) -> bool:
    for _ in range(400):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.long
def test_many_clients_at_once_start_one_server(workspace_dir: Path) -> None:
    clients = [subprocess.Popen([sys.executable, "-c", PING, str(workspace_dir)], stdout=subprocess.PIPE, text=True) for _ in range(8)]
    pids = {client.communicate(timeout=60)[0].strip() for client in clients}
    assert pids == {str(server_pid(workspace_dir))}


def test_a_client_goes_on_with_the_next_server_after_kill(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    first = ws.health.ping().pid
    ws.projects.ensure("KEEP")
    os.kill(first, signal.SIGKILL)
    assert [project.key for project in ws.projects.list()] == ["KEEP"]
    assert ws.health.ping().pid != first


def test_remains_of_a_dead_server_are_no_obstacle(workspace_dir: Path) -> None:
    places = Places(workspace_dir)
    hishamos.open(workspace_dir).health.ping()
    os.kill(server_pid(workspace_dir), signal.SIGKILL)
    places.info.write_text("{not json")
    assert hishamos.open(workspace_dir).health.ping().pid == server_pid(workspace_dir)


@pytest.mark.usefixtures("real_processes")
def test_socket_and_facts_belong_to_the_owner_only(workspace_dir: Path) -> None:
    hishamos.open(workspace_dir).health.ping()
    places = Places(workspace_dir)
    address = Path(json.loads(places.info.read_text())["address"].removeprefix("unix:"))
    assert stat.S_IMODE(address.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(address.stat().st_mode) == 0o600
    assert stat.S_IMODE(places.info.stat().st_mode) == 0o600


def test_a_long_and_odd_path_is_served(workspace_dir: Path) -> None:
    deep = workspace_dir / ("ü" * 30 + " folder") / ("long" * 30)
    deep.mkdir(parents=True)
    try:
        assert hishamos.open(deep).health.status().workspace == str(deep)
    finally:
        Requests(deep).stop()


def test_the_handshake_tells_newer_code_and_other_protocols(workspace_dir: Path) -> None:
    requests = Requests(workspace_dir)
    server = requests.server

    def greeted(**changes: object) -> Welcome:
        hello = Hello.model_validate({"protocol": PROTOCOL, "version": "9", "stamp": 0, "fingerprint": "other", **changes})
        return Welcome.model_validate_json(requests._post(server, "/v1/hello", hello.model_dump_json().encode(), {})[1])

    assert not greeted().newer_client
    assert greeted(stamp=2**62).newer_client
    assert not greeted(stamp=2**62, fingerprint=server.fingerprint).newer_client


def test_stop_drains_and_the_next_call_starts_a_new_server(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    run = ws.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "no"}, model=OFFLINE)
    first = server_pid(workspace_dir)
    assert Requests(workspace_dir).stop()
    assert gone(first)
    assert not Places(workspace_dir).info.exists()
    assert ws.runs.wait(run.id, timeout_s=60).state == "succeeded"
    assert server_pid(workspace_dir) != first


@pytest.mark.usefixtures("real_processes")
def test_an_idle_server_leaves(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISHAMOS_IDLE_S", "1")
    pid = hishamos.open(workspace_dir).health.ping().pid
    assert gone(pid)
    assert "nothing to do" in Places(workspace_dir).log.read_text()


def test_help_shows_what_a_verb_takes_as_its_contract_says_it(workspace_dir: Path) -> None:
    for ws in (hishamos.open(workspace_dir), hishamos.open(workspace_dir).tagged(team="red")):
        shown = inspect.signature(ws.runs.list)
        assert shown == inspect.signature(functools.partial(CONTRACTS["runs"].list, None))
        assert ws.runs.list.__doc__ == CONTRACTS["runs"].list.__doc__
        with pytest.raises(TypeError, match="no_such"):
            ws.runs.list(no_such=1)


def test_typed_errors_travel(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    with pytest.raises(UnknownName, match="did you mean 'classify_bug'") as caught:
        ws.commands.get("clasify_bug")
    assert caught.value.name == "clasify_bug"
    with pytest.raises(NoProvider, match="offline/extractive"):
        ws.commands.run("classify_bug", TEXT)


def test_a_key_set_after_the_server_started_works_in_the_next_call(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator() as simulator:
        provider_file(workspace_dir, simulator.url)
        ws = hishamos.open(workspace_dir)
        with pytest.raises(NoProvider):
            ws.commands.run("classify_bug", TEXT)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-set-in-a-notebook-0123456789")
        assert ws.commands.run("classify_bug", TEXT).model == "openai/gpt-4.1-mini"
        monkeypatch.setenv("OPENAI_API_KEY", "sk-another-one-0123456789abcdef")
        assert ws.commands.run("classify_bug", TEXT).model == "openai/gpt-4.1-mini"
        assert len({entry["key"] for entry in simulator.book()}) == 2, "the latest key wins"


def test_no_key_is_found_in_the_data_folder(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-never-write-me-0123456789abcdef"
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    with Simulator() as simulator:
        provider_file(workspace_dir, simulator.url)
        simulator.script("gpt-4.1-mini", then={"status": 401, "message": f"Incorrect API key provided: {secret}"})
        ws = hishamos.open(workspace_dir)
        with pytest.raises(hishamos.HishamosError) as caught:
            ws.commands.run("classify_bug", TEXT)
        assert secret not in str(caught.value)
        assert "OPENAI_API_KEY" in str(caught.value)
        attempts = ws.ledger.calls()
    assert attempts
    assert secret not in str(attempts)
    Requests(workspace_dir).stop()
    found = [str(file) for file in (workspace_dir / "data").rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]
    assert found == []


def test_a_stream_comes_as_typed_events_while_the_answer_comes(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-streaming-0123456789abcdef")
    with Simulator() as simulator:
        provider_file(workspace_dir, simulator.url)
        ws = hishamos.open(workspace_dir)
        ws.agents.ask("bug-triage", "warm up")
        simulator.script("gpt-4.1-mini", {"cut_after": 2, "text": "one two three four five six seven eight"}, {"chunk_s": 0.1, "text": "word " * 30})
        seen: list[tuple[float, AgentEvent]] = [(time.monotonic(), event) for event in ws.agents.stream("bug-triage", "tell me")]
        events = [event for _, event in seen]
        restart = next(place for place, event in enumerate(events) if isinstance(event, Restarted))
        pieces = [(moment, event.text) for moment, event in seen[restart:] if isinstance(event, TextPiece)]
        assert "".join(text for _, text in pieces) == "word " * 30
        assert pieces[-1][0] - pieces[0][0] > 0.4, "the first pieces were seen while the last were still to come"
        assert [event.kind for event in events[:restart]] == ["attempt", "text", "text", "usage"]
        assert [event.kind for event in events[-4:]] == ["usage", "turn", "answer", "finish"]
        whole, broken = ws.ledger.calls(limit=2)
        assert [event.cost_nanos for event in events if isinstance(event, UsageTold)] == [broken.cost_nanos, whole.cost_nanos]
        assert events[-1] == Finished(status=CallStatus.SUCCEEDED, model=whole.model, cost_nanos=broken.cost_nanos + whole.cost_nanos)
        # Who hears an answer that somebody else stops is told so at once, while the provider still holds it.
        simulator.script("gpt-4.1-mini", {"text": "one two three four five six seven eight", "hold_after": 2})
        talk = ws.conversations.start("bug-triage")
        heard = talk.stream("Count")
        while next(heard).kind != "text":
            pass
        hishamos.open(workspace_dir).conversations.stop(talk.id)
        with pytest.raises(AnswerStopped, match=talk.id[:6]):
            deque(heard, maxlen=0)
        simulator.go_on()


def test_waiting_calls_starve_nobody(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-waiting-0123456789abcdef")
    with Simulator() as simulator:
        provider_file(workspace_dir, simulator.url)
        ws = hishamos.open(workspace_dir)
        ws.agents.ask("bug-triage", "warm up")
        simulator.script("gpt-4.1-mini", then={"delay_s": 6})
        with ThreadPoolExecutor(64) as pool:
            asks = [pool.submit(ws.agents.ask, "bug-triage", f"wait {number}") for number in range(64)]
            deadline = time.monotonic() + 30
            while simulator.peak() < 64 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert simulator.peak() == 64
            slowest = 0.0
            for _ in range(20):
                begun = time.perf_counter()
                ws.health.ping()
                ws.projects.list()
                slowest = max(slowest, time.perf_counter() - begun)
            assert not any(ask.done() for ask in asks), "they still wait while the pings were answered"
            assert slowest < 2, "a ping that waited for a model would take 6 s"
            assert all(ask.result(60).status == "succeeded" for ask in asks)


@pytest.mark.parametrize("tries", [(1, 2, 1), (2, 1)], ids=["repeated", "overtaken by its repeat"])
def test_a_repeated_change_gives_the_first_answer(workspace_dir: Path, tries: tuple[int, ...]) -> None:
    requests = Requests(workspace_dir)
    create = all_verbs()["issues", "create"]
    hishamos.open(workspace_dir).projects.ensure("DEMO")
    body = json.dumps({"project": "DEMO", "drafts": [IssueDraft(title="once").model_dump(mode="json")]}).encode()
    first, *others = [requests._once(create, body, "the-same-id-0123", tried=tried) for tried in tries]
    assert [first] * len(others) == others
    assert len(hishamos.open(workspace_dir).issues.list(project="DEMO")) == 1


def test_a_change_is_not_repeated_after_a_kill(workspace_dir: Path) -> None:
    requests, save = Requests(workspace_dir), all_verbs()["results", "save"]
    body = json.dumps({"draft": ResultDraft(title="once").model_dump(mode="json")}).encode()
    saved = requests._once(save, body, "the-same-id-0123", tried=1)
    os.kill(requests.server.pid, signal.SIGKILL)
    after = Requests(workspace_dir)
    assert after._once(save, body, "the-same-id-0123", tried=2) == saved
    assert hishamos.open(workspace_dir).results.list() == [saved]


def test_following_a_run_ends_with_it(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    run = ws.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "no"}, model=OFFLINE)
    events = list(ws.runs.follow(run.id))
    assert [event.seq for event in events] == sorted({event.seq for event in events})
    assert (events[-1].kind, events[-1].state) == ("run", "succeeded")


def test_relative_file_inputs_are_the_callers(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = workspace_dir / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.csv").write_text("id,title,body\n1,Crash,The app crashes on start\n")
    ws = hishamos.open(workspace_dir)
    monkeypatch.chdir(elsewhere)
    run = ws.workflows.start("triage_bugs", {"file": "mine.csv", "publish": "no"}, model=OFFLINE).wait(60)
    assert run.state == "succeeded"
    assert run.inputs["file"] == str(elsewhere / "mine.csv")


def test_settings_are_checked_and_a_broken_edit_keeps_the_last_good_ones(workspace_dir: Path) -> None:
    file = workspace_dir / "hishamos.toml"
    file.write_text("[workspace]\nstroe = 'x'\n")
    with pytest.raises(InvalidSettings, match=r"'stroe'.*did you mean 'store'.*line 2"):
        hishamos.open(workspace_dir).health.ping()
    file.write_text('[providers.openai]\napi_key = "sk-literal-0123456789"\n')
    with pytest.raises(InvalidSettings, match="literal key") as caught:
        hishamos.open(workspace_dir).health.ping()
    assert "sk-literal" not in str(caught.value)
    file.write_text("[workspace]\nroute = 'default'\n")
    ws = hishamos.open(workspace_dir)
    assert ws.health.status().settings_error is None
    file.write_text("[workspace\n")
    ws.providers.models()
    assert "no valid TOML" in (ws.health.status().settings_error or "")
    assert ws.commands.run("classify_bug", TEXT, model=OFFLINE).offline


@pytest.mark.usefixtures("real_processes")
def test_a_foreign_holder_of_the_file_is_named(workspace_dir: Path) -> None:
    path = workspace_dir / "data" / "local" / "hishamos.duckdb"
    path.parent.mkdir(parents=True)
    code = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(StoreBusy, match=f"pid {holder.pid}"):
            hishamos.open(workspace_dir)
    finally:
        holder.kill()
        holder.wait()
    assert hishamos.open(workspace_dir).health.ping()


def test_a_store_of_a_newer_version_is_refused_in_a_sentence(workspace_dir: Path) -> None:
    import duckdb

    hishamos.open(workspace_dir).health.ping()
    Requests(workspace_dir).stop()
    with duckdb.connect(str(workspace_dir / "data/local/hishamos.duckdb")) as connection:
        connection.execute("insert into migrations values (9999, 'future', 'x', now())")
    with pytest.raises(StoreTooNew, match=r"newer HishamOS \(schema 9999.*pip install -U hishamos"):
        hishamos.open(workspace_dir)


def test_a_folder_that_cannot_be_written_is_told(workspace_dir: Path) -> None:
    # Everything is imported before the rights are dropped: the Python installation may be readable by its owner only.
    code = (
        "import os, sys, difflib, fcntl, hishamos, hishamos.remote, hishamos.settings, hishamos.contracts.wire\n"
        "hishamos.contracts.wire.code()\n"
        "hishamos.open\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: hishamos.open(sys.argv[1])\n"
        "except hishamos.errors.StoreError as error: print(error)"
    )
    workspace_dir.chmod(0o555)
    done = subprocess.run([sys.executable, "-c", code, str(workspace_dir)], capture_output=True, text=True, check=False)
    workspace_dir.chmod(0o755)
    assert "can't be written" in done.stdout, done.stderr
    assert "--workspace" in done.stdout


def test_a_runtime_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    from hishamos.security import check_owned

    folder = tmp_path / "sockets"
    folder.mkdir(mode=0o755)
    with pytest.raises(ServerUnreachable, match="0700"):
        check_owned(folder)


def test_an_unexpected_error_is_typed_and_its_trace_stands_in_the_log(workspace_dir: Path) -> None:
    requests = Requests(workspace_dir)
    with pytest.raises(hishamos.HishamosError, match=r"Expecting|unexpected") as caught:
        requests._post(requests.server, "/v1/keys", b"{not json", {})
    reference = re.search(r"error, (\w+)", str(caught.value))
    assert reference
    assert f"unexpected error {reference[1]}" in Places(workspace_dir).log.read_text()


def test_threads_share_one_workspace(workspace_dir: Path) -> None:
    ws = hishamos.open(workspace_dir)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                ws.issues.create("DEMO", [IssueDraft(title=f"{number}/{turn}")])
        except BaseException as error:
            failures.append(error)

    ws.projects.ensure("DEMO")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    keys = [issue.key for issue in ws.issues.list(project="DEMO", limit=1000)]
    assert sorted(int(key.split("-")[1]) for key in keys) == list(range(1, 81))
