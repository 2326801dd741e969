"""The workspace's own facts: its server, its providers, its health."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict

from hishamos.records.configuration import PersonalData
from hishamos.records.record import Record


class ServerInfo(Record):
    """What ``data/local/server.json`` holds and the handshake confirms; what a newer program adds is passed over."""

    model_config = ConfigDict(extra="ignore")

    pid: int
    host: str
    boot_id: str
    user: str
    address: str
    """``unix:/path`` or ``tcp:127.0.0.1:PORT``."""
    protocol: int
    schema_version: int
    version: str
    fingerprint: str
    """Hash of the package's code: a newer client asks an older server to drain."""
    started_at: datetime


class Pong(Record):
    """The answer to a ping."""

    pid: int
    uptime_s: float
    draining: bool = False


class Health(Record):
    """How the workspace is."""

    workspace: str
    """The folder's path."""
    store: str
    """The store's address, without secrets."""
    version: str
    schema_version: int
    server: ServerInfo | None
    running: int
    queued: int
    waiting: int
    open_calls: int
    size_bytes: int | None
    settings_error: str | None = None
    """A broken edit of hishamos.toml; the last good one is in use."""
    month_cost_nanos: int = 0
    month_unpriced: int = 0
    to_approve: int = 0
    """Steps that wait for a person's decision."""
    timezone: str = "UTC"
    """Whose days, months and budget periods the workspace has."""


class StoredPart(Record):
    """A file or folder in ``data/local/``, where a workspace keeps what is its own."""

    name: str
    what: str
    """What it holds, in words; empty where HishamOS did not make it."""
    files: int
    size_bytes: int


class CircuitStatus(Record):
    """Whether a model is asked: a circuit opens after failures in a row, and after a pause one call tries it."""

    model: str
    state: Literal["closed", "open", "half-open"]
    failures: int = 0
    """In a row."""
    cause: str | None = None
    """Of the last failure."""
    retry_in_s: float | None = None
    """In how many seconds a call may try it again; None at once, or while one does."""


class ProviderStatus(Record):
    """A provider, what is known of its key, and how it has done of late."""

    name: str
    kind: str
    state: Literal["ready", "no key", "misconfigured", "unreachable", "failing", "offline"]
    """``failing``: the circuit of one of its models is open."""
    key: str | None = None
    """Where the key comes from (``env:OPENAI_API_KEY``), never the key."""
    api_base: str | None = None
    models: tuple[str, ...] = ()
    """The models of it that routes name."""
    hides: tuple[PersonalData, ...] = ()
    """Personal data that it is not sent."""
    circuits: tuple[CircuitStatus, ...] = ()
    """Those of its models that are not asked just now."""
    attempts: int = 0
    failed: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    ttft_ms: float | None = None
    """Until the first piece of an answer, median."""
    cost_nanos: int = 0
    last_error: str | None = None
    advice: str = ""
    """What to do next, in a sentence; empty when nothing is."""


class Finding(Record):
    """One line of ``hishamos doctor``."""

    subject: str
    state: Literal["ok", "note", "problem"]
    found: str
    advice: str = ""


class MapRow(Record):
    """One row of a map, as it came out."""

    index: int
    status: Literal["succeeded", "failed", "refused", "cancelled", "pending"]
    output: Any = None
    error: str | None = None
    model: str | None = None
    cost_nanos: int | None = 0
    attempts: int = 0
    reused: bool = False
    """Whether it asked nobody: the workspace had its answer, or an equal row asked for it."""
    not_judged: tuple[str, ...] = ()
    """Fields of the output that the offline model could not judge: their values say nothing."""
