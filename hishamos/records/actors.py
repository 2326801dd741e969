"""Who acts: each service method runs for an actor and passes one permission check."""

from __future__ import annotations

from hishamos.records.record import Record


class Actor(Record):
    """Somebody or something that acts on a workspace."""

    name: str
    role: str = "owner"
    key_prefix: str | None = None
    """The API key's prefix where a program acts."""


OWNER = Actor(name="owner")
"""Whoever owns the workspace's folder."""

OWNER_PERMISSION = "*"

ROLES: dict[str, frozenset[str]] = {"owner": frozenset({OWNER_PERMISSION})}
"""Role to permissions. Only the owner exists until accounts arrive."""


def allowed(actor: Actor, permission: str) -> bool:
    """Return whether the actor's role grants the permission (``area.verb``)."""
    granted = ROLES.get(actor.role, frozenset())
    return OWNER_PERMISSION in granted or permission in granted
