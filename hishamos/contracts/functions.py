"""``ws.functions``: how runs call functions back that a notebook or script registered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from hishamos.contracts.verbs import verb
from hishamos.records.callbacks import Asked, CallBack, CalledBack


class Functions(Protocol):
    """``ws.functions``: functions of the caller's own process (``@hishamos.step``). The client asks here by itself; nobody else needs to."""

    @verb("runs.write", kind="stream")
    def calls(self, desk: str, *, run: str | None = None) -> Iterator[CallBack]:
        """Give the calls that are made at ``desk`` until ``run`` has ended or is paused, or the desk is left. Who stops reading has left."""
        ...

    @verb("runs.write")
    def leave(self, desk: str) -> None:
        """End the calls of a desk for good."""
        ...

    @verb("runs.write")
    def answer(self, call: str, end: CalledBack) -> bool:
        """Tell how a call went; returns whether somebody waited for it."""
        ...

    @verb("runs.write", kind="wait")
    def ask(self, call: str, head: dict[str, Any], body: str) -> Asked:
        """Ask the workspace of the run that a call is made for; ``body`` and the answer's are base 64."""
        ...
