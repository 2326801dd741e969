"""Which servers may have which provider's key, and which MCP servers agents may use: the user's own decision, kept outside of the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hishamos.cli.face import Face, pass_face
from hishamos.cli.verbs import Verb
from hishamos.errors import InvalidInput

if TYPE_CHECKING:
    from hishamos.records.mcp import ServerTool


@click.command("trust", cls=Verb)
@click.argument("host", required=False)
@click.option("--provider", metavar="NAME", help="Whose key; left out, the providers of hishamos.toml whose api_base is on that host.")
@click.option("--mcp", "server", metavar="NAME", help="Start or ask this MCP server of hishamos.toml once, show its tools, and approve them.")
@click.option("--yes", is_flag=True, help="With --mcp: approve without being asked.")
@click.option("--remove", is_flag=True, help="Trust it no longer.")
@pass_face
def trust_verb(face: Face, *, host: str | None, provider: str | None, server: str | None, yes: bool, remove: bool) -> None:
    """Let a provider's key go to a server that is not the provider's own, from this workspace only, or let agents use the tools of an MCP server.

    Without HOST and --mcp, list what is trusted.

    A known provider's key goes to that provider's hosts and to this machine, wherever a hishamos.toml would send it. What you trust stands in
    your own configuration, so a workspace that you got from somebody can't trust itself.
    """
    from hishamos.records.configuration import origin
    from hishamos.settings import Trust, find_root, load

    root, trust = find_root(face.path), Trust()
    if server is not None:
        if host is not None or provider is not None:
            raise click.UsageError("--mcp goes without HOST and --provider.")
        _mcp(face, root, server, yes=yes, remove=remove)
        return
    if host is not None:
        where = origin(host)
        if where is None:
            raise InvalidInput(what=f"{host!r} is no plain host or address", where="hishamos trust", next="Write llm.example.com, or http://10.0.0.5:8000.")
        providers = load(root).providers
        names = [provider] if provider else [one.name for one in providers.values() if one.api_base and origin(one.api_base) == where]
        if not names:
            advice = "Name it: --provider NAME. With an api_base: " + (", ".join(one.name for one in providers.values() if one.api_base) or "none")
            raise InvalidInput(what=f"no provider of this workspace has its api_base at {where}", where="hishamos trust", next=advice)
        for name in names:
            trust.change(root, name, where, trusted=not remove)
    listed = [{"workspace": str(root), "provider": name, "host": one} for name, origins in sorted(trust.of(root).items()) for one in origins]
    lines = [f"{one['provider']}: its key may go to {one['host']}" for one in listed]
    face.show(listed, lambda: lines or ["No server is trusted in this workspace: keys go to their providers' own hosts and to this machine."])


def _mcp(face: Face, root: Path, name: str, *, yes: bool, remove: bool) -> None:
    """Show what an MCP server offers and approve it, or approve it no longer."""
    from hishamos.settings import consent

    if remove:
        consent().withdraw(root, name)
        face.show([], lambda: [f"{name}: not approved any more; no agent of this workspace uses it."])
        return
    from hishamos.composition import look_at_server

    server, tools, left_out = look_at_server(root, name)
    reached = server.url or " ".join(server.command)
    about = [f"{name}: {reached}", f"It gets of your environment: {', '.join(server.variables) or 'no variable of its own'}", ""]
    lines = [*about, *(_told(tool) for tool in tools), *(f"left out: {one}" for one in left_out)]
    face.show(tools, lambda: (_plain(line) for line in lines))
    if not yes and (face.json or not click.confirm("May agents of this workspace use these tools?", err=True)):
        face.say("Nothing was approved. To approve without being asked: --yes")
        return
    consent().approve(root, server, tools)
    named = tools[0].reference if tools else "mcp:NAME/TOOL"
    face.say(f'Approved, for this workspace, as it is now. Name what an agent may use: tools: ["{named}"]')


def _told(tool: ServerTool) -> str:
    arguments = ", ".join(tool.parameters.get("properties", {})) or "none"
    return f"{tool.reference}\n    {tool.description.strip() or 'no description'}\n    arguments: {arguments}"


def _plain(line: str) -> str:
    from rich.markup import escape

    from hishamos.text.inert import inert

    return escape(inert(line))
