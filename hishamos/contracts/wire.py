"""What both ends of the local transport agree on: addresses, the handshake, how arguments and answers are written."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from hishamos.contracts.services import CONTRACTS
from hishamos.contracts.verbs import Verb, verbs
from hishamos.errors import InvalidInput
from hishamos.records.record import Record

PROTOCOL = 1
JSON = "application/json"
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"


class Greeting(Record):
    """Understood across versions: what a newer program adds is passed over, so that the two can say which of them is older."""

    model_config = ConfigDict(extra="ignore")


class Hello(Greeting):
    """What a client says first."""

    protocol: int
    version: str
    stamp: int
    """Newest change of the client's code, nanoseconds since the epoch: a server with older code is asked to drain."""
    fingerprint: str


class Welcome(Greeting):
    """What the server answers."""

    protocol: int
    version: str
    fingerprint: str
    pid: int
    root: str
    wanted: tuple[str, ...]
    """Environment variables that the client should hand over when it has them."""
    newer_client: bool
    """The client's code is newer: it asks this server to drain and starts the next one."""


@dataclass(frozen=True)
class Places:
    """Where a workspace's server keeps its things."""

    root: Path

    @property
    def local(self) -> Path:
        """The folder that git ignores."""
        return self.root / "data" / "local"

    @property
    def lock(self) -> Path:
        """Held by the server as long as it lives."""
        return self.local / "server.lock"

    @property
    def starting(self) -> Path:
        """Held by the client that starts a server, so that many clients start one."""
        return self.local / "server.starting"

    @property
    def info(self) -> Path:
        """Who the server is."""
        return self.local / "server.json"

    @property
    def log(self) -> Path:
        """What the server said."""
        return self.local / "server.log"


@cache
def code() -> tuple[str, int]:
    """Return the fingerprint of the package's files and the newest of their times in nanoseconds."""
    folder = str(Path(__file__).parent.parent)
    digest, newest = hashlib.sha256(), 0
    for file in sorted(_sources(folder), key=attrgetter("path")):
        facts = file.stat()
        digest.update(f"{file.path.removeprefix(folder)} {facts.st_size} {facts.st_mtime_ns}\n".encode())
        newest = max(newest, facts.st_mtime_ns)
    return digest.hexdigest()[:16], newest


def _sources(folder: str) -> Iterator[os.DirEntry[str]]:
    # Every client walks through hundreds of files: entries of folders know what paths would have to ask for.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _sources(entry.path)
            elif entry.name.endswith((".py", ".sql", ".yaml")):
                yield entry


def boot_id() -> str:
    """Return what tells this boot of this machine from others."""
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else socket.gethostname()


@cache
def all_verbs() -> dict[tuple[str, str], Verb]:
    """Return every verb of every contract by service and name."""
    return {(service, name): verb for service, contract in CONTRACTS.items() for name, verb in verbs(contract, service).items()}


@cache
def _hints(service: str, name: str) -> dict[str, Any]:
    # Tables travel as Arrow: their type's name is not resolved, so that a client loads no pandas for it.
    return get_type_hints(getattr(CONTRACTS[service], name), localns={"pandas": SimpleNamespace(DataFrame=Any)})


@cache
def arguments_model(service: str, name: str) -> type[BaseModel]:
    """Return the model that validates a verb's arguments."""
    hints = _hints(service, name)
    fields: dict[str, Any] = {}
    for parameter in list(all_verbs()[service, name].signature.parameters.values())[1:]:
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    return create_model(f"{service}_{name}", __config__=ConfigDict(extra="forbid"), **fields)


def read_arguments(verb: Verb, body: bytes) -> dict[str, Any]:
    """Return a verb's arguments from their JSON; raises :class:`InvalidInput` for those that it does not take."""
    model = arguments_model(verb.service, verb.name)
    try:
        found = model.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(what=f"{first['msg']}: {place}", where=f"ws.{verb.service}.{verb.name}", next="Correct the argument.") from None
    return {name: getattr(found, name) for name in model.model_fields}


@cache
def answer_adapter(service: str, name: str) -> TypeAdapter[Any]:
    """Return what writes and reads a verb's answer; of a stream verb, one item of it."""
    hint: Any = _hints(service, name).get("return")
    if all_verbs()[service, name].kind == "stream":
        hint = hint.__args__[0]  # Iterator[Item]
    return TypeAdapter(hint)
