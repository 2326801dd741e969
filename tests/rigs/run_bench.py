"""A runner on a real store with scripted models: start runs, let time pass, kill the process in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hishamos.contracts.journal import Decided, MapOptions, Pinned
from hishamos.engine.outside import Outside
from hishamos.engine.runner import Runner
from hishamos.engine.timers import Timers
from hishamos.engine.tools import Clock
from hishamos.records.configuration import WorkspaceSettings
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Parameter, WorkflowDefinition
from hishamos.records.record import new_id, now
from hishamos.records.runs import Run, RunKind, RunState, Step
from hishamos.store.connectors import Connector, open_connector
from hishamos.store.journal import StoreJournal
from hishamos.store.migrate import migrate
from tests.rigs.scripted_models import ScriptedModels
from tests.rigs.stores import ScratchStore

ECHO = CommandDefinition(name="echo", description="Says it again.", template="{{ text }}", parameters={"text": Parameter()})
COUNT = CommandDefinition(
    name="count",
    description="Counts.",
    template="{{ text }}",
    parameters={"text": Parameter()},
    output={"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}},
)
AGENT = AgentDefinition(name="helper", description="Helps.", instructions="Be brief.")


class ManualTimers(Timers):
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(lambda: self.now)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for action in self.due():
            action()

    def _keep_time(self) -> None:
        return


class SharedJournal(StoreJournal):
    """The journal as it behaves where other processes may write too: only an expired lease is a sign of death."""

    @property
    def exclusive(self) -> bool:
        return False


class Bench:
    """One store, one scripted gateway, and any number of processes in words: each :meth:`process` is a runner of its own."""

    def __init__(self, store: str = ":memory:", models: ScriptedModels | None = None) -> None:
        self.store: Connector = ScratchStore() if store == ":memory:" else open_connector(store)
        if store != ":memory:":
            migrate(self.store)
        self.journal = StoreJournal(self.store)
        self.models = models or ScriptedModels()
        self.runners: list[Runner] = []
        self.workspace: Any = None
        self.outside: Outside | None = None

    def process(
        self, *, journal: StoreJournal | None = None, timers: Timers | None = None, lease_s: float = 15.0, clock: Clock = now, **settings: Any
    ) -> Runner:
        chosen = WorkspaceSettings(**settings)
        runner = Runner(
            journal or self.journal,
            self.models,
            settings=lambda: chosen,
            workspace_for=lambda run, path: (self.workspace, run.id, path),
            outside=self.outside,
            timers=timers,
            lease_s=lease_s,
            clock=clock,
        )
        self.runners.append(runner)
        return runner

    def insert(
        self,
        steps: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any] | None = None,
        *,
        outputs: Mapping[str, Any] | None = None,
        commands: Sequence[CommandDefinition] = (ECHO, COUNT),
        **fields: Any,
    ) -> str:
        workflow = WorkflowDefinition.model_validate(
            {"name": "flow", "description": "A test.", "steps": list(steps), "outputs": outputs or {}, "inputs": {name: {} for name in inputs or {}}}
        )
        pinned = Pinned(workflow=workflow, commands={one.name: one for one in commands}, agents={"helper": AGENT})
        return self._insert(pinned, dict(inputs or {}), **fields)

    def insert_map(self, rows: Sequence[Mapping[str, Any]], *, command: CommandDefinition = ECHO, concurrency: int = 8, **options: Any) -> str:
        step = {"id": "rows", "type": "rows", "with": {"count": len(rows), "concurrency": concurrency}}
        workflow = WorkflowDefinition.model_validate(
            {"name": command.name, "description": "rows", "steps": [step], "outputs": {"counts": "{{ steps.rows.output }}"}}
        )
        pinned = Pinned(workflow=workflow, commands={command.name: command})
        return self._insert(pinned, {}, kind=RunKind.MAP, rows=rows, options=MapOptions(command=command.name, concurrency=concurrency, **options))

    def run(self, steps: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any] | None = None, **fields: Any) -> Run:
        """Insert a run, work on it in a new process, and return it as it then is."""
        settings = fields.pop("settings", {})
        identity = self.insert(steps, inputs, **fields)
        return self.work(identity, **settings)

    def work(self, identity: str, runner: Runner | None = None, **settings: Any) -> Run:
        (runner or self.process(**settings)).begin(identity).result(60)
        return self.get(identity)

    def resume(self, identity: str, runner: Runner | None = None) -> Run:
        self.store.transaction(lambda transaction: self.journal.queue(transaction, identity, runner.owner if runner else "nobody"))
        return self.work(identity, runner)

    def decide(self, identity: str, path: str, decision: str = "approve", comment: str = "") -> bool:
        decided = Decided(decision=decision, comment=comment, by="amal")
        return self.store.transaction(lambda transaction: self.journal.decide(transaction, identity, path, decided))

    def wish(self, identity: str, wish: str) -> bool:
        return self.store.transaction(lambda transaction: self.journal.wish(transaction, identity, wish))

    def get(self, identity: str) -> Run:
        return self.journal.history.get(identity)

    def steps(self, identity: str, under: str | None = None) -> dict[str, Step]:
        found = self.journal.history.steps(identity, under=under, state=None, after=None, limit=100_000)
        return {step.path: step for step in found}

    def states(self, identity: str) -> dict[str, str]:
        return {path: step.state.value for path, step in self.steps(identity).items()}

    def close(self) -> None:
        for runner in self.runners:
            runner.close()
        self.journal.close()
        self.store.close()

    def _insert(self, pinned: Pinned, inputs: dict[str, Any], **fields: Any) -> str:
        extra = {name: fields.pop(name) for name in ("rows", "options", "deadline_s") if name in fields}
        run = Run(id=new_id(), name=pinned.workflow.name, version=pinned.workflow.version, state=RunState.QUEUED, inputs=inputs, created_at=now(), **fields)
        self.store.transaction(lambda transaction: self.journal.insert(transaction, run, pinned, **extra))
        return run.id
