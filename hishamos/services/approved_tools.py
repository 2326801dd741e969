"""Tools of MCP servers as definitions name them and the doctor tells of them; no server is started or asked here."""

from __future__ import annotations

from collections.abc import Mapping

from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.mcp import KIND, McpSettings, ServerTool
from hishamos.records.workspaces import Finding


def approved_tool(reference: str, servers: Mapping[str, McpSettings]) -> ServerTool:
    """Return the tool that ``mcp:SERVER/TOOL`` names; raises ``UnknownName`` with the nearest one, ``InvalidInput`` for a server not approved."""
    name, _, tool = reference.removeprefix(f"{KIND}:").partition("/")
    if name not in servers:
        raise UnknownName.among("MCP server", name, list(servers), f"Declare it in hishamos.toml: [mcp.{name}]")
    approved = servers[name].approved
    if approved is None:
        raise InvalidInput(what=f"nobody approved the MCP server {name} as it is declared", where=f"tool {reference}", next=_line(name))
    found = next((one for one in approved if one.name == tool), None)
    if found is None:
        names = [one.name for one in approved]
        raise UnknownName.among(f"tool of the MCP server {name}", tool, names, f"Approved: {', '.join(names) or 'none'}.")
    return found


def server_findings(servers: Mapping[str, McpSettings]) -> list[Finding]:
    """Return what the doctor says of the MCP servers."""
    findings = []
    for name, server in servers.items():
        if server.approved is None:
            findings.append(Finding(subject=f"mcp {name}", state="note", found="not approved as it is declared: no agent uses it", advice=_line(name)))
        else:
            tools = ", ".join(one.name for one in server.approved) or "no tools"
            findings.append(Finding(subject=f"mcp {name}", state="ok", found=f"approved, {tools}"))
    return findings


def _line(name: str) -> str:
    return f"To look at its tools and approve them: hishamos trust --mcp {name}"
