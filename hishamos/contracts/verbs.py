"""The mark that every verb of a contract carries: its permission and how its answer travels.

Kinds, and what an implementation in ``services/`` provides beside the verb itself:

- ``read``: answers at once from the store.
- ``change``: changes something; carries a client-made id, stored in its commit; a repeat returns the first answer.
- ``wait``: waits for a model, a run or time. The implementation also has ``<verb>_later``, same arguments, which returns a
  ``concurrent.futures.Future`` at once; the verb itself is its result. The server awaits the future and holds no thread.
- ``stream``: returns a :class:`hishamos.contracts.feeds.Feed` at once.
- ``table``: returns a DataFrame. The implementation also has ``<verb>_table``, same arguments, which returns a pyarrow table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Literal, TypeVar

Kind = Literal["read", "change", "wait", "stream", "table"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Verb:
    """One verb of a contract."""

    service: str
    name: str
    permission: str
    kind: Kind
    function: Callable[..., Any] = field(repr=False)

    @cached_property
    def signature(self) -> inspect.Signature:
        """What it takes, its annotations as text; see ``typing.get_type_hints``. Found when it is asked for: of hundreds, a program calls a few."""
        return inspect.signature(self.function)


@dataclass(frozen=True)
class _Mark:
    permission: str
    kind: Kind


def verb(permission: str, kind: Kind = "read") -> Callable[[F], F]:
    """Mark a contract's method with the permission it needs and the kind of its answer."""

    def mark(function: F) -> F:
        function.__verb__ = _Mark(permission, kind)  # type: ignore[attr-defined]  # functions take attributes
        return function

    return mark


@cache
def verbs(contract: type, service: str = "") -> Mapping[str, Verb]:
    """Return the marked verbs of a contract by name."""
    found = {}
    for name, function in vars(contract).items():
        mark = getattr(function, "__verb__", None)
        if mark is not None:
            found[name] = Verb(service, name, mark.permission, mark.kind, function)
    return MappingProxyType(found)
