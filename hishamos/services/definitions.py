"""``ws.definitions``: workflows, commands and agents as files."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - as in every contract
from collections.abc import Sequence
from typing import Any

from hishamos.contracts.definitions import DefinitionsService as Contract
from hishamos.records.checks import CheckedDefinition, DefinitionKind, DefinitionText, StoredDefinition
from hishamos.services.editor_schema import format_schema
from hishamos.services.saving import save
from hishamos.services.service import Service, implements
from hishamos.services.starters import starter


@implements(Contract)
class DefinitionsService(Service):
    """The definitions of one workspace for one actor."""

    def check(self, texts: Sequence[DefinitionText]) -> List[CheckedDefinition]:
        """See the contract."""
        return self.machinery.catalog.check(texts)

    def text(self, kind: DefinitionKind, name: str) -> StoredDefinition:
        """See the contract."""
        return self.machinery.catalog.text(kind, name)

    def broken(self, kind: DefinitionKind) -> List[CheckedDefinition]:
        """See the contract."""
        return self.machinery.catalog.broken(kind)

    def schema(self, kind: DefinitionKind) -> dict[str, Any]:
        """See the contract."""
        return format_schema(kind)

    def new(self, kind: DefinitionKind, name: str) -> str:
        """See the contract."""
        return save(self, kind, starter(kind, name), None).source
