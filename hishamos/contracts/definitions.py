"""Definitions of every kind as texts: checked together, described for editors, begun from a starter."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - as in every contract
from collections.abc import Sequence
from typing import Any, Protocol

from hishamos.contracts.verbs import verb
from hishamos.records.checks import CheckedDefinition, DefinitionKind, DefinitionText, StoredDefinition


class DefinitionsService(Protocol):
    """``ws.definitions``: workflows, commands and agents as files."""

    @verb("workflows.read")
    def check(self, texts: Sequence[DefinitionText]) -> List[CheckedDefinition]:
        """Return what is wrong with each of some definitions, with all mistakes and their lines; nothing is saved.

        They may name one another: what a text defines is taken instead of what the workspace has under that name.
        """
        ...

    @verb("workflows.read")
    def text(self, kind: DefinitionKind, name: str) -> StoredDefinition:
        """Return a definition as it was written, with its comments: the workspace's own, one with mistakes too, else the shipped one.

        Its ``version`` is what ``save`` of the changed text takes. Raises :class:`UnknownName` with the nearest name.
        """
        ...

    @verb("workflows.read")
    def broken(self, kind: DefinitionKind) -> List[CheckedDefinition]:
        """Return those of the workspace's own that can't be used, with all their mistakes: :meth:`text` has what to mend."""
        ...

    @verb("workflows.read")
    def schema(self, kind: DefinitionKind) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of a kind's files, for editors. What only ``check`` can tell is not in it."""
        ...

    @verb("workflows.write", kind="change")
    def new(self, kind: DefinitionKind, name: str) -> str:
        """Write a starter with comments into the workspace and return its file; it passes ``check`` and runs with the offline model.

        Raises :class:`InvalidInput` for a name that can't be one, :class:`StaleWrite` when the workspace has that name.
        """
        ...
