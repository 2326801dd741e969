"""The workspaces that this program has opened: ``df.hishamos`` works in the last one that is open."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from hishamos.errors import InvalidInput

if TYPE_CHECKING:
    from hishamos.workspace import Workspace

_opened: list[weakref.ref[Workspace]] = []


def note(workspace: Workspace) -> None:
    """Make a workspace the one that was opened last."""
    _opened[:] = [*(one for one in _opened if one() is not None and one() is not workspace), weakref.ref(workspace)]


def opened_last() -> Workspace:
    """Return the workspace that was opened last in this program and is open; raises :class:`InvalidInput` without one."""
    for one in reversed(_opened):
        workspace = one()
        if workspace is not None and not workspace.closed:
            return workspace
    raise InvalidInput(what="no workspace is open in this program", where="df.hishamos", next="Open one first: ws = hishamos.open()")
