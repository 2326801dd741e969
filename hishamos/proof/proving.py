"""The proof as a recipe: a workspace of its own, a map whose client and server are killed, a crowd at a budget, an answer that is cut off, a notebook."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hishamos
from hishamos.contracts.wire import Places
from hishamos.errors import CallFailed, ProofInterrupted
from hishamos.proof.evidence import (
    Crowd,
    Cut,
    Map,
    Offline,
    always_readable,
    never_a_fake,
    never_a_wrong_cent,
    never_locked_out,
    never_lost,
    never_over,
    never_twice,
)
from hishamos.proof.provider import WORDS, Provider
from hishamos.records.proofs import Proof
from hishamos.remote.proxies import connect, stop

if TYPE_CHECKING:
    from hishamos.workspace import Workspace

Say = Callable[[str], object]
LONGEST_S = 150.0
"""A part that takes longer than this, on a machine that is busy too, has failed."""
CAP_NANOS = 1_000_000_000
SETTINGS = """
[providers.book]
kind = "openai"
api_base = "{url}"
concurrency = 256
timeout_s = 30

[providers.gone]
kind = "openai"
api_base = "http://127.0.0.1:9/v1"

[routes.default]
models = ["gone/model"]

[routes.broken]
models = ["book/cutting", "book/steady"]
on_broken_stream = "restart"

[prices."book/steady"]
input = "3"
output = "15"

[prices."book/cutting"]
input = "3"
output = "15"

[prices."book/dear"]
input = "1"
output = "100"

