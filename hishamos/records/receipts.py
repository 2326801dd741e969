"""The receipt of one execution of a notebook: with what it was made, what it asked, who answered, what it cost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from hishamos.records.record import Record, usd
from hishamos.records.runs import RunKind, RunState


class ServedModel(Record):
    """A model that was asked, and what it took."""

    model: str
    attempts: int
    succeeded: int
    cached: int = 0
    """Answers given again by the cache, for nothing."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0
    unpriced: int = 0
    """Attempts without a price."""

    @property
    def offline(self) -> bool:
        """Whether it is the offline model: its answers are no real ones."""
        return self.model.startswith("offline/")


class UsedDefinition(Record):
    """A definition that was used, by the hash of its content."""

    kind: Literal["command", "agent", "workflow"]
    name: str
    version: str | None = None
    """None where nobody can tell any more: of agents that other agents asked."""


class InputFile(Record):
    """A file that was read as an input, as it was then."""

    path: str
    sha256: str
    bytes: int


class ReceiptRun(Record):
    """A run that was started in the notebook, or whose step the notebook is."""

    id: str
    kind: RunKind
    name: str
    version: str
    state: RunState
    inputs_hash: str
    """SHA-256 of its inputs as canonical JSON."""


class Receipt(Record):
    """What one execution of a notebook was made with and what it cost: sums over exactly its own calls, from the ledger."""

    execution: str
    hishamos: str
    """The package's version."""
    notebook: str | None = None
    notebook_hash: str | None = None
    """SHA-256 of the notebook that was executed."""
    parameters_hash: str | None = None
    """SHA-256 of its parameters as canonical JSON; None where nobody passed any."""
    git_commit: str | None = None
    dirty: bool | None = None
    """Whether anything in its repository differed from that commit; None where git can't tell."""
    definitions: tuple[UsedDefinition, ...] = ()
    files: tuple[InputFile, ...] = ()
    requests_hash: str | None = None
    """SHA-256 over the sorted hashes of all requests: two executions with the same one asked exactly the same."""
    models: tuple[ServedModel, ...] = ()
    runs: tuple[ReceiptRun, ...] = ()
    calls: int = 0
    orphaned: int = 0
    """Attempts whose process died: they may be billed twice."""
    began_at: datetime | None = None
    """When its first attempt began."""
    made_at: datetime

    @property
    def attempts(self) -> int:
        """Attempts at models, all together."""
        return sum(one.attempts for one in self.models)

    @property
    def cost_nanos(self) -> int:
        """What it cost, nano-dollars; unpriced attempts are not in it."""
        return sum(one.cost_nanos for one in self.models)

    @property
    def cost_usd(self) -> Decimal:
        """What it cost in USD, exact."""
        return usd(self.cost_nanos) or Decimal(0)

    @property
    def unpriced(self) -> int:
        """Attempts without a price."""
        return sum(one.unpriced for one in self.models)

    @property
    def input_tokens(self) -> int:
        """Tokens that models read."""
        return sum(one.input_tokens for one in self.models)

    @property
    def output_tokens(self) -> int:
        """Tokens that models wrote."""
        return sum(one.output_tokens for one in self.models)
