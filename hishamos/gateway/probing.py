"""Whether providers can be reached, and take their keys: each one's list of models is asked for, which costs nothing."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from hishamos.errors import nearest_hint
from hishamos.gateway.readiness import OLLAMA, listens, where_to_set
from hishamos.records.configuration import ProviderSettings, origin
from hishamos.records.workspaces import Finding

if TYPE_CHECKING:
    import httpx

DEADLINE_S = 5.0
"""For all providers together: they are asked at once."""
_Found = tuple[Literal["ok", "note", "problem"], str, str]
"""State, what was found, what to do."""
LONGEST_LIST = 8_000_000
"""Bytes. OpenRouter's, the longest known, has half a million."""
OK, UNAUTHORIZED, FORBIDDEN, NO_SUCH_PATH, TOO_MANY = 200, 401, 403, (404, 405, 501), 429


@dataclass(frozen=True, slots=True)
class Listing:
    """How a kind of provider lists its models: where, with what headers, and where their names stand in the answer."""

    base: str
    path: str
    headers: Callable[[str], Mapping[str, str]]
    models: str = "data"
    name: str = "id"


def _bearer(key: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {key}"}


LISTINGS = {
    # https://platform.openai.com/docs/api-reference/models/list
    "openai": Listing("https://api.openai.com/v1", "/models", _bearer),
    # https://docs.anthropic.com/en/api/models-list
    "anthropic": Listing("https://api.anthropic.com", "/v1/models?limit=1000", lambda key: {"x-api-key": key, "anthropic-version": "2023-06-01"}),
    # https://ai.google.dev/api/models#method:-models.list
    "gemini": Listing("https://generativelanguage.googleapis.com/v1beta", "/models?pageSize=1000", lambda key: {"x-goog-api-key": key}, "models", "name"),
    # https://github.com/ollama/ollama/blob/main/docs/api.md#list-local-models
    "ollama": Listing(OLLAMA, "/api/tags", _bearer, "models", "name"),
    # https://openrouter.ai/docs/api-reference/list-available-models; its list is the same for everybody, so that it proves no key
    "openrouter": Listing("https://openrouter.ai/api/v1", "/models", _bearer),
}
PROVES_NO_KEY = frozenset({"openrouter"})
KEY_WORDS = ("api_key_invalid", "api key not valid", "api key expired")
"""Gemini answers a wrong key with 400."""


def probe(providers: Sequence[tuple[ProviderSettings, str | None, Sequence[str]]]) -> list[Finding]:
    """Return a finding for each provider, in order. They are asked at once, for five seconds at most, and nothing is written down.

    ``providers``: each with its key, which must have been allowed to go there, and the names of the models that routes want of it.
    """
    if not providers:
        return []
    return asyncio.run(_probe(providers))


def ollama_nearby(address: str = OLLAMA) -> Finding | None:
    """Return what to do with a server like Ollama's at its usual address, for whoever has configured none; None where nothing answers."""
    if not listens(address):
        return None
    provider = ProviderSettings(name="ollama", kind="ollama", api_base=address)
    [found] = probe([(provider, None, ())])
    if found.state != "ok":
        return None
    advice = f"To use it: set OLLAMA_HOST={address.partition('://')[2]}, or write [providers.ollama] into hishamos.toml."
    return Finding(subject="provider ollama", state="note", found=f"not configured, but a server {found.found}", advice=advice)


async def _probe(providers: Sequence[tuple[ProviderSettings, str | None, Sequence[str]]]) -> list[Finding]:
    import httpx

    # As litellm does, it goes by way of the proxy that the environment names.
    async with httpx.AsyncClient(timeout=DEADLINE_S, follow_redirects=False) as client:
        return list(await asyncio.gather(*(_one(client, *provider) for provider in providers)))


async def _one(client: httpx.AsyncClient, provider: ProviderSettings, key: str | None, wanted: Sequence[str]) -> Finding:
    listing = LISTINGS.get(provider.kind) or (LISTINGS["openai"] if provider.api_base else None)
    subject = f"provider {provider.name}"
    if listing is None or provider.kind == "azure":
        ready = f"has a key from {provider.api_key}" if provider.api_key else "needs no key"
        return Finding(subject=subject, state="note", found=f"{ready}; its models can't be listed, so it was not asked", advice=_test(provider))
    url = (provider.api_base or listing.base).rstrip("/") + listing.path
    started = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(DEADLINE_S):
            async with client.stream("GET", url, headers=listing.headers(key) if key else {}) as answer:
                body = await _read(answer)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong on the way there is what is looked for
        return _unreached(subject, provider, url, error)
    taken = asyncio.get_running_loop().time() - started
    return _answered(subject, provider, listing, answer, body, wanted, taken)


async def _read(answer: httpx.Response) -> bytes:
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > LONGEST_LIST:
            break
    return body


def _answered(
    subject: str, provider: ProviderSettings, listing: Listing, answer: httpx.Response, body: bytes, wanted: Sequence[str], taken_s: float
) -> Finding:
    parts = urlsplit(provider.api_base or listing.base)
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    refused = _refused(provider, answer, body, where)
    state, found, advice = refused or _listed(provider, _names(body, listing), body, wanted, where, taken_s)
    return Finding(subject=subject, state=state, found=found, advice=advice)


def _refused(provider: ProviderSettings, answer: httpx.Response, body: bytes, where: str) -> _Found | None:
    """Return what an answer without a list says; None where there should be one."""
    status, mend = answer.status_code, f"Correct api_base of [providers.{provider.name}]."
    wrong_key = status not in (OK, TOO_MANY) and any(word in body[:4000].decode(errors="replace").lower() for word in KEY_WORDS)
    if status in (UNAUTHORIZED, FORBIDDEN) or wrong_key:
        refusal = f"refuses the key from {provider.api_key}" if provider.api_key else "wants a key"
        return "problem", f"{where} {refusal} ({status})", where_to_set(provider)
    if answer.is_redirect:
        to = origin(answer.headers.get("location", "")) or "another address"
        return "problem", f"{where} answers with a redirect to {to}, and a key follows none", mend
    told: dict[int, _Found] = {
        TOO_MANY: ("note", f"{where} answers, but takes no more requests just now ({status})", "Ask again in a minute."),
        **dict.fromkeys(NO_SUCH_PATH, ("note", f"{where} answers, but lists no models ({status})", f"If calls fail: {mend} {_test(provider)}")),
    }
    return (
        None
        if status == OK
        else told.get(status, ("problem", f"{where} answers with {status}", "Try again later; a route's other models are asked meanwhile."))
    )


def _listed(provider: ProviderSettings, names: Sequence[str] | None, body: bytes, wanted: Sequence[str], where: str, taken_s: float) -> _Found:
    """Return what a list of models says."""
    if names is None:
        form = "HTML" if body[:200].lstrip().startswith(b"<") else "no list of models"
        return "problem", f"{where} answers with {form}: it is no {provider.kind} server", f"Correct api_base of [providers.{provider.name}]."
    lacking = [name for name in wanted if not _among(name, names)]
    lacks = f"; not among them: {', '.join(name + nearest_hint(name, names) for name in lacking)}" if lacking else ""
    key = f", key from {provider.api_key}" if provider.api_key else ""
    found = f"answers at {where} in {taken_s:.2f} s with {len(names)} models{key}{' not proven' if key and provider.kind in PROVES_NO_KEY else ''}{lacks}"
    if provider.kind == "ollama" and (lacking or not names):
        return "problem" if lacking else "note", found, f"Run: ollama pull {lacking[0] if lacking else 'llama3.2'}"
    return ("problem", found, "Correct the name in the route, or ask the provider for access.") if lacking else ("ok", found, "")


def _names(body: bytes, listing: Listing) -> list[str] | None:
    try:
        listed = json.loads(body)[listing.models]
        return [str(one[listing.name]).removeprefix("models/") for one in listed]
    except (ValueError, LookupError, TypeError):
        return None


def _among(wanted: str, names: Sequence[str]) -> bool:
    """Whether a model is listed: under its name, its dated form (``-20251001``), or Ollama's usual tag."""
    dated = f"{wanted}-"
    return any(name in (wanted, f"{wanted}:latest") or (name.startswith(dated) and name[len(dated) :][:1].isdigit()) for name in names)


def _unreached(subject: str, provider: ProviderSettings, url: str, error: Exception) -> Finding:
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    chain = list(_chain(error))
    proxy = _proxy(url)
    if proxy is not None and not isinstance(error, TimeoutError):
        variable, address = proxy
        advice = f"Correct or unset {variable}, or add {parts.hostname} to NO_PROXY; then: hishamos server stop"
        return Finding(subject=subject, state="problem", found=f"the proxy {address} ({variable}) can't be used: {_words(chain)}", advice=advice)
    by = f" by way of the proxy {proxy[1]} ({proxy[0]})" if proxy else ""
    advice = f"Check api_base of [providers.{provider.name}]." if provider.api_base else "Check this machine's network; behind a proxy, set HTTPS_PROXY."
    if any(isinstance(link, TimeoutError) or "Timeout" in type(link).__name__ for link in chain):
        return Finding(subject=subject, state="problem", found=f"{where} gives no answer within {DEADLINE_S:g} s{by}", advice=advice)
    if any(isinstance(link, socket.gaierror) for link in chain):
        return Finding(subject=subject, state="problem", found=f"the name {parts.hostname} is not known here", advice=advice)
    if any(isinstance(link, ssl.SSLError) for link in chain):
        trusted = "If your organisation signs certificates itself, set SSL_CERT_FILE to its file; then: hishamos server stop"
        return Finding(subject=subject, state="problem", found=f"{where} can't be trusted: {_words(chain)}", advice=trusted)
    return Finding(subject=subject, state="problem", found=f"{where} can't be reached: {_words(chain)}", advice=advice)


def _words(chain: Sequence[BaseException]) -> str:
    text = next((str(link) for link in reversed(chain) if str(link)), type(chain[0]).__name__)
    return text.splitlines()[0][:200].rstrip(".")


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def _proxy(url: str) -> tuple[str, str] | None:
    """Return the environment variable that names the proxy for an address, and the proxy without its password; None where there is none."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    for scheme in (parts.scheme, "all"):
        if scheme in proxies:
            variable = next((name for name in os.environ if name.lower() == f"{scheme}_proxy"), f"{scheme.upper()}_PROXY")
            shown = urlsplit(proxies[scheme] if "://" in proxies[scheme] else f"http://{proxies[scheme]}")
            return variable, f"{shown.scheme}://{shown.netloc.rpartition('@')[2]}"
    return None


def _test(provider: ProviderSettings) -> str:
    return f"One tiny call tells more: hishamos providers --test {provider.name}"
