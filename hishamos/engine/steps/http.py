"""``http``: one request to a host on the allow-list; output ``{status, headers, body, json, url}``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, Self
from urllib.parse import quote

from pydantic import Field, model_validator

from hishamos.engine.outside import Outside
from hishamos.engine.steptype import Done, Library, Problem, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import StepFailed
from hishamos.security import redact

REFERENCE = re.compile(r"\benv:([A-Za-z_][A-Za-z0-9_]*)")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
SECRET = re.compile(r"authorization|cookie|token|secret|api[-_]?key|password", re.IGNORECASE)
OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
LARGEST = 10_000_000
SHOWN = 500


class HttpInputs(StepInputs):
    """The request, and what is taken for an answer."""

    url: str = Field(max_length=8000)
    """``https://host/path``; plain http only where the list says so or the host is this machine."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """The verb."""
    headers: dict[str, str] = {}
    """No templates. A secret stands as ``env:NAME``, also inside a text (``Bearer env:NAME``), and NAME in ``[allow] variables``."""
    json_: Any = Field(None, alias="json")
    """The body, as JSON."""
    body: str | None = None
    """The body, as text."""
    timeout_s: float = Field(30, gt=0, le=3600, allow_inf_nan=False)
    """Seconds for the whole request, redirects included."""
    limit: int = Field(1_000_000, ge=1, le=LARGEST)
    """Most bytes of the answer's body."""
    ok: list[int] = []
    """Statuses of 400 and above that are no failure."""

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.json_ is not None and self.body is not None:
            raise ValueError("give json or body, not both")
        return self


class HttpStep(StepType[HttpInputs]):
    """Sends the request once a try, with an ``Idempotency-Key`` that is the same when a try is repeated after a crash."""

    name = "http"
    inputs = HttpInputs
    literal = frozenset({"headers", "method"})

    def run(self, context: StepContext, inputs: HttpInputs) -> Result:
        """See the plug."""
        key = quote(f"{context.run.id}/{context.path}/{context.attempt}", safe="/[]")
        context.outside.check_host(inputs.url)
        answer = context.background(lambda: _asked(context.outside, inputs, key, context.path, min(inputs.timeout_s, context.limit_s)))
        return Done(answer.value) if answer.ready else Waiting([answer])

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:  # noqa: ARG002 - the lists are held against when it is sent
        """See the plug: headers can be sent and hold no secret."""
        headers = raw.get("headers")
        found = []
        for name, value in headers.items() if isinstance(headers, Mapping) else ():
            if not NAME.fullmatch(str(name)) or str(name).lower() in OURS or not str(value).isascii() or not str(value).isprintable():
                found.append(Problem(("headers", name), f"the header {name!r} can't be sent", "Names are tokens, values printable ASCII."))
            elif SECRET.search(str(name)) and not REFERENCE.search(str(value)):
                advice = 'Write "env:NAME" for it, NAME in [allow] variables of hishamos.toml, and set that variable.'
                found.append(Problem(("headers", name), f"the header {name!r} holds a secret", advice))
        return found


def _asked(outside: Outside, inputs: HttpInputs, key: str, path: str, timeout_s: float) -> dict[str, Any]:
    import httpx

    from hishamos.engine.web import TooLarge, send

    secrets: list[str] = []

    def resolved(match: re.Match[str]) -> str:
        secrets.append(outside.secret(match[1]))
        return secrets[-1]

    headers = {"Idempotency-Key": key} | {name: REFERENCE.sub(resolved, value) for name, value in inputs.headers.items()}
    content = inputs.body.encode() if inputs.body is not None else None
    if inputs.json_ is not None:
        content = json.dumps(inputs.json_, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} | headers
    place = inputs.url.partition("?")[0]
    try:
        response, body = send(inputs.method, inputs.url, headers=headers, content=content, timeout_s=timeout_s, limit=inputs.limit, check=outside.check_host)
    except TooLarge:
        raise StepFailed(step=path, reason=f"the answer of {place} is larger than {inputs.limit} bytes; raise limit or ask for less") from None
    except httpx.TimeoutException:
        raise StepFailed(step=path, reason=f"{place} did not answer within {timeout_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise StepFailed(step=path, reason=redact(f"{place}: {type(error).__name__}: {error}", secrets)[:SHOWN]) from None
    text = redact(body.decode(response.encoding or "utf-8", "replace"), secrets)
    if response.status_code >= 400 and response.status_code not in inputs.ok:
        raise StepFailed(step=path, reason=f"{place} answered {response.status_code}: {' '.join(text.split())[:SHOWN]}")
    told = {name: redact(value, secrets) for name, value in response.headers.items() if name != "set-cookie"}
    return {"status": response.status_code, "url": redact(str(response.url), secrets), "headers": told, "body": text, "json": _json(text, told)}


def _json(text: str, headers: Mapping[str, str]) -> Any:
    """Return a JSON answer as data; None for another one, or one that only says so."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return None
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
