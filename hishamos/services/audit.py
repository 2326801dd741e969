"""``ws.audit``: who changed what."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list

from hishamos.contracts.money import Audit
from hishamos.errors import UnknownName
from hishamos.records.audit import AuditEntry
from hishamos.services.service import Service, implements
from hishamos.store import audit


@implements(Audit)
class AuditService(Service):
    """The audit entries of one workspace for one actor."""

    def list(self, *, action: str | None = None, subject: str | None = None, limit: int = 100) -> List[AuditEntry]:
        return audit.entries(self.machinery.store, action=action, subject=subject, limit=limit)

    def get(self, entry: str) -> AuditEntry:
        found = audit.entries(self.machinery.store, id=entry)
        if not found:
            raise UnknownName(kind="audit entry", name=entry, hint="", next="See: hishamos audit")
        return found[0]
