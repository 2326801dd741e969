"""The versions of a command: how each did by the ledger, how people rated it, and its text as runs kept it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hishamos.records.command_versions import CommandVersion, mean_rating
from hishamos.records.record import now
from hishamos.services.agents import RECORDED
from hishamos.services.reading import written
from hishamos.store import opinions, spending

if TYPE_CHECKING:
    from hishamos.services.machinery import Machinery

SUMS = ("attempts", "offline", "cached", "failed", "fell_back", "retried", "input_tokens", "output_tokens", "cost_nanos", "unpriced")


def versions(machinery: Machinery, name: str) -> list[CommandVersion]:
    """Return a command's versions of the last 90 days, the one that is asked now first, then the one that was asked last."""
    command = machinery.catalog.command(name)
    found: list[CommandVersion] = []
    for row in spending.versions(machinery.store, command.name, now() - RECORDED):
        version = row["command"].rpartition("@")[2]
        current = version == command.version
        sums = {column: int(row[column]) for column in SUMS} | {column: row[column] for column in ("p50_ms", "p95_ms", "first_at", "last_at")}
        text = written(command) if current else _kept(machinery, name, version, row["run_id"])
        found.append(CommandVersion(version=version, current=current, text=text, **sums))
    if not any(one.current for one in found):
        found.append(CommandVersion(version=command.version, current=True, text=written(command)))
    rated = opinions.ratings(machinery.store, command.name)
    for place, one in enumerate(found):
        of_it = [rating for rating in rated if rating.version == one.version]
        found[place] = one.model_copy(update={"ratings": len(of_it), "rating": mean_rating(of_it)})
    return sorted(found, key=lambda one: not one.current)


def _kept(machinery: Machinery, name: str, version: str, run: str | None) -> str | None:
    """Return the text of an earlier version as a run kept it, if that run is still there."""
    kept = None if run is None else machinery.journal.history.kept(run)
    command = None if kept is None else kept.commands.get(name)
    return written(command) if command is not None and command.version == version else None
