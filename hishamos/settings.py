"""The only reader of the environment and of ``hishamos.toml``."""

from __future__ import annotations

import difflib
import json
import os
import re
import threading
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ValidationError

from hishamos.consent import Consent
from hishamos.errors import InvalidSettings, nearest_hint
from hishamos.provider_kinds import KINDS, is_known, nearest_kind
from hishamos.records.configuration import (
    BUDGET_SCOPE,
    BUDGET_SCOPES,
    POLICIES,
    AllowSettings,
    BudgetSettings,
    LimitSettings,
    PriceSettings,
    ProviderSettings,
    RouteSettings,
    Settings,
    WorkspaceSettings,
)
from hishamos.records.mcp import McpSettings

FILE = "hishamos.toml"
LOCAL = Path("data") / "local"

ENVIRONMENT_PROVIDERS: dict[str, tuple[str, str]] = {
    "openai": ("OPENAI_API_KEY", "openai/gpt-4.1-mini"),
    "anthropic": ("ANTHROPIC_API_KEY", "anthropic/claude-haiku-4-5"),
    "gemini": ("GEMINI_API_KEY", "gemini/gemini-2.5-flash"),
}
"""Providers found by their usual variable when no file says otherwise, and their model in the built-in default route."""
RING_S = 5.0
"""So long what a keyring said is taken for true: it is another process, and a call asks several times."""
REFERENCES = ("env:", "keyring:", "file:")
_SECRET = re.compile(r"(?:^|[-_.])(?:(?:api|access|auth|secret)?(?:key|token)|secret|password|auth|authorization|credentials?|sig|signature)$", re.IGNORECASE)
"""The name, or its last word, of a value that no file of a workspace may hold."""

_TABLES: dict[str, type[BaseModel]] = {
    "providers": ProviderSettings,
    "routes": RouteSettings,
    "prices": PriceSettings,
    "limits": LimitSettings,
    "budgets": BudgetSettings,
    "mcp": McpSettings,
}


def find_root(explicit: str | Path | None = None, start: Path | None = None) -> Path:
    """Return the workspace's folder.

    In this order: the explicit path; ``HISHAMOS_WORKSPACE``; the nearest folder, this one or an ancestor, that holds ``hishamos.toml`` or
    ``data/local/hishamos.duckdb``; else the nearest that holds ``.git`` or ``pyproject.toml``; else the current folder.
    """
    named = explicit or variable("HISHAMOS_WORKSPACE")
    if named:
        return Path(named).expanduser().resolve()
    here = (start or Path.cwd()).resolve()
    for marks in ((FILE, str(LOCAL / "hishamos.duckdb")), (".git", "pyproject.toml")):
        for folder in (here, *here.parents):
            if any((folder / mark).exists() for mark in marks):
                return folder
    return here


def variable(name: str) -> str | None:
    """Return an environment variable; an empty one counts as unset."""
    return os.environ.get(name) or None


def load(root: Path, lookup: Callable[[str], str | None] = variable) -> Settings:
    """Read the workspace's settings. ``lookup`` finds environment variables.

    Raises :class:`InvalidSettings` with the file, the line and the nearest name for anything unknown or wrong.
    """
    path = root / FILE
    text = ""
    if path.exists():
        try:
            text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidSettings(problem=f"it is no valid TOML: {error}", where=str(path), next="Mend that line.") from None
        except UnicodeDecodeError as error:
            raise InvalidSettings(problem=f"it is not UTF-8 (byte {error.start})", where=str(path), next="Save it as UTF-8.") from None
        except OSError as error:
            raise InvalidSettings(problem=f"it can't be read: {error.strerror}", where=str(path), next="Make it a file that you may read.") from None
    else:
        data = {}
    return _Reader(path, text).settings(root, data, lookup)


