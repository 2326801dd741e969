"""What ``hishamos prove`` found out: one record for each promise, with what was measured."""

from __future__ import annotations

from hishamos.records.record import Record


class Promise(Record):
    """One promise and how it was held."""

    number: int
    name: str
    kept: bool
    evidence: str
    """What was measured, in words and numbers."""


class Proof(Record):
    """All promises, held against a provider that keeps its own book."""

    promises: tuple[Promise, ...]
    seconds: float
    version: str
    """Of the package that was put to the proof."""

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        return all(promise.kept for promise in self.promises)
