"""What ``hishamos.toml`` says, as read by ``hishamos.settings``. A contract: names and defaults are those of the design."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from hishamos.records.money import Period
from hishamos.records.record import Record

BUDGET_SCOPE = re.compile(r"^(workspace|run|(project|user|key|workflow|run):\S+)$")
BUDGET_SCOPES = "workspace, run, project:KEY, user:NAME, key:PREFIX, workflow:NAME or run:ID"


class WorkspaceSettings(Record):
    """``[workspace]``."""

    store: str = "data/local/hishamos.duckdb"
    broker: str = "local"
    route: str = "default"
    timezone: str = "UTC"
    step_timeout_s: float = Field(300, gt=0)
    max_retries: int = Field(3, ge=0)


class ProviderSettings(Record):
    """``[providers.NAME]``: the name stands before the slash in a model reference."""

    name: str
    kind: str
    """openai, anthropic, gemini, ollama, openrouter, azure, offline, or any provider that litellm knows."""
    api_key: str | None = None
    """A reference: ``env:NAME``, ``keyring:NAME`` or ``file:PATH``; never the key itself."""
    api_base: str | None = None
    rpm: int | None = Field(None, gt=0)
    tpm: int | None = Field(None, gt=0)
    concurrency: int = Field(32, gt=0)
    timeout_s: float = Field(60, gt=0)
    idle_timeout_s: float = Field(15, gt=0)
    found: bool = False
    """True when it was found in the environment and stands in no file."""


class RouteSettings(Record):
    """``[routes.NAME]``: a chain of models."""

    name: str
    models: tuple[str, ...]
    on_context_overflow: tuple[str, ...] = ()
    on_content_policy: tuple[str, ...] = ()
    attempts: int = Field(4, gt=0)
    deadline_s: float = Field(120, gt=0)
    max_output_tokens: int = Field(2048, gt=0)
    orphans: Literal["retry", "fail", "ask"] = "retry"
    on_broken_stream: Literal["restart", "keep", "fail"] = "restart"
    choose: Literal["order", "cheapest", "fastest", "best value", "weighted"] = "order"
    """Which model is asked first; the others follow in the same order when it fails."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    """By model, for ``weighted``; one that is left out weighs 1, one of weight 0 is asked last."""


class PriceSettings(Record):
    """``[prices."provider/model"]``: USD per million tokens."""

    model: str
    price: Literal["free"] | None = None
    input: Decimal | None = Field(None, ge=0)
    cached_input: Decimal | None = Field(None, ge=0)
    cache_write: Decimal | None = Field(None, ge=0)
    output: Decimal | None = Field(None, ge=0)
    reasoning: Decimal | None = Field(None, ge=0)
    batch_input: Decimal | None = Field(None, ge=0)
    batch_output: Decimal | None = Field(None, ge=0)


class BudgetSettings(Record):
    """``[budgets.NAME]``."""

    name: str
    scope: str = "workspace"
    period: Period = "month"
    limit_usd: Decimal = Field(ge=0, lt=10**9)
    hard: bool = True
    warn_at: tuple[Annotated[Decimal, Field(gt=0, le=10)], ...] = ()
    """Shares of the limit; a soft budget warns at 1 anyway."""


class Settings(Record):
    """Everything that a workspace is configured with."""

    root: str
    """The workspace's folder, absolute."""
    file: str | None = None
    """The path of hishamos.toml, if there is one."""
    workspace: WorkspaceSettings = WorkspaceSettings()
    providers: dict[str, ProviderSettings] = {}
    routes: dict[str, RouteSettings] = {}
    prices: dict[str, PriceSettings] = {}
    budgets: dict[str, BudgetSettings] = {}