class _Reader:
    """Turns the parsed file into records; knows where things stand in it."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()

    def settings(self, root: Path, data: dict[str, Any], lookup: Callable[[str], str | None]) -> Settings:
        known = ["workspace", "allow", *_TABLES]
        for name in data:
            if name not in known:
                self.fail(f"unknown table [{name}]{nearest_hint(name, known)}", name, "Correct its name, or remove it.")
        workspace = self.record(WorkspaceSettings, "workspace", data.get("workspace", {}))
        self.check_timezone(workspace.timezone)
        self.check_address("store", workspace.store, ("postgresql", "postgres"), 'Write a file in the workspace, or "postgresql://user@host/db".')
        self.check_address("broker", workspace.broker, ("redis", "rediss"), 'Write "local", or "redis://host:6379/0".')
        if is_scaled(workspace) and not workspace.store.startswith(("postgresql://", "postgres://")):
            problem = f"[workspace] broker: workers need a store that many processes can write, and {workspace.store} has one owner"
            self.fail(problem, "broker", 'Write store = "postgresql://user@host/db" beside it, or broker = "local".', "workspace")
        allow = self.record(AllowSettings, "allow", data.get("allow", {}))
        tables = {table: self.table(table, data.get(table, {})) for table in _TABLES}
        providers = trusting(self.with_environment(tables["providers"], lookup), root)
        routes = tables["routes"]
        if "default" not in routes:
            models = [model for name, (_, model) in ENVIRONMENT_PROVIDERS.items() if name in providers and has_key(providers[name], lookup)]
            if models:
                routes = {**routes, "default": RouteSettings(name="default", models=tuple(models))}
        self.check_routes(routes, providers)
        self.check_usual(workspace.route, routes, providers)
        file = str(self.path) if self.lines else None
        rest = {name: tables[name] for name in ("prices", "limits", "budgets")} | {"mcp": consent().approved(root, tables["mcp"])}
        return Settings(root=str(root), file=file, workspace=workspace, allow=allow, providers=providers, routes=routes, **rest)

    def table(self, table: str, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail(f"[{table}] must be a table of tables", table, f"Write [{table}.NAME].")
        identity = "model" if table in ("prices", "limits") else "name"
        found = {}
        for name, values in data.items():
            if not isinstance(values, dict):
                self.fail(f"[{table}] has the value {name!r} where a table belongs", name, f"Write [{table}.{name}].", table)
            for ours in ("found", "trusted", "approved"):  # known to us, not the file's to say
                if ours in values:
                    self.fail(f"unknown key {ours!r} in [{table}.{name}]", ours, "Remove it.", f"{table}.{name}")
            if table == "providers":
                self.check_key(name, values)
                self.check_kind(name, values)
            if table == "budgets":
                self.check_scope(name, values)
            if table == "limits" and not all(name.partition("/")):
                self.fail(
                    f"[limits] {name!r} is no model", name, 'Write [limits."provider/model"]; a whole provider has its limits in [providers.NAME].', table
                )
            found[name] = self.record(
                _TABLES[table], f"{table}.{name}", {identity: name, **_defaults(table, name, values)}, hidden=(identity, "found", "trusted", "approved")
            )
        return found

    def record(self, model: type[BaseModel], table: str, values: Any, hidden: tuple[str, ...] = ()) -> Any:
        if not isinstance(values, dict):
            self.fail(f"[{table}] must be a table", table, f"Write [{table}], and its keys under it.")
        known = [name for name in model.model_fields if name not in hidden]
        for name in values:
            if name not in model.model_fields:
                self.fail(f"unknown key {name!r} in [{table}]{nearest_hint(name, known)}", name, f"Known: {', '.join(known)}.", table)
        try:
            return model.model_validate(_decimals(model, values))
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else table
            self.fail(f"[{table}] {name}: {first['msg']} (found {first['input']!r})", name, "Correct the value.", table)

    def check_key(self, name: str, values: Mapping[str, Any]) -> None:
        reference = values.get("api_key")
        suggestion = ENVIRONMENT_PROVIDERS.get(name, (f"{name.upper()}_API_KEY", ""))[0]
        advice = f'Write api_key = "env:{suggestion}" and set that variable.'
        if reference is not None and not str(reference).startswith(REFERENCES):
            self.fail(f"[providers.{name}] api_key holds a literal key", "api_key", advice, f"providers.{name}")
        address = urlsplit(str(values.get("api_base", "")))
        if any(_SECRET.search(part) for told in (address.query, address.fragment) for part, _ in parse_qsl(told)):
            self.fail(f"[providers.{name}] api_base holds a literal key", "api_base", f"Take it out of the address. {advice}", f"providers.{name}")

    def check_kind(self, name: str, values: Mapping[str, Any]) -> None:
        kind, word = values.get("kind", name), "kind" if "kind" in values else name
        if not isinstance(kind, str) or is_known(kind):
            return
        meant = nearest_kind(kind)
        if meant or not kind.strip():  # another may be served by a package that is not here yet: the doctor tells, and a call
            problem = f"[providers.{name}] {kind!r} is no kind of provider{f'; did you mean {meant!r}?' if meant else ''}"
            self.fail(problem, word, f'Write kind = "{meant or KINDS[0]}", or whichever provider it is.', f"providers.{name}")

    def check_scope(self, name: str, values: Mapping[str, Any]) -> None:
        scope = values.get("scope", "workspace")
        if not BUDGET_SCOPE.match(str(scope)):
            self.fail(f"[budgets.{name}] {scope!r} is no scope", "scope", f"Use {BUDGET_SCOPES}.", f"budgets.{name}")

    def check_timezone(self, name: str) -> None:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            self.fail(f"[workspace] timezone: there is no time zone {name!r}", "timezone", 'Write one such as "UTC" or "Africa/Cairo".', "workspace")

    def check_address(self, key: str, value: str, schemes: tuple[str, ...], advice: str) -> None:
        if not value.strip():
            self.fail(f"[workspace] {key} is empty", key, f"{advice} Left out, it is the usual one.", "workspace")
        scheme, found, _ = value.partition("://")
        if found and scheme not in schemes:
            self.fail(f"[workspace] {key}: nothing here speaks {scheme}://", key, advice, "workspace")

    def check_routes(self, routes: Mapping[str, RouteSettings], providers: Mapping[str, ProviderSettings]) -> None:
        for route in routes.values():
            if route.name in POLICIES or "/" in route.name:
                kept = "the name of a policy" if route.name in POLICIES else "how a model is named, provider/model"
                self.fail(f"[routes.{route.name}] is {kept}", route.name, "Give the route another name.")
            for model in route.weights:
                if model not in route.models:
                    problem = f"[routes.{route.name}] weights: {model!r} is none of its models{nearest_hint(model, list(route.models))}"
                    self.fail(problem, model, "Weigh only what stands in models.", f"routes.{route.name}")
            for model in (*route.models, *route.on_context_overflow, *route.on_content_policy):
                if not all(model.partition("/")):
                    self.fail(f"[routes.{route.name}] {model!r} is no model", model, "Write provider/model.", f"routes.{route.name}")
                self.check_model(model, f"routes.{route.name}", providers)

    def check_usual(self, usual: str, routes: Mapping[str, RouteSettings], providers: Mapping[str, ProviderSettings]) -> None:
        if all(usual.partition("/")):
            self.check_model(usual, "workspace", providers)
            return
        known = [*routes, "default", *POLICIES]  # the built-in route is there, with or without a provider that is ready
        if usual not in known:
            hint = nearest_hint(usual, [*known, *(model for route in routes.values() for model in route.models)])
            self.fail(f"[workspace] route: there is no route {usual!r}{hint}", "route", "Name a route, a policy or a model (provider/model).", "workspace")

    def check_model(self, model: str, table: str, providers: Mapping[str, ProviderSettings]) -> None:
        provider, names = model.partition("/")[0], [*providers, *KINDS]
        if provider not in names and difflib.get_close_matches(provider, names, 1, 0.6):
            self.fail(f"[{table}] unknown provider {provider!r}{nearest_hint(provider, names)}", model, f"Add [providers.{provider}].", table)

    def with_environment(self, providers: dict[str, Any], lookup: Callable[[str], str | None]) -> dict[str, Any]:
        found = dict(providers)
        for name, (variable_name, _) in ENVIRONMENT_PROVIDERS.items():
            if name not in found and lookup(variable_name):
                found[name] = ProviderSettings(name=name, kind=name, api_key=f"env:{variable_name}", found=True)
        host = lookup("OLLAMA_HOST")
        if "ollama" not in found and host:
            base = host if "://" in host else f"http://{host}"
            found["ollama"] = ProviderSettings(name="ollama", kind="ollama", api_base=base, found=True)
        return found

    def fail(self, problem: str, word: str, advice: str, table: str = "") -> Any:
        """Raise with the line that holds ``word``: in its table where that stands under a heading, or that heading; else the first of the file."""
        heading = self.heading(table)
        line = self.line_of(word, heading) or heading or self.line_of(word)
        raise InvalidSettings(problem=problem, where=f"{self.path}, line {line}" if line else str(self.path), next=advice, line=line)

    def heading(self, table: str) -> int:
        """Return the line of a table's heading, 0 when it has none."""
        wanted = f"[{table}]"
        return next((number for number, text in enumerate(self.lines, 1) if re.sub(r"[\s\"']|#.*", "", text) == wanted), 0)

    def line_of(self, word: str, after: int = 0) -> int | None:
        """Return the first line that holds ``word``; ``after`` the line of a heading, only in what stands under it."""
        for number, text in enumerate(self.lines[max(0, after - 1) :], max(1, after)):
            if after and number > after and text.lstrip().startswith("["):
                return None
            if word in text.partition("#")[0]:
                return number
        return None


