"""What a child asks of its run's workspace, answered in the process that has the services: the local transport's verbs over a pipe."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from hishamos.contracts.wire import all_verbs, answer_adapter, read_arguments
from hishamos.errors import HishamosError, ServerError, UnknownName, to_wire
from hishamos.frames.tables import arrow_bytes
from hishamos.kernels.channel import Message
from hishamos.records.record import canonical


class Answering:
    """Answers what one call asks of ``workspace``, which is made when it is first asked."""

    def __init__(self, workspace: Callable[[], Any]) -> None:
        self._make = workspace
        self._workspace: Any = None
        self._tagged: dict[str, Any] = {}
        """The same for each set of tags that was asked with."""
        self._streams: dict[int, tuple[Any, Any]] = {}
        self._numbers = itertools.count(1)

    def answer(self, asked: dict[str, Any], body: bytes) -> Message:
        """Return the answer to one message; what goes wrong is an answer too."""
        try:
            return self._answer(asked, body)
        except HishamosError as error:
            return {"error": to_wire(error)}, b""
        except Exception as error:  # noqa: BLE001 - the child gets a typed error, as over the socket
            where = f"ws.{asked.get('service')}.{asked.get('verb')}"
            return {"error": to_wire(ServerError(problem=f"{type(error).__name__}: {error}", where=where, next=""))}, b""

    def close(self) -> None:
        """Let go of what is still streamed."""
        for feed, _ in self._streams.values():
            feed.close(cancel=False)

    def _answer(self, asked: dict[str, Any], body: bytes) -> Message:
        if "next" in asked:
            return self._next(asked["next"])
        if "drop" in asked:
            feed, _ = self._streams.pop(asked["drop"], (None, None))
            if feed is not None:
                feed.close()
            return {}, b""
        service, name = str(asked.get("service")), str(asked.get("verb"))
        if (service, name) not in all_verbs():
            raise UnknownName.among("verb", f"{service}.{name}", [".".join(one) for one in all_verbs()])
        verb = all_verbs()[service, name]
        arguments = read_arguments(verb, body)
        if self._workspace is None:
            self._workspace = self._make()
        part = getattr(self._with_tags(asked.get("own") or {}), service)
        if verb.kind == "table":
            return {"arrow": True}, arrow_bytes(getattr(part, f"{name}_table")(**arguments))
        answer = getattr(part, name)(**arguments)
        if verb.kind == "stream":
            number = next(self._numbers)
            self._streams[number] = (answer, answer_adapter(service, name))
            return {"stream": number}, b""
        return {}, answer_adapter(service, name).dump_json(answer)

    def _with_tags(self, own: dict[str, str]) -> Any:
        if not own:
            return self._workspace
        key = canonical(own)
        if key not in self._tagged:
            self._tagged[key] = self._workspace.tagged(**own)
        return self._tagged[key]

    def _next(self, number: int) -> Message:
        feed, adapter = self._streams[number]
        items: Iterator[Any] = iter(feed)
        try:
            return {}, adapter.dump_json(next(items))
        except StopIteration:
            del self._streams[number]
            return {"end": True}, b""