[budgets.cap]
scope = "project:CAP"
period = "total"
limit_usd = "1"
"""
COMMAND = 'name: {name}\ndescription: One sentence.\ntemplate: "{{{{ text }}}}"\nmax_output_tokens: {most}\nparameters:\n  text: {{type: text}}\n'
AGENT = "name: teller\ndescription: Tells one sentence.\ninstructions: Tell it.\nmax_output_tokens: 1000\n"


def prove(*, rows: int = 60, calls: int = 64, processes: int = 4, say: Say = str, provider: Provider | None = None) -> Proof:
    """Put the seven promises to the proof in a temporary workspace, without a key and without a network; takes half a minute.

    ``rows``: of the map whose client and then whose server are killed; ``calls``: at once in each of the ``processes`` that crowd a budget of
    1 USD; ``say``: told what is being done, left out nobody is; ``provider``: the witness, left out a loopback provider that keeps an honest book. Raises
    :class:`ProofInterrupted` where a part can't be carried out at all: then nothing is proven.
    """
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="hishamos-proof-"))
    try:
        with provider or Provider() as witness:
            _furnish(folder, witness.url)
            with connect(folder) as workspace:
                proving = _Proving(folder, workspace, witness, say)
                promises = proving.all(rows, calls, processes)
    except (OSError, subprocess.SubprocessError, TimeoutError) as error:
        raise ProofInterrupted(problem=str(error) or type(error).__name__, where=str(folder), next="Try again; see: hishamos doctor") from error
    finally:
        stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
    return Proof(promises=tuple(sorted(promises, key=lambda one: one.number)), seconds=round(time.monotonic() - begun, 1), version=hishamos.__version__)


class _Proving:
    """One proof at work."""

    def __init__(self, folder: Path, workspace: Workspace, provider: Provider, say: Say) -> None:
        self._folder, self._workspace, self._provider, self._say = folder, workspace, provider, say

    def all(self, rows: int, calls: int, processes: int) -> list[Any]:
        mapped = self._killed_map(rows)
        crowd = self._crowd(calls, processes)
        cut, offline = self._cut(), self._offline()
        notebook = self._notebook(mapped.run)
        book, attempts = self._provider.book(), self._workspace.ledger.calls(limit=100_000)
        balances = self._workspace.ledger.balances()
        sums = (
            self._workspace.ledger.spend(by="model"),
            self._workspace.sql("select model, cast(sum(cost_nanos) as bigint) as nanos from attempts group by 1"),
        )
        return [
            never_twice(mapped, book, attempts),
            never_over(crowd, book, attempts),
            never_a_wrong_cent(book, attempts, sums, balances),
            never_a_fake(cut, offline, attempts),
            never_locked_out(crowd),
            never_lost(mapped, balances),
            always_readable(notebook),
        ]

    def _killed_map(self, rows: int) -> Map:
        """Have a client start a map, kill it, then kill the server; see who goes on."""
        self._say(f"A map of {rows} rows: its client is killed, then the server.")
        client = self._client("say", "book/steady", rows, "row")
        self._until(lambda: len(self._provider.book("steady")) >= rows // 5, "the map did not begin", client)
        client.kill()
        client.wait()
        run = self._workspace.runs.list(limit=1)[0].id
        self._until(lambda: len(self._provider.book("steady")) >= rows // 2, "the map did not go on without its client")
        before = self._finished(run)
        os.kill(json.loads(Places(self._folder).info.read_text(encoding="utf-8"))["pid"], signal.SIGKILL)
        killed = time.monotonic()
        after = self._finished(run)
        back_s = time.monotonic() - killed
        ended = self._workspace.runs.wait(run, timeout_s=LONGEST_S)
        served = len(self._provider.book("steady"))
        again = self._client("say", "book/steady", rows, "row")
        ends = json.loads(again.communicate(timeout=LONGEST_S)[0])["ends"]
        return Map(
            run=run,
            rows=rows,
            state=ended.state,
            finished_before=before,
            finished_after=after,
            back_s=back_s,
            sent_by_the_same_again=len(self._provider.book("steady")) - served,
            ends_of_the_same_again=ends,
        )

    def _crowd(self, calls: int, processes: int) -> Crowd:
        """Have several processes ask at once for more than a budget holds."""
        self._say(f"{processes} processes x {calls} calls at once against a budget of 1 USD.")
        clients = [self._client("exclaim", "book/dear", calls, f"process {number} call", "CAP") for number in range(processes)]
        highest, looked = 0, 0
        deadline = time.monotonic() + LONGEST_S
        while any(client.poll() is None for client in clients) and time.monotonic() < deadline:
            budget = self._workspace.budgets.get("cap")
            highest, looked = max(highest, budget.committed_nanos + budget.reserved_nanos), looked + 1
            time.sleep(0.005)
        answers = [json.loads(client.communicate(timeout=LONGEST_S)[0]) for client in clients]
        budget = self._workspace.budgets.get("cap")
        return Crowd(calls * processes, answers, CAP_NANOS, highest, looked, budget.committed_nanos, budget.reserved_nanos)

    def _cut(self) -> Cut:
        """Have an answer cut off in mid-stream: alone, and with a second model behind it."""
        self._say("An answer that is cut off in mid-stream.")
        try:
            alone = str(getattr(list(self._workspace.agents.stream("teller", "number 1", model="book/cutting"))[-1], "status", "nothing"))
        except CallFailed as error:
            alone = type(error).__name__
        text, last = "", None
        for event in self._workspace.agents.stream("teller", "number 2", model="broken"):
            if event.kind == "text":
                text += event.text
            elif event.kind == "restart":
                text = ""
            last = event
        self._workspace.commands.run("say", {"text": "number 3"}, model="book/unlisted")
        return Cut(alone, str(getattr(last, "status", None)), getattr(last, "model", None), text.strip() == WORDS)

    def _offline(self) -> Offline:
        """Ask the offline model by name, and ask where nobody answers."""
        named = self._workspace.commands.run("say", {"text": "The app crashes on save."}, model="offline/extractive")
        try:
            unasked = self._workspace.commands.run("say", {"text": "The app crashes on save."})
        except CallFailed:
            return Offline(named.offline, named.cost_nanos, answered_unasked=False)
        return Offline(named.offline, named.cost_nanos, answered_unasked=unasked.output is not None)

    def _notebook(self, run: str) -> dict[str, Any]:
        self._say("A notebook, executed and read without script, network and server.")
        copy = self._folder / "report.ipynb"
        shutil.copy(Path(__file__).with_name("report.ipynb"), copy)
        batch = self._workspace.batch.start(str(copy), [{"run": run}], jobs=1, output=str(self._folder / "executed"))
        ended = self._workspace.runs.wait(batch.id, timeout_s=LONGEST_S)
        row = self._workspace.batch.rows(batch.id)[0]
        if row.output_path is None or not ended.ended:
            raise TimeoutError(f"the notebook was not executed: {row.error or ended.state}")
        found: dict[str, Any] = json.loads(Path(row.output_path).read_text(encoding="utf-8"))
        return found

    def _finished(self, run: str) -> dict[str, int | None]:
        """Return the finished attempts of a run with their costs, as the store holds them."""
        sql = "select id, cost_nanos from attempts where run_id = $run and status = 'succeeded'"
        frame = self._workspace.sql(sql, parameters={"run": run})
        return dict(zip(frame["id"].tolist(), frame["cost_nanos"].tolist(), strict=True))

    def _client(self, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "hishamos.proof.client", str(self._folder), *map(str, arguments)]
        return subprocess.Popen(command, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    @staticmethod
    def _until(holds: Callable[[], bool], otherwise: str, client: subprocess.Popen[str] | None = None) -> None:
        deadline = time.monotonic() + LONGEST_S
        while not holds():
            if time.monotonic() > deadline or (client is not None and client.poll() is not None):
                raise TimeoutError(otherwise)
            time.sleep(0.01)


def _furnish(folder: Path, url: str) -> None:
    """Write what the workspace needs."""
    for name in ("commands", "agents"):
        (folder / name).mkdir()
    (folder / "hishamos.toml").write_text(SETTINGS.format(url=url), encoding="utf-8")
    (folder / "agents" / "teller.yaml").write_text(AGENT, encoding="utf-8")
    for name, most in (("say", 1000), ("exclaim", 100)):
        (folder / "commands" / f"{name}.yaml").write_text(COMMAND.format(name=name, most=most), encoding="utf-8")
