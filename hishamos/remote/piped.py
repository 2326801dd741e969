"""The same workspace in a child process that runs a step's function: verbs go over the child's pipe to whoever started it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hishamos.contracts.verbs import Verb
from hishamos.contracts.wire import answer_adapter
from hishamos.errors import from_wire
from hishamos.remote.proxies import workspace_over
from hishamos.remote.requests import read_frame, written
from hishamos.workspace import Workspace

Ask = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]
"""Sends one message and returns the answer."""


def workspace(root: str, ask: Ask) -> Workspace:
    """Return the run's workspace. Its changing calls take their ids from their order in the step, in the process that answers them."""
    return workspace_over(_Pipe(ask), Path(root))


class _Pipe:
    """Implements :class:`hishamos.remote.proxies.Way`."""

    def __init__(self, ask: Ask, own: dict[str, str] | None = None) -> None:
        self._ask, self._own = ask, own or {}

    def call(self, verb: Verb, arguments: dict[str, Any]) -> Any:
        head, body = self._answered(self._head(verb), written(verb, arguments))
        if head.get("arrow"):
            return read_frame(body)
        return answer_adapter(verb.service, verb.name).validate_json(body)

    def stream(self, verb: Verb, arguments: dict[str, Any]) -> Iterator[Any]:
        adapter = answer_adapter(verb.service, verb.name)
        number = self._answered(self._head(verb), written(verb, arguments))[0]["stream"]
        ended = False
        try:
            while True:
                head, body = self._answered({"next": number})
                ended = bool(head.get("end"))
                if ended:
                    return
                yield adapter.validate_json(body)
        finally:
            if not ended:
                self._answered({"drop": number})

    def close(self) -> None:
        """Nothing is held: the pipe is the child's."""

    def tagged(self, own: dict[str, str]) -> _Pipe:
        """See the plug."""
        return _Pipe(self._ask, {**self._own, **own})

    def _head(self, verb: Verb) -> dict[str, Any]:
        return {"service": verb.service, "verb": verb.name, "own": self._own}

    def _answered(self, head: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        told, rest = self._ask(head, body)
        if "error" in told:
            raise from_wire(told["error"])
        return told, rest
