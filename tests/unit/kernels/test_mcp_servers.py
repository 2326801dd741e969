"""What an MCP server over HTTP may answer, what of a server can't be used, and which words are hidden."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from hishamos.errors import InvalidInput, McpFailed
from hishamos.kernels.mcp_http import ServerAddress
from hishamos.kernels.mcp_servers import McpServers
from hishamos.records.configuration import Settings
from hishamos.records.mcp import McpSettings, ServerTool
from tests.rigs.nursery import python

GREETING = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "fake", "version": "1"}}
SCHEMA = {"type": "object"}
TOKEN = "a-token-of-some-length"
Answer = Callable[[dict[str, Any]], Any]


class Fake:
    """A server that answers in one of the two forms; ``answers`` by method."""

    def __init__(self, *, events: bool = False, **answers: Answer) -> None:
        self.events, self.answers, self.asked = events, answers, []

    def __call__(self, method: str, url: str, *, headers: dict[str, str], content: bytes | None, timeout_s: float) -> tuple[httpx.Response, bytes]:
        message = json.loads(content) if content else {"method": "leave"}
        self.asked.append((method, message["method"], headers))
        if "id" not in message:
            return httpx.Response(202), b""
        result = self.answers.get(message["method"].replace("/", "_"), lambda _: GREETING)(message)
        told = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
        if self.events:
            noise = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "busy"}})
            body = f": hello\r\n\r\nevent: message\r\ndata: {noise}\r\n\r\nid: 1\r\ndata: {told}\r\n\r\n"
            return httpx.Response(200, headers={"content-type": "text/event-stream; charset=utf-8"}), body.encode()
        return httpx.Response(200, headers={"content-type": "application/json", "mcp-session-id": "s1"}), told.encode()


def listed(*tools: dict[str, Any]) -> Answer:
    return lambda _: {"tools": [{"name": "stock", "description": "Tell.", "inputSchema": SCHEMA, **one} for one in tools]}


def given(*content: dict[str, Any], **more: Any) -> Answer:
    return lambda _: {"content": list(content), **more}


def called(fake: Any, **changes: Any) -> Any:
    tool = ServerTool(server="far", name="stock", description="Tell.", parameters=SCHEMA)
    fields = {"name": "far", "url": "https://far.example/mcp", "headers": {"Authorization": "Bearer env:TOKEN"}, "timeout_s": 5, "approved": (tool,)}
    settings = Settings(root=".", mcp={"far": McpSettings(**{**fields, **changes})})
    return McpServers(Path(), lambda: settings, lambda _: TOKEN, fake).call(tool, {"article": "bolts"})


@pytest.mark.parametrize("events", [False, True])
def test_a_server_may_answer_in_either_form(events: bool):
    fake = Fake(events=events, tools_list=listed({}), tools_call=given({"type": "text", "text": "seven"}))
    assert called(fake) == "seven"
    methods = ["initialize", "notifications/initialized", "tools/list", "tools/call"]
    assert [one for _, one, _ in fake.asked] == methods + ([] if events else ["leave"])
    assert {headers["Authorization"] for _, _, headers in fake.asked} == {f"Bearer {TOKEN}"}
    versions = [headers.get("MCP-Protocol-Version") for _, _, headers in fake.asked]
    assert versions[:4] == [None, *["2025-06-18"] * 3]
    assert fake.asked[-1][2].get("Mcp-Session-Id") == (None if events else "s1")


def test_images_are_named_a_structure_goes_before_its_text_and_an_error_is_raised():
    image = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
    text = {"type": "text", "text": f"seven, says {TOKEN}"}
    assert called(Fake(tools_list=listed({}), tools_call=given(text, image))) == {"result": "seven, says [redacted]", "not_passed_on": ["image image/png"]}
    assert called(Fake(tools_list=listed({}), tools_call=given(text, structuredContent={"count": 7}))) == {"count": 7}
    with pytest.raises(McpFailed, match=r"stock failed: seven, says \[redacted\]"):
        called(Fake(tools_list=listed({}), tools_call=given(text, isError=True)))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"description": "Tell all."}, "stock is no longer what was approved"),
        ({"inputSchema": {"type": "object", "properties": {"secret": {"type": "string"}}}}, "stock is no longer what was approved"),
        ({"name": "other"}, "it has no stock now"),
        ({"description": "x" * 5_000}, "it has no stock now"),
    ],
)
def test_a_tool_that_changed_is_not_called(changed: dict[str, Any], problem: str):
    fake = Fake(tools_list=listed(changed), tools_call=given({"type": "text", "text": "never"}))
    with pytest.raises(McpFailed, match=problem):
        called(fake)
    assert "tools/call" not in [one for _, one, _ in fake.asked]


def test_a_tool_that_is_not_approved_asks_nobody():
    fake = Fake()
    with pytest.raises(InvalidInput, match="hishamos trust --mcp far"):
        called(fake, approved=None)
    assert fake.asked == []


def test_what_no_model_can_be_given_is_left_out_with_the_reason():
    fake = Fake(
        tools_list=listed(
            {}, {"name": "long", "description": "x" * 5_000}, {"name": "odd", "inputSchema": {"type": "object", "properties": {"a": {"type": "nonsense"}}}}
        )
    )
    server = McpSettings(name="far", url="https://far.example/mcp")
    tools, left_out = McpServers(Path(), lambda: Settings(root="."), lambda _: None, fake).look(server)
    assert [one.name for one in tools] == ["stock"]
    assert [one.partition(":")[0] for one in left_out] == ["long", "odd"]


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (httpx.ReadTimeout("slow"), "did not answer within"),
        (httpx.ConnectError(f"no way with {TOKEN}"), r"ConnectError: no way with \[redacted\]"),
        (httpx.Response(503), "it answered 503"),
        (httpx.Response(200, headers={"content-type": "application/json"}), "what is no message of MCP"),
        (InvalidInput(what="far.example leads to 127.0.0.1", where="here", next="No."), "leads to 127.0.0.1"),
    ],
)
def test_whatever_an_address_does_is_a_typed_failure(outcome: Any, problem: str):
    def send(*_: Any, **__: Any) -> tuple[httpx.Response, bytes]:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome, b"<html>"

    with pytest.raises((McpFailed, InvalidInput), match=problem):
        called(send)


SLOWLY_LOADED = """
import sys, time
class Slow:
    def find_spec(self, name, *_):
        if name == "mcp.client.session":
            time.sleep(1.5)
