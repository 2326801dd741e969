"""What ``hishamos.toml`` says, as read by ``hishamos.settings``. A contract: names and defaults are those of the design."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from hishamos.records.mcp import McpSettings
from hishamos.records.money import Period
from hishamos.records.record import Record

BUDGET_SCOPE = re.compile(r"^(workspace|run|(project|user|key|workflow|run):\S+)$")
POLICIES = ("cheapest", "fastest", "best value")
"""Reserved words for what chooses among the models of all routes; no route may have these names."""
DEFAULT_PORTS = {"https": 443, "http": 80}
PersonalData = Literal["email", "phone", "card"]
"""What can be found by its form: e-mail addresses, phone numbers, payment card numbers."""
BUDGET_SCOPES = "workspace, run, project:KEY, user:NAME, key:PREFIX, workflow:NAME or run:ID"


class WorkspaceSettings(Record):
    """``[workspace]``."""

    store: str = "data/local/hishamos.duckdb"
    broker: str = "local"
    route: str = "default"
    timezone: str = "UTC"
    step_timeout_s: float = Field(300, gt=0, allow_inf_nan=False)
    max_retries: int = Field(3, ge=0)
    step_memory_mb: int = Field(2048, ge=64, le=1_000_000)
    """Most megabytes (1,048,576 bytes) for a python step whose code is not the library's."""
    runs: int = Field(32, ge=1, le=10_000)
    """How many runs a process works on at once; the others wait, in the order of their priorities."""
    keep_runs_days: int | None = Field(None, ge=1, le=36_500)
    """Runs that ended so many days ago are let go, looked for once a day; left out, they stay for good."""


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
    timeout_s: float = Field(60, gt=0, allow_inf_nan=False)
    idle_timeout_s: float = Field(15, gt=0, allow_inf_nan=False)
    hide: tuple[PersonalData, ...] = ()
    """Personal data that it is not sent: placeholders go in its place, and are replaced in the answer."""
    found: bool = False
    """True when it was found in the environment and stands in no file."""
    trusted: tuple[str, ...] = ()
    """Origins that its user trusts with its key in this workspace; from the user's own configuration, never from the workspace's."""


def origin(address: str) -> str | None:
    """Return ``scheme://host[:port]`` of an address, spelt in the one way that is compared; None for what is no plain web address.

    ``address``: a URL, or a host (then https). Names with a user before them, blanks, backslashes or escapes are never plain.
    """
    text = address.strip()
    if not text or any(sign in text for sign in "\\@% \t\n"):
        return None
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = (parts.hostname or "").rstrip(".").encode("idna").decode("ascii").lower(), parts.port
    except (ValueError, UnicodeError):
        return None
    if parts.scheme not in DEFAULT_PORTS or not host:
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}")


def _host(entry: str) -> str:
    plain = origin(entry)
    if plain is None or not entry.isascii() or entry.partition("://")[2].strip("/").count("/") or ("://" not in entry and "/" in entry) or "*" in entry:
        raise ValueError("write host, host:port or http://host:port")
    return entry


class LimitSettings(Record):
    """``[limits."provider/model"]``: what one model is sent at most, within what its provider is."""

    model: str
    rpm: int | None = Field(None, gt=0)
    """Requests a minute."""
    tpm: int | None = Field(None, gt=0)
    """Tokens a minute, input and output limit together."""
    concurrency: int | None = Field(None, gt=0)
    """Calls under way."""


class RouteSettings(Record):
    """``[routes.NAME]``: a chain of models."""

    name: str
    models: tuple[str, ...] = Field(min_length=1)
    on_context_overflow: tuple[str, ...] = ()
    on_content_policy: tuple[str, ...] = ()
    attempts: int = Field(4, gt=0)
    deadline_s: float = Field(120, gt=0, allow_inf_nan=False)
    max_output_tokens: int = Field(2048, gt=0)
    orphans: Literal["retry", "fail", "ask"] = "retry"
    on_broken_stream: Literal["restart", "keep", "fail"] = "restart"
    choose: Literal["order", "cheapest", "fastest", "best value", "weighted"] = "order"
    """Which model is asked first; the others follow in the same order when it fails."""
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
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


def is_local(place: str) -> bool:
    """Return whether a host, with or without a port, is written as this machine itself: ``localhost``, ``127.0.0.1``, ``[::1]``."""
    host = place.rpartition(":")[0] if re.search(r":\d+$", place) and (place.count(":") == 1 or "]" in place) else place
    host = host.strip("[]").lower()
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Host = Annotated[str, AfterValidator(_host)]
Program = Annotated[str, Field(pattern=r"^(/.*[^/]|[A-Za-z0-9_+][A-Za-z0-9_.+-]*)$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class AllowSettings(Record):
    """``[allow]``: what steps may reach outside of the workspace. Everything else is refused."""

    hosts: tuple[Host, ...] = ()
    """``host`` or ``host:port``, asked by https (this machine also by http), or a whole ``http://host:port``."""
    programs: tuple[Program, ...] = ()
    """A program's name, looked for in the usual folders, or its absolute path."""
    variables: tuple[Variable, ...] = ()
    """Environment variables that http steps may send; a client that has them hands them over."""


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
    limits: dict[str, LimitSettings] = {}
    budgets: dict[str, BudgetSettings] = {}
    allow: AllowSettings = AllowSettings()
    mcp: dict[str, McpSettings] = {}
