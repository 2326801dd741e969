"""An MCP server over HTTP ("streamable HTTP"): each message is one bounded request, and what comes back is read whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from hishamos.errors import HishamosError, McpFailed

if TYPE_CHECKING:
    import httpx

    Send = Callable[..., tuple[httpx.Response, bytes]]
    """:func:`hishamos.engine.web.send` with its check of hosts and its limit."""

KINDS = "application/json, text/event-stream"
SHOWN = 200
LEAVING_S = 5.0
ENDED = None


class ServerAddress:
    """One conversation with a server, from :meth:`open` to :meth:`end`."""

    def __init__(self, name: str, url: str, headers: Mapping[str, str], send: Send, timeout_s: float) -> None:
        self._name, self._url, self._send, self._timeout_s = name, url, send, timeout_s
        self._headers = {"Content-Type": "application/json", "Accept": KINDS} | dict(headers)
        self._came: asyncio.Queue[str | McpFailed | HishamosError] = asyncio.Queue()
        self._asking: set[asyncio.Task[None]] = set()
        self._conversation = False

    async def open(self) -> None:
        """Nothing is asked before the first message."""

    async def send(self, text: str) -> None:
        """Hand it one message; a request is waited for beside the next."""
        asking = asyncio.create_task(self._ask(text))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        if "id" not in json.loads(text):
            await asking  # a notice that has to be there before the next message

    async def messages(self) -> AsyncIterator[str]:
        """Give what came back; raises :class:`McpFailed`, and what the check of its host raises."""
        while True:
            message = await self._came.get()
            if isinstance(message, HishamosError):
                raise message
            yield message

    async def end(self, *, kindly: bool) -> None:
        """Say good-bye where there is time for it."""
        for asking in tuple(self._asking):
            asking.cancel()
        if kindly and self._conversation:
            with contextlib.suppress(HishamosError):
                await self._sent("DELETE", None, LEAVING_S)

    async def _ask(self, text: str) -> None:
        try:
            response, body = await self._sent("POST", text.encode(), self._timeout_s)
        except HishamosError as error:
            self._came.put_nowait(error)
            return
        identity = response.headers.get("mcp-session-id")
        if identity is not None:
            self._headers["Mcp-Session-Id"], self._conversation = identity, True
        for message in _messages(response.headers.get("content-type", ""), body.decode("utf-8", "replace")):
            with contextlib.suppress(ValueError, TypeError, KeyError):  # a later request has to say which version was agreed on
                self._headers["MCP-Protocol-Version"] = json.loads(message)["result"]["protocolVersion"]
            self._came.put_nowait(message)

    async def _sent(self, method: str, content: bytes | None, timeout_s: float) -> tuple[httpx.Response, bytes]:
        import anyio.to_thread
        import httpx

        ask = partial(self._send, method, self._url, headers=dict(self._headers), content=content, timeout_s=timeout_s)
        try:
            response, body = await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)
        except httpx.TimeoutException:
            raise self._failed(f"it did not answer within {timeout_s:g} s") from None
        except HishamosError:
            raise
        except Exception as error:  # noqa: BLE001 - too large, no connection, no address: all the same to who asked
            raise self._failed(f"{type(error).__name__}: {str(error)[:SHOWN]}".rstrip(": ")) from None
        if response.status_code >= 300 and method == "POST":
            raise self._failed(f"it answered {response.status_code}: {' '.join(body.decode('utf-8', 'replace').split())[:SHOWN]}")
        return response, body

    def _failed(self, problem: str) -> McpFailed:
        return McpFailed(server=self._name, problem=problem, next="Do without it.")


def _messages(kind: str, text: str) -> Iterator[str]:
    """Give the messages of an answer: the one that it is, or those of its events."""
    if not kind.lower().startswith("text/event-stream"):
        if text.strip():
            yield text
        return
    for event in text.replace("\r\n", "\n").split("\n\n"):
        data = [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
        if any(data):
            yield "\n".join(data)