assert "mcp" not in sys.modules
sys.meta_path.insert(0, Slow())
from tests.unit.kernels.test_mcp_servers import Fake, called, given, listed
print(called(Fake(tools_list=listed({}), tools_call=given({"type": "text", "text": "seven"})), timeout_s=1))
"""


def test_loading_the_library_is_none_of_the_servers_time():
    told, errors = python(SLOWLY_LOADED, folder=Path(__file__).parents[3]).communicate(60)
    assert told == "seven\n", errors


def test_a_value_that_no_header_may_hold_is_not_sent_and_not_shown():
    tool = ServerTool(server="far", name="stock", parameters=SCHEMA)
    server = McpSettings(name="far", url="https://far.example/mcp", headers={"X-Key": "env:TOKEN"}, approved=(tool,))
    fake = Fake()
    with pytest.raises(McpFailed, match="holds what no header may") as raised:
        McpServers(Path(), lambda: Settings(root=".", mcp={"far": server}), lambda _: "one\ntwo", fake).call(tool, {})
    assert "two" not in str(raised.value)
    assert fake.asked == []


def test_nothing_is_said_at_the_end_of_a_conversation_that_never_was():
    fake = Fake()
    asyncio.run(ServerAddress("far", "https://far.example/mcp", {}, fake, 5).end(kindly=True))
    assert fake.asked == []
