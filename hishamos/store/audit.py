"""Audit entries in the store: written in the commit of what they tell, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hishamos.records.audit import AuditEntry
from hishamos.records.record import now, timed_id
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("money")


def note(
    transaction: Transaction,
    request_id: str,
    *,
    actor: str,
    action: str,
    subject: str,
    value_before: str | None = None,
    value_after: str | None = None,
    attempts: int | None = None,
    added_nanos: int | None = None,
) -> AuditEntry:
    """Add an entry; ``request_id``: the changing call that it belongs to."""
    entry = AuditEntry(
        id=timed_id(),
        happened_at=now(),
        actor=actor,
        action=action,
        subject=subject,
        value_before=value_before,
        value_after=value_after,
        attempts=attempts,
        added_nanos=added_nanos,
    )
    transaction.execute(SQL["insert_audit"], {**entry.model_dump(), "request_id": request_id})
    return entry


def entries(
    store: Connector, *, id: str | None = None, request_id: str | None = None, action: str | None = None, subject: str | None = None, limit: int = 100
) -> list[AuditEntry]:
    """Return entries, newest first."""
    values = {"id": id, "request_id": request_id, "action": action, "subject": subject, "limit": limit}
    return [AuditEntry(**row) for row in store.fetch(SQL["audit_entries"], values)]
