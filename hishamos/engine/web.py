"""One bounded HTTP request: to addresses that the name may lead to, within a total time, no larger than asked for."""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpcore
import httpx

from hishamos.errors import InvalidInput
from hishamos.records.configuration import is_local

MOST_REDIRECTS = 5


class TooLarge(Exception):
    """The answer is larger than asked for."""


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | None,
    timeout_s: float,
    limit: int,
    check: Callable[[str], str],
) -> tuple[httpx.Response, bytes]:
    """Send a request and return the last response with its body.

    ``check`` returns the origin of a URL that may be asked, and raises for another; it is asked before each redirect too. Headers that the
    caller gave go to their first origin only. ``limit``: most bytes of the decoded body. Raises :class:`TooLarge`, ``httpx.HTTPError``.
    """
    end = time.monotonic() + timeout_s
    with httpx.Client(transport=_transport(end), trust_env=False, timeout=timeout_s) as client:
        request = client.build_request(method, url, headers=dict(headers), content=content)
        home = check(str(request.url))
        for _ in range(MOST_REDIRECTS + 1):
            response = client.send(request, stream=True)
            try:
                following = response.next_request
                if following is None:
                    return response, _body(response, limit)
            finally:
                response.close()
            if check(str(following.url)) != home:
                for name in headers:
                    following.headers.pop(name, None)
            request = following
    raise httpx.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects", request=request)


def _body(response: httpx.Response, limit: int) -> bytes:
    parts, size = [], 0
    for part in response.iter_bytes(65_536):
        size += len(part)
        if size > limit:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Return whose certificates are believed; read once, for that takes 26 ms of a processor."""
    return httpx.create_ssl_context(trust_env=False)


def _transport(end: float) -> httpx.HTTPTransport:
    transport = httpx.HTTPTransport(verify=_trusted(), trust_env=False)
    # httpx lets nobody say how its own pool connects.
    transport._pool = httpcore.ConnectionPool(ssl_context=_trusted(), network_backend=_Checked(end))
    return transport


class _Checked(httpcore.NetworkBackend):
    """Connects to an address that was looked at, not to a name that may lead elsewhere a moment later."""

    def __init__(self, end: float) -> None:
        self._end = end
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} has no address: {error.strerror}") from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not is_local(host):
            check_addresses(host, addresses)
        last: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                stream = self._plain.connect_tcp(address, port, _left(self._end, timeout), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
            else:
                return _Bounded(stream, self._end)
        raise last


class _Bounded(httpcore.NetworkStream):
    """A stream whose reads and writes end with the whole request's time."""

    def __init__(self, stream: httpcore.NetworkStream, end: float) -> None:
        self._stream, self._end = stream, end

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._end, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._end, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, _left(self._end, timeout)), self._end)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def check_addresses(host: str, addresses: Iterable[str]) -> None:
    """Raise :class:`InvalidInput` if a name leads to this machine, to its link (where clouds keep their secrets) or nowhere."""
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address.sixtofour or address
        if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
            following = "If you mean this machine, put its address itself on the list in hishamos.toml: [allow] hosts."
            raise InvalidInput(what=f"{host} leads to {text}", where="an http step", next=following)


def _left(end: float, timeout: float | None) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the request's time is over")
    return left if timeout is None else min(left, timeout)
