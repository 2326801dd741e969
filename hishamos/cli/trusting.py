"""Which servers may have which provider's key: the user's own decision, kept outside of the workspace."""

from __future__ import annotations

import click

from hishamos.cli.face import Face, pass_face
from hishamos.cli.verbs import Verb
from hishamos.errors import InvalidInput


@click.command("trust", cls=Verb)
@click.argument("host", required=False)
@click.option("--provider", metavar="NAME", help="Whose key; left out, the providers of hishamos.toml whose api_base is on that host.")
@click.option("--remove", is_flag=True, help="Trust it no longer.")
@pass_face
def trust_verb(face: Face, *, host: str | None, provider: str | None, remove: bool) -> None:
    """Let a provider's key go to a server that is not the provider's own, from this workspace only; without HOST, list what is trusted.

    A known provider's key goes to that provider's hosts and to this machine, wherever a hishamos.toml would send it. What you trust stands in
    your own configuration, so a workspace that you got from somebody can't trust itself.
    """
    from hishamos.records.configuration import origin
    from hishamos.settings import Trust, find_root, load

    root, trust = find_root(face.path), Trust()
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
