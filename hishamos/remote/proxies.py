"""Services whose verbs are requests, made from the contracts with their signatures and descriptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from hishamos.callbacks import called
from hishamos.contracts.services import CONTRACTS
from hishamos.contracts.shapes import as_model, as_schema
from hishamos.contracts.verbs import Verb, verbs
from hishamos.frames.frame_room import Frames
from hishamos.remote.requests import Requests
from hishamos.workspace import Workspace, bind, with_files


class Way(Protocol):
    """How verbs get to the process that has the services."""

    def call(self, verb: Verb, arguments: dict[str, Any]) -> Any:
        """Send one verb and return its answer."""
        ...

    def stream(self, verb: Verb, arguments: dict[str, Any]) -> Iterator[Any]:
        """Send a stream verb and yield its items."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...

    def tagged(self, own: dict[str, str]) -> Way:
        """Return the same way for verbs with more tags; nothing has to be closed of it."""
        ...


class Proxy:
    """A service in another process."""

    def __init__(self, requests: Way, workspace: list[Workspace]) -> None:
        self._requests = requests
        self._workspace = workspace


def connect(root: Path) -> Workspace:
    """Connect to the workspace's server, started if there is none, and return the workspace."""
    requests = Requests(root)
    _ = requests.server
    return workspace_over(requests, root)


def workspace_over(way: Way, root: Path) -> Workspace:
    """Return the workspace whose verbs go over ``way``."""
    holder: list[Workspace] = []
    services: dict[str, Any] = {name: _proxy_class(name)(way, holder) for name in CONTRACTS}

    def tagger(own: dict[str, str]) -> Workspace:
        return workspace_over(way.tagged(own), root)

    workspace = Workspace(root=str(root), frames=Frames(), closer=way.close, tagger=tagger, **services)
    holder.append(workspace)
    return workspace


def stop(root: Path) -> bool:
    """Ask the workspace's server to leave, and wait until it has; return whether one ran."""
    return Requests(root).stop()


@cache
def _proxy_class(service: str) -> type[Proxy]:
    contract = CONTRACTS[service]
    methods = {name: _method(verb) for name, verb in verbs(contract, service).items()}
    return type(contract.__name__, (Proxy,), {"__doc__": contract.__doc__, **methods})


def _method(verb: Verb) -> Callable[..., Any]:
    def call(self: Proxy, *values: Any, **named: Any) -> Any:
        bound = verb.signature.bind(self, *values, **named)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        arguments.pop("self")
        workspace = self._workspace[0]
        arguments, shape = as_schema(verb, with_files(workspace, verb, arguments))
        if verb.kind == "stream":
            return self._requests.stream(verb, arguments)

        def sent(given: dict[str, Any]) -> Any:
            return as_model(bind(workspace, self._requests.call(verb, given)), shape)

        return called(workspace, verb, arguments, sent)

    call.__name__ = verb.name
    call.__qualname__ = f"{verb.service}.{verb.name}"
    call.__doc__ = verb.function.__doc__
    call.__wrapped__ = verb.function  # type: ignore[attr-defined]  # its signature is what help() and completion show
    return call
