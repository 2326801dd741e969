"""MCP servers as the engine sees them: tools that are called in another process or on another machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hishamos.errors import InvalidInput
from hishamos.records.mcp import ServerTool


class CallServerTool(Protocol):
    """Calls tools of MCP servers (``hishamos.kernels``)."""

    def __call__(self, tool: ServerTool, arguments: Mapping[str, Any]) -> Any:
        """Return what a tool gave as plain data; blocks for the server's ``timeout_s`` at most.

        Raises :class:`McpFailed` for whatever goes wrong with the server or its tool, ``InvalidInput`` for a tool that is not approved as it is.
        """
        ...


def no_servers(tool: ServerTool, arguments: Mapping[str, Any]) -> Any:  # noqa: ARG001 - nothing is called
    """Refuse to call a server's tool."""
    raise InvalidInput(what=f"no MCP servers are at hand, and {tool.reference} is a tool of one", where="tools", next="Run it in a workspace.")
