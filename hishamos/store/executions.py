"""What one execution of a notebook asked: found by the execution's id in the tags of attempts and in the origins of runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hishamos.records.origins import Origin
from hishamos.records.receipts import InputFile, ReceiptRun, ServedModel, UsedDefinition
from hishamos.records.record import content_hash
from hishamos.records.spans import BEGINNING
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Row

SQL = statements("executions")


@dataclass(frozen=True)
class Execution:
    """What the store knows of an execution."""

    models: tuple[ServedModel, ...]
    definitions: tuple[UsedDefinition, ...]
    files: tuple[InputFile, ...]
    requests: tuple[str, ...]
    """The hash of each call's request, sorted."""
    runs: tuple[ReceiptRun, ...]
    origin: Origin
    """What its calls and runs agree upon of where they come from."""
    orphaned: int
    began_at: datetime | None


def execution_of(store: Connector, identity: str, since: datetime | None = None) -> Execution:
    """Return what an execution asked. ``since``: when it began, if that is known: what is older is not looked at."""
    # Tags are canonical JSON, in which a quote inside a text is escaped: the words can stand there as the key and its value only.
    values = {"pattern": f'%"execution":"{identity}"%', "since": since or BEGINNING}
    models = store.fetch(SQL["models_of_execution"], values)
    runs = store.fetch(SQL["runs_of_execution"], values)
    served = tuple(ServedModel(**{name: row[name] for name in ServedModel.model_fields}) for row in models)
    return Execution(
        models=served,
        definitions=_definitions(store.fetch(SQL["definitions_of_execution"], values), runs),
        files=_files(runs, store.fetch(SQL["attachments_of_execution"], values)),
        requests=tuple(sorted(row["request_hash"] for row in store.fetch(SQL["requests_of_execution"], values))),
        runs=tuple(_run(row) for row in runs),
        origin=_origin(store.fetch(SQL["commits_of_execution"], values), runs),
        orphaned=sum(int(row["orphaned"]) for row in models),
        began_at=min((row["began_at"] for row in models), default=None),
    )


def _run(row: Row) -> ReceiptRun:
    facts = {name: row[name] for name in ("id", "kind", "name", "version", "state")}
    return ReceiptRun(**facts, inputs_hash=content_hash(json.loads(row["inputs"])))


def _definitions(used: list[Row], runs: list[Row]) -> tuple[UsedDefinition, ...]:
    found = {("workflow", row["name"], row["version"]) for row in runs if row["kind"] == "workflow"}
    for row in used:
        if row["command"]:
            name, _, version = row["command"].partition("@")
            found.add(("command", name, version or None))
        if row["agent"]:
            found.add(("agent", row["agent"], row["agent_version"]))
    ordered = sorted(found, key=lambda one: tuple(part or "" for part in one))
    return tuple(UsedDefinition.model_validate({"kind": kind, "name": name, "version": version}) for kind, name, version in ordered)


def _files(runs: list[Row], attached: list[Row]) -> tuple[InputFile, ...]:
    facts: list[dict[str, Any]] = [fact for row in runs for fact in json.loads(row["files"]).values()]
    facts += [fact for row in attached for fact in json.loads(row["tags"])["files"]]
    found = sorted({(fact["path"], fact["sha256"], fact["bytes"]) for fact in facts})
    return tuple(InputFile(path=path, sha256=digest, bytes=size) for path, digest, size in found)


def _origin(calls: list[Row], runs: list[Row]) -> Origin:
    told = [*calls, *(json.loads(row["origin"]) for row in runs if row["origin"])]

    def agreed(name: str) -> str | None:
        found = {one[name] for one in told if one.get(name)}
        return found.pop() if len(found) == 1 else None

    return Origin(notebook=agreed("notebook"), git_commit=agreed("git_commit"))
