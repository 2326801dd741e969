"""Where a provider's key may go: to that provider's hosts, or to this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from hishamos.errors import InvalidInput, KeyWithheld
from hishamos.records.configuration import ProviderSettings, origin

HOSTS: dict[str, tuple[str, ...]] = {
    "openai": ("api.openai.com",),
    "anthropic": ("api.anthropic.com",),
    "gemini": ("generativelanguage.googleapis.com",),
    "openrouter": ("openrouter.ai",),
    "azure": (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
}
"""Hosts of the providers whose keys people have; one that begins with a dot stands for all names under it."""

VARIABLES = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "openrouter": ("OPENROUTER_API_KEY",),
    "azure": ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
}


def check_destination(provider: ProviderSettings, key: str | None, keys: Callable[[str], str | None]) -> None:
    """Raise :class:`KeyWithheld` if ``provider.api_base`` would carry a known provider's key to a foreign host.

    ``keys`` resolves references, to recognise a known key under any name. What the user trusts (``hishamos trust``) is not foreign.
    """
    if provider.api_base is None or key is None:
        return
    address = urlsplit(provider.api_base)
    host = (address.hostname or "").rstrip(".").lower()
    if is_loopback(host):
        return
    whose = _owner(provider, key, keys)
    if whose is None:
        return
    allowed = HOSTS[whose]
    at_home = any(host == name or (name.startswith(".") and host.endswith(name)) for name in allowed)
    where = origin(provider.api_base)
    if (not at_home or address.scheme != "https") and (where is None or where not in provider.trusted):
        raise KeyWithheld(
            provider=provider.name, host=where or f"{address.scheme}://{host}", allowed=", ".join(f"https://{name.lstrip('.')}" for name in allowed)
        )


def lent(name: str, keys: Callable[[str], str | None]) -> str | None:
    """Return a variable's value for a step's own request, None without one; raises :class:`InvalidInput` for a known provider's key.

    Such a key goes to its provider only, whatever a workspace's file allows; neither may it be sent under another name.
    """
    value = keys(f"env:{name}")
    known = {variable: keys(f"env:{variable}") for names in VARIABLES.values() for variable in names}
    if name in known or (value is not None and value in known.values()):
        raise InvalidInput(what=f"{name} holds a model provider's key", where="[allow] variables", next="It goes to its provider only; use another variable.")
    return value


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine. Spellings that are no plain address are not trusted."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _owner(provider: ProviderSettings, key: str, keys: Callable[[str], str | None]) -> str | None:
    """Return the known provider that a key belongs to: by the provider's name, the variable's name, or the key itself."""
    if provider.name in HOSTS:
        return provider.name
    for name, variables in VARIABLES.items():
        for variable in variables:
            if provider.api_key == f"env:{variable}" or keys(f"env:{variable}") == key:
                return name
    return None