def is_scaled(workspace: WorkspaceSettings) -> bool:
    """Return whether Celery workers do the work."""
    return workspace.broker.startswith(("redis://", "rediss://"))


def has_key(provider: ProviderSettings, lookup: Callable[[str], str | None]) -> bool:
    """Return whether the provider's key can be found; one that needs none counts as having it."""
    reference = provider.api_key
    if reference is None:
        return provider.kind in {"ollama", "offline"} or provider.api_base is not None
    scheme, _, rest = reference.partition(":")
    if scheme == "env":
        return bool(lookup(rest))
    return scheme == "keyring" or Path(rest).expanduser().is_file()


def _defaults(table: str, name: str, values: dict[str, Any]) -> dict[str, Any]:
    """A provider's kind is its name unless said otherwise; its key is looked for where that provider's key usually is."""
    if table != "providers":
        return values
    filled = {"kind": name, **values}
    usual = ENVIRONMENT_PROVIDERS.get(str(filled["kind"]))
    if usual and "api_key" not in filled and "api_base" not in filled:
        filled["api_key"] = f"env:{usual[0]}"
    return filled


def _decimals(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Refuse floats where money is exact: a decimal stands in the file as a string."""
    money = {"limit_usd", "input", "cached_input", "cache_write", "output", "reasoning", "batch_input", "batch_output"}
    if model in {PriceSettings, BudgetSettings}:
        return {name: repr(value) if name in money and isinstance(value, float) else value for name, value in values.items()}
    return values


def trusting(providers: Mapping[str, ProviderSettings], root: Path) -> dict[str, ProviderSettings]:
    """Return the providers with the origins that their user trusts in this workspace."""
    trusted = Trust().of(root)
    return {name: provider.model_copy(update={"trusted": tuple(trusted.get(name, ()))}) for name, provider in providers.items()}


def consent() -> Consent:
    """Return what the user approved of MCP servers."""
    return Consent(_own_folder())


def _own_folder() -> Path:
    """Return the folder of the user's own configuration."""
    home = variable("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "hishamos"


class Trust:
    """Which servers the user trusts with which provider's key, in which workspace: a file of the user's, outside of every workspace."""

    def __init__(self) -> None:
        self.file = _own_folder() / "trust.json"

    def of(self, root: Path) -> Mapping[str, Sequence[str]]:
        """Return the trusted origins of a workspace by provider."""
        return self._read().get(str(root.resolve()), {})

    def change(self, root: Path, provider: str, origin: str, *, trusted: bool) -> None:
        """Trust a server with a provider's key in a workspace, or no longer."""
        whole = self._read()
        mine = whole.setdefault(str(root.resolve()), {})
        kept = [one for one in mine.get(provider, []) if one != origin]
        mine[provider] = [*kept, origin] if trusted else kept
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.file)

    def _read(self) -> dict[str, dict[str, list[str]]]:
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
            if isinstance(found, dict) and all(isinstance(mine, dict) for mine in found.values()):
                return found
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            pass
        raise InvalidSettings(problem="the list of trusted servers can't be read", where=str(self.file), next="Mend or remove that file.", line=None)


class Keys:
    """Finds the values that key references name. A client hands over what its environment has; the latest wins, in memory only."""

    def __init__(self) -> None:
        self._handed: dict[str, str] = {}
        self._found: set[str] = set()
        self._files: dict[Path, tuple[tuple[int, int], str | None]] = {}
        """What was read of files, and when they had been written."""
        self._rings: dict[str, tuple[float, str | None]] = {}
        """What was read of the keyring, and when."""
        self._lock = threading.Lock()

    def hand_over(self, values: Mapping[str, str]) -> list[str]:
        """Take variables from a client and return the names that are new or changed."""
        with self._lock:
            changed = [name for name, value in values.items() if value and self._handed.get(name) != value]
            self._handed.update({name: values[name] for name in changed})
            return changed

    def lookup(self, name: str) -> str | None:
        """Return a variable: handed over, else of this process."""
        return self._handed.get(name) or variable(name)

    def resolve(self, reference: str) -> str | None:
        """Return the key behind ``env:NAME``, ``keyring:NAME`` or ``file:PATH``; None when there is none."""
        value = self._value(reference)
        if value is not None:
            self._found.add(value)
        return value

    def _value(self, reference: str) -> str | None:
        scheme, _, rest = reference.partition(":")
        if scheme == "env":
            return self.lookup(rest)
        if scheme == "keyring":
            return self._ringed(rest)
        return self._written(Path(rest).expanduser())

    def _ringed(self, name: str) -> str | None:
        moment, known = time.monotonic(), self._rings.get(name)
        if known is None or moment - known[0] > RING_S:
            import keyring

            known = self._rings[name] = moment, keyring.get_password("hishamos", name) or None
        return known[1]

    def _written(self, path: Path) -> str | None:
        stamp, known = _stamp(path), self._files.get(path)
        if known is None or known[0] != stamp:
            text = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
            known = self._files[path] = stamp, text or None
        return known[1]

    def secrets(self) -> list[str]:
        """Return every value that must never be shown."""
        with self._lock:
            return [*self._handed.values(), *self._found.copy()]


class SettingsSource:
    """The settings in force: read again when the file or the keys change; a broken edit keeps the last good ones."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self.root = root
        self.keys = keys
        self.error: str | None = None
        self._lock = threading.Lock()
        self._watched = [str(file) for file in (root / FILE, Trust().file, consent().file)]
        self._stamp = self._now()
        self._settings = load(root, keys.lookup)
        self._listeners: list[Callable[[Settings], None]] = []

    def __call__(self) -> Settings:
        """Return the settings in force."""
        stamp = self._now()
        if stamp == self._stamp:
            return self._settings
        with self._lock:
            if stamp != self._stamp:
                self._stamp = stamp
                self._read()
        return self._settings

    def on_change(self, listener: Callable[[Settings], None]) -> None:
        """Call ``listener`` with the new settings after each change."""
        self._listeners.append(listener)

    def reread(self) -> None:
        """Read again, for a change outside the file: a key was handed over."""
        with self._lock:
            self._read()

    def _read(self) -> None:
        try:
            self._settings = load(self.root, self.keys.lookup)
            self.error = None
        except InvalidSettings as error:
            self.error = str(error)
            return
        for listener in self._listeners:
            listener(self._settings)

    def _now(self) -> tuple[tuple[int, int], ...]:
        return tuple(map(_stamp, self._watched))


def _stamp(file: str | Path) -> tuple[int, int]:
    """Return what changes when a file does."""
    try:
        status = os.stat(file)
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def wanted_variables(settings: Settings) -> list[str]:
    """Return the environment variables that a client should hand over when it has them."""
    named = {provider.api_key[4:] for provider in settings.providers.values() if provider.api_key and provider.api_key.startswith("env:")}
    named |= set(settings.allow.variables)
    named |= {name for server in settings.mcp.values() if server.approved is not None for name in server.variables}
    return sorted(named | {name for name, _ in ENVIRONMENT_PROVIDERS.values()} | {"OLLAMA_HOST"})
