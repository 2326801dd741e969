"""Which providers are ready, and what to do for those that aren't. Asks nobody but servers on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from hishamos.errors import HishamosError, KeyWithheld
from hishamos.gateway.circuit import Circuits
from hishamos.gateway.destinations import VARIABLES, check_destination, is_loopback
from hishamos.gateway.routes import OFFLINE, OFFLINE_MODEL, Keys, lacks_key
from hishamos.gateway.standing import Standing
from hishamos.records.configuration import ProviderSettings, Settings
from hishamos.records.workspaces import ProviderStatus

CONNECT_S = 0.3
OLLAMA = "http://127.0.0.1:11434"


Problem = Callable[[str], HishamosError | None]
"""Returns why the adapter of a kind can't be used."""


def statuses(settings: Settings, keys: Keys, standing: Standing, circuits: Circuits, problem: Problem) -> list[ProviderStatus]:
    """Return every configured or found provider with its state, and the offline one."""
    found = [_failing(_status(provider, settings, keys, standing, problem), circuits) for provider in settings.providers.values()]
    if OFFLINE.name not in settings.providers:
        found.append(ProviderStatus(name=OFFLINE.name, kind=OFFLINE.kind, state="offline", models=(OFFLINE_MODEL,)))
    return found


def _status(provider: ProviderSettings, settings: Settings, keys: Keys, standing: Standing, problem: Problem) -> ProviderStatus:
    chains = ((*route.models, *route.on_context_overflow, *route.on_content_policy) for route in settings.routes.values())
    models = tuple(dict.fromkeys(model for chain in chains for model in chain if model.startswith(f"{provider.name}/")))
    status = ProviderStatus(
        name=provider.name, kind=provider.kind, state="ready", key=provider.api_key, api_base=provider.api_base, models=models, hides=provider.hide
    )
    if provider.kind == "offline":
        return status.model_copy(update={"state": "offline", "models": (OFFLINE_MODEL,)})
    broken = problem(provider.kind)
    state, advice = ("misconfigured", str(broken)) if broken else _state(provider, keys, standing)
    return status.model_copy(update={"state": state, "advice": advice})


def _failing(status: ProviderStatus, circuits: Circuits) -> ProviderStatus:
    opened = tuple(circuit for circuit in circuits.statuses() if circuit.state != "closed" and circuit.model.startswith(f"{status.name}/"))
    if not opened or status.state != "ready":
        return status.model_copy(update={"circuits": opened})
    words = "; ".join(f"{circuit.model} failed {circuit.failures} times in a row ({circuit.cause})" for circuit in opened)
    return status.model_copy(update={"circuits": opened, "state": "failing", "advice": f"{words}. It is asked again by itself; see the last error."})


def _state(provider: ProviderSettings, keys: Keys, standing: Standing) -> tuple[str, str]:
    key = keys(provider.api_key) if provider.api_key else None
    if lacks_key(provider, key):
        return "no key", where_to_set(provider)
    try:
        check_destination(provider, key, keys)
    except KeyWithheld as error:
        return "misconfigured", str(error)
    mark = standing.refused_key(provider.name, key)
    if mark is not None:
        return "misconfigured", f"Its key was refused. {where_to_set(provider)}"
    address = provider.api_base or (OLLAMA if provider.kind == "ollama" else None)
    if address and not listens(address):
        return "unreachable", f"Nothing answers at {address}: start that server, or correct api_base of [providers.{provider.name}]."
    return "ready", ""


def where_to_set(provider: ProviderSettings) -> str:
    """Return where a provider's key is to be put, in a sentence."""
    scheme, _, rest = (provider.api_key or "").partition(":")
    if scheme == "env":
        return f"Set the environment variable {rest}."
    if scheme == "keyring":
        return f"Store it: python -m keyring set hishamos {rest}"
    if scheme == "file":
        return f"Write it into {rest}."
    usual = VARIABLES.get(provider.kind, (f"{provider.name.upper()}_API_KEY",))[0]
    return f'Add api_key = "env:{usual}" to [providers.{provider.name}] and set that variable.'


def listens(address: str) -> bool:
    """Return whether a server on this machine accepts connections; others are taken to be there."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if not is_loopback(host):
        return True
    try:
        with socket.create_connection((host, parts.port or (443 if parts.scheme == "https" else 80)), timeout=CONNECT_S):
            return True
    except OSError:
        return False
