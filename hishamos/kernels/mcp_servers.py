"""Calls tools of MCP servers: one conversation a call, within its time, held to what the user approved."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hishamos.errors import ConnectionLost, HishamosError, InvalidInput, McpFailed
from hishamos.kernels.mcp_child import ServerChild
from hishamos.kernels.mcp_http import ServerAddress
from hishamos.records.configuration import Settings
from hishamos.records.mcp import McpSettings, ServerTool
from hishamos.records.plain import plain_data
from hishamos.schemas.validation import schema_problem

if TYPE_CHECKING:
    import anyio
    from mcp.client.session import ClientSession

    from hishamos.kernels.mcp_http import Send

PAGES = 20
"""A list of tools has at most so many."""
DESCRIBED = 4_000
"""Characters of a tool's description, and ten times as many of its schema: all of it goes to a model with every question."""
SHOWN = 2_000
WITHOUT = "Do without it."


class Line(Protocol):
    """How messages go to a server and come from it."""

    async def open(self) -> None: ...

    async def send(self, text: str) -> None: ...

    def messages(self) -> AsyncIterator[str]: ...

    async def end(self, *, kindly: bool) -> None: ...


class McpServers:
    """The MCP servers of one workspace; none is running between calls.

    ``settings``: those in force. ``variable``: a variable's value for a server, None without one; raises where it is withheld. ``send``: sends
    one bounded HTTP request to a host that is on the list.
    """

    def __init__(self, root: Path, settings: Callable[[], Settings], variable: Callable[[str], str | None], send: Send) -> None:
        self._root, self._settings, self._variable, self._send = root, settings, variable, send
        self._open: set[tuple[asyncio.AbstractEventLoop, anyio.CancelScope]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def call(self, tool: ServerTool, arguments: Mapping[str, Any]) -> Any:
        """See :class:`hishamos.contracts.mcp.CallServerTool`."""
        server = self._settings().mcp.get(tool.server)
        if server is None or tool not in (server.approved or ()):
            following = f"Whoever owns the workspace approves it: hishamos trust --mcp {tool.server}"
            raise InvalidInput(what=f"{tool.reference} is not approved as it is", where="tools", next=following)

        async def work(session: ClientSession) -> Any:
            offered, _ = await _tools(session, tool.server)
            if tool not in offered:
                problem = f"its tool {tool.name} is no longer what was approved" if tool.name in {one.name for one in offered} else f"it has no {tool.name} now"
                raise McpFailed(server=tool.server, problem=problem, next=f"{WITHOUT} To look at it again: hishamos trust --mcp {tool.server}")
            return _given(tool, await session.call_tool(tool.name, dict(arguments)))

        return self._within(server, work)

    def look(self, server: McpSettings) -> tuple[list[ServerTool], list[str]]:
        """Start or ask a server once; return its tools, and why others can't be used. Approved or not: a person asked for it."""

        async def work(session: ClientSession) -> Any:
            return await _tools(session, server.name)

        found: tuple[list[ServerTool], list[str]] = self._within(server, work)
        return found

    def close(self) -> None:
        """End every conversation and what it started, and begin none any more."""
        with self._lock:
            self._closed = True
            for loop, scope in self._open:
                loop.call_soon_threadsafe(scope.cancel)

    def _within(self, server: McpSettings, work: Callable[[ClientSession], Awaitable[Any]]) -> Any:
        importlib.import_module("mcp.client.session")  # a second or more the first time, which is none of the server's time to answer
        values = {name: self._value(name, server) for name in server.variables}
        line: Line
        if server.url is None:
            line = ServerChild(server.name, server.command, values, self._root)
        else:
            line = ServerAddress(server.name, server.url, server.filled(values), self._send, server.timeout_s)
        return asyncio.run(self._talk(server, line, server.secrets(values), work))

    def _value(self, name: str, server: McpSettings) -> str:
        value = self._variable(name)
        if not value:
            raise McpFailed(server=server.name, problem=f"it needs the variable {name}, which has no value here", next=f"Set {name} where you start the work.")
        if server.url is not None and not (value.isascii() and value.isprintable()):
            raise McpFailed(server=server.name, problem=f"the variable {name} holds what no header may", next=f"Set {name} to one line of plain text.")
        return value

    async def _talk(self, server: McpSettings, line: Line, secrets: tuple[str, ...], work: Callable[[ClientSession], Awaitable[Any]]) -> Any:
        import anyio

        answers: list[Any] = []
        failures: list[HishamosError] = []
        with anyio.CancelScope() as leaving:
            held = (asyncio.get_running_loop(), leaving)
            with self._lock:
                if self._closed:
                    raise _leaving(server.name)
                self._open.add(held)
            try:
                with anyio.move_on_after(server.timeout_s):
                    await line.open()
                    await _converse(server.name, line, secrets, work, answers, failures)
            finally:
                with self._lock:
                    self._open.discard(held)
                with anyio.CancelScope(shield=True):
                    await line.end(kindly=bool(answers))
        if answers:
            return answers[0]
        if leaving.cancel_called:
            raise _leaving(server.name)
        if not failures:
            raise McpFailed(server=server.name, problem=f"it did not answer within {server.timeout_s:g} s", next=WITHOUT)
        first = failures[0]
        raise McpFailed(**first.facts | {"problem": _without(str(first.facts["problem"]), secrets)}) if isinstance(first, McpFailed) else first


async def _converse(
    name: str,
    line: Line,
    secrets: tuple[str, ...],
    work: Callable[[ClientSession], Awaitable[Any]],
    answers: list[Any],
    failures: list[HishamosError],
) -> None:
    """Put what ``work`` gives into ``answers``, or why it gave nothing into ``failures``: the first one is the cause."""
    import anyio
    from mcp.client.session import ClientSession
    from mcp.shared.message import SessionMessage
    from mcp.types import jsonrpc_message_adapter

    given, taken = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    asked, asks = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        async with given:
            try:
                async for text in line.messages():
                    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # what comes after the answer, nobody waits for
                        await given.send(SessionMessage(jsonrpc_message_adapter.validate_json(_without(text, secrets), by_name=False)))
            except ValueError:
                failures.append(McpFailed(server=name, problem="it sent what is no message of MCP", next=WITHOUT))
            except HishamosError as error:
                failures.append(error)

    async def write() -> None:
        async for message in asks:
            await line.send(message.message.model_dump_json(by_alias=True, exclude_unset=True))

    with given, taken, asked, asks:
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(write)
            async with ClientSession(taken, asked) as session:
                try:
                    await session.initialize()
                    answers.append(await work(session))
                except HishamosError as error:
                    failures.append(error)
                except Exception as error:  # noqa: BLE001 - whatever the library makes of a server's words
                    failures.append(McpFailed(server=name, problem=f"{type(error).__name__}: {error}"[:SHOWN], next=WITHOUT))
            group.cancel_scope.cancel()


async def _tools(session: ClientSession, server: str) -> tuple[list[ServerTool], list[str]]:
    from mcp.types import PaginatedRequestParams

    found: list[ServerTool] = []
    left_out: list[str] = []
    cursor = None
    for _ in range(PAGES):
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
        for one in page.tools:
            tool = ServerTool(server=server, name=one.name, description=one.description or "", parameters=one.input_schema)
            problem = _problem(tool)
            if problem is None:
                found.append(tool)
            else:
                left_out.append(f"{one.name[:80]}: {problem}")
        cursor = page.next_cursor
        if cursor is None:
            break
    return found, left_out


def _problem(tool: ServerTool) -> str | None:
    """Return why no model can be given a tool; None when one can."""
    if len(tool.description) > DESCRIBED or len(json.dumps(tool.parameters)) > 10 * DESCRIBED:
        return "its description is too long to go with every question"
    return schema_problem(tool.parameters)


def _given(tool: ServerTool, result: Any) -> Any:
    """Return a result as data: what has a structure, else the text. Images, sounds and resources are named only."""
    text = "\n".join(one.text for one in result.content if one.type == "text")
    if result.is_error:
        raise McpFailed(server=tool.server, problem=f"{tool.name} failed: {text[:SHOWN] or 'it does not say why'}", next="Mend the call or do without it.")
    others = [" ".join(filter(None, (one.type, getattr(one, "mime_type", None)))) for one in result.content if one.type != "text"]
    value = plain_data(text if result.structured_content is None else result.structured_content)
    return {"result": value, "not_passed_on": others} if others else value


def _without(text: str, secrets: tuple[str, ...]) -> str:
    """Return a message without the values that the server was given, plain or as JSON writes them."""
    for secret in secrets:
        for written in {secret, json.dumps(secret)[1:-1]}:
            text = text.replace(written, "[redacted]")
    return text


def _leaving(server: str) -> ConnectionLost:
    return ConnectionLost(problem="the server is leaving", where=f"MCP server {server}")
