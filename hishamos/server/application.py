"""The local transport's server end: an ASGI application in which no verb starves another.

Verbs that read or change the store run in a bounded pool of their own. Verbs that wait for a model, a run or time are futures that the
event loop awaits. Streams are feeds that wake the loop. A lost connection cancels nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from hishamos.contracts.feeds import Feed
from hishamos.contracts.verbs import Verb
from hishamos.contracts.wire import ARROW, JSON, NDJSON, PROTOCOL, Hello, Welcome, all_verbs, answer_adapter, read_arguments
from hishamos.errors import HishamosError, ServerClosing, ServerError, UnknownName, to_wire
from hishamos.frames.tables import arrow_bytes
from hishamos.records.origins import Origin
from hishamos.records.record import new_id
from hishamos.records.workspaces import Pong
from hishamos.server.host import Host
from hishamos.workspace import Workspace

THREADS = 16
BEAT_S = 15.0
"""A stream without news says so this often, so that a client that has gone is noticed."""
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
log = logging.getLogger("hishamos.server")


class Application:
    """Serves one workspace to its owner's processes."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.open_requests = 0
        self.last_request = time.monotonic()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="verb")
        self._waiting: dict[str, Callable[[], bool]] = {}
        self._streams: set[asyncio.Event] = set()

    def end_streams(self) -> None:
        """Let every open stream see that the server is leaving; its client goes on with the next one."""
        for news in self._streams:
            news.set()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        self.open_requests += 1
        self.last_request = time.monotonic()
        try:
            await self._serve(scope, receive, send)
        except HishamosError as error:
            await _answer(send, 400, _error_body(error, self.host))
        except Exception:  # the last resort: the client gets a typed error, the log the rest
            reference = new_id(8)
            log.exception("unexpected error %s in %s", reference, scope["path"])
            unexpected = ServerError(problem=f"an unexpected error, {reference}", where=scope["path"], next="Its details: hishamos server logs")
            await _answer(send, 500, _error_body(unexpected, self.host))
        finally:
            self.open_requests -= 1
            self.last_request = time.monotonic()

    async def _serve(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        parts = scope["path"].strip("/").split("/")
        body = await _body(receive)
        match parts:
            case ["v1", "hello"]:
                await _answer(send, 200, self._welcome(Hello.model_validate_json(body)).model_dump_json().encode())
            case ["v1", "keys"]:
                wanted = self.host.hand_over(json.loads(body))
                self.host.handed.set()
                await _answer(send, 200, json.dumps({"wanted": wanted}).encode())
            case ["v1", "stop"]:
                self.host.leave("asked to stop")
                await _answer(send, 200, b"{}")
            case ["v1", "cancel", identity]:
                cancel = self._waiting.get(identity)
                await _answer(send, 200, json.dumps({"cancelled": bool(cancel and cancel())}).encode())
            case ["v1", "health", "ping"]:
                pong = Pong(pid=self.host.info.pid, uptime_s=self.host.uptime_s, draining=self.host.leaving)
                await _answer(send, 200, pong.model_dump_json().encode())
            case ["v1", service, name] if (service, name) in all_verbs():
                await self._verb(all_verbs()[service, name], body, scope, receive, send)
            case _:
                known = [f"{service}.{name}" for service, name in all_verbs()]
                raise UnknownName.among("verb", ".".join(parts[1:]), known, "Client and server differ: hishamos server stop, then try again.")

    def _welcome(self, hello: Hello) -> Welcome:
        return Welcome(
            protocol=PROTOCOL,
            version=self.host.info.version,
            fingerprint=self.host.info.fingerprint,
            pid=self.host.info.pid,
            root=str(self.host.root),
            wanted=tuple(self.host.wanted()),
            newer_client=hello.fingerprint != self.host.info.fingerprint and hello.stamp > self.host.stamp,
        )

    async def _verb(self, verb: Verb, body: bytes, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if self.host.leaving:
            raise ServerClosing
        arguments = read_arguments(verb, body)
        headers = dict(scope["headers"])
        identity, acting = _text(headers, b"x-request-id"), _text(headers, b"x-acting")
        told = headers.get(b"x-origin")
        origin = None if told is None else Origin.model_validate_json(told)
        serving = partial(self.host.serving, identity, acting, origin, (verb, arguments), first=headers.get(b"x-try") == b"1")
        in_pool = partial(self._in_pool, verb, arguments, serving)
        match verb.kind:
            case "wait":
                future = await in_pool(verb.name + "_later")
                value = await self._awaited(identity, future)
                await _answer(send, 200, answer_adapter(verb.service, verb.name).dump_json(value))
            case "stream":
                feed = await in_pool(verb.name)
                news = asyncio.Event()
                self._streams.add(news)
                self._waiting[identity or ""] = partial(_cancel, feed)
                try:
                    await _stream(verb, feed, news, receive, send, self.host)
                finally:
                    self._waiting.pop(identity or "", None)
                    self._streams.discard(news)
            case "table":
                table = await in_pool(verb.name + "_table")
                await _answer(send, 200, await asyncio.to_thread(arrow_bytes, table), ARROW)
            case _:
                data = await in_pool(verb.name, answer_adapter(verb.service, verb.name).dump_json)
                await _answer(send, 200, data)

    async def _in_pool(
        self,
        verb: Verb,
        arguments: dict[str, Any],
        serving: Callable[[], AbstractContextManager[Workspace]],
        method: str,
        finish: Callable[[Any], Any] | None = None,
    ) -> Any:
        def work() -> Any:
            with serving() as workspace:
                value = getattr(getattr(workspace, verb.service), method)(**arguments)
                return finish(value) if finish else value

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, contextvars.copy_context().run, work)

    async def _awaited(self, identity: str | None, future: Future[Any]) -> Any:
        if identity is None:
            return await asyncio.wrap_future(future)
        self._waiting[identity] = future.cancel
        try:
            # Shielded: a connection that is lost while we wait must not cancel the call behind the future.
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            raise ServerClosing from None
        finally:
            self._waiting.pop(identity, None)


async def _stream(verb: Verb, feed: Feed[Any], news: asyncio.Event, receive: Receive, send: Send, host: Host) -> None:
    loop = asyncio.get_running_loop()
    feed.on_ready(lambda: _wake(loop, news))
    adapter = answer_adapter(verb.service, verb.name)
    gone = asyncio.ensure_future(_disconnected(receive))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", NDJSON.encode())]})
    try:
        while not gone.done():
            news.clear()
            try:
                items, ended = feed.take()
            except HishamosError as error:
                await _line(send, _error_body(error, host), last=True)
                return
            for item in items:
                await _line(send, b'{"item":' + adapter.dump_json(item) + b"}")
            if ended:
                await _line(send, b'{"end":true}', last=True)
                return
            waiting = asyncio.ensure_future(news.wait())
            done, _ = await asyncio.wait({waiting, gone}, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not done:
                await _line(send, b"{}")
            if host.leaving:
                return
    finally:
        gone.cancel()
        feed.close(cancel=False)


def _cancel(feed: Feed[Any]) -> bool:
    feed.close()
    return True


def _wake(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    loop.call_soon_threadsafe(news.set)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _line(send: Send, data: bytes, *, last: bool = False) -> None:
    await send({"type": "http.response.body", "body": data + b"\n", "more_body": not last})


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, status: int, body: bytes, kind: str = JSON) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _error_body(error: HishamosError, host: Host) -> bytes:
    return host.redacted(json.dumps({"error": to_wire(error)}, default=str)).encode()


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode()
