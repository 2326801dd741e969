"""One request to the workspace's server: found or started, keys handed over, repeated when the connection was lost."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pydantic_core import PydanticSerializationError, to_json

import hishamos
from hishamos.contracts.verbs import Verb
from hishamos.contracts.wire import ARROW, PROTOCOL, Hello, Places, Welcome, answer_adapter, code
from hishamos.errors import ConnectionLost, HishamosError, InvalidInput, ProtocolMismatch, ServerClosing, ServerSilent, from_wire
from hishamos.provenance import whence
from hishamos.records.record import timed_id
from hishamos.records.workspaces import ServerInfo
from hishamos.remote.discovery import answers, find, held, start
from hishamos.remote.unix import Connections

TRIES = 6
LEAVING_S = 20.0
SILENT_S = 20.0
"""So long a greeting, or the wish that the server leaves, waits for its answer; neither takes a second where the server is well."""


class Requests:
    """The client's end of the local transport; thread-safe."""

    def __init__(self, root: Path) -> None:
        self.places = Places(root)
        self._acting = _acting(root)
        self._connections = Connections()
        self._lock = threading.RLock()
        self._server: ServerInfo | None = None
        self._wanted: tuple[str, ...] = ()
        self._handed: dict[str, str] | None = {}
        """None when this server has not been told yet, be it that there are none."""
        self._own: dict[str, str] = {}

    @property
    def server(self) -> ServerInfo:
        """The server this client talks to, found or started and greeted."""
        with self._lock:
            if self._server is None:
                self._server = self._greet()
            return self._server

    def call(self, verb: Verb, arguments: dict[str, Any]) -> Any:
        """Send one verb and return its answer; a changing call that is repeated carries the same id."""
        body = written(verb, arguments)
        identity = timed_id(20)
        for tried in range(1, TRIES + 1):
            try:
                return self._once(verb, body, identity, tried)
            except (ConnectionError, http.client.HTTPException, ServerClosing, TimeoutError, FileNotFoundError) as error:
                self._let_leave(error)
                self._forget()
                if tried == TRIES:
                    raise ConnectionLost(problem=str(error) or type(error).__name__, where=str(self.places.root), next="") from error
                time.sleep(0.05 * tried)
            except KeyboardInterrupt:
                self._forget(server=False)
                if verb.permission == "models.call":
                    self._cancel(identity)
                raise
        raise AssertionError("unreachable")

    def stream(self, verb: Verb, arguments: dict[str, Any]) -> Iterator[Any]:
        """Send a stream verb and yield its items; an event stream that breaks goes on after the last item seen."""
        adapter = answer_adapter(verb.service, verb.name)
        for tried in range(1, TRIES + 1):
            try:
                for item in self._lines(verb, written(verb, arguments), timed_id(20)):
                    found = adapter.validate_python(item)
                    if "after" in arguments:
                        arguments = arguments | {"after": getattr(found, "seq", arguments["after"])}
                    yield found
                return
            except (ConnectionError, http.client.HTTPException, ServerClosing, FileNotFoundError) as error:
                self._let_leave(error)
                self._forget()
                if tried == TRIES or "after" not in arguments:
                    raise ConnectionLost(problem=str(error) or type(error).__name__, where=str(self.places.root), next="") from error
                time.sleep(0.05 * tried)

    def stop(self) -> bool:
        """Ask a running server to leave and wait until it has; return whether there was one."""
        found = find(self.places)
        if found is None or not answers(found):
            return False
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            self._post(found, "/v1/stop", b"{}", {}, within_s=SILENT_S)
        self._forget()
        self._until_left(found)
        return True

    def close(self) -> None:
        """Close this thread's connection; the server goes on."""
        self._connections.drop()

    def tagged(self, own: dict[str, str]) -> Self:
        """See :class:`hishamos.remote.proxies.Way`. Both use the same connections."""
        other = copy.copy(self)
        other._own = {**self._own, **own}
        return other

    def _until_left(self, server: ServerInfo) -> None:
        deadline = time.monotonic() + LEAVING_S
        while held(self.places) and time.monotonic() < deadline:
            now = find(self.places)
            if now is not None and now.pid != server.pid:
                return
            time.sleep(0.02)

    def _let_leave(self, error: Exception) -> None:
        """Wait for a server that still answers but takes nothing new, be it that it lets its work come to rest: the next one can't start before."""
        server = self._server
        if isinstance(error, ServerClosing) and server is not None:
            self._until_left(server)

    def _once(self, verb: Verb, body: bytes, identity: str, tried: int) -> Any:
        server = self.server
        self._hand_over(server)
        response, data = self._post(server, f"/v1/{verb.service}/{verb.name}", body, self._headers(identity, tried))
        if response.getheader("Content-Type") == ARROW:
            return read_frame(data)
        return answer_adapter(verb.service, verb.name).validate_json(data)

    def _lines(self, verb: Verb, body: bytes, identity: str) -> Iterator[Any]:
        server = self.server
        self._hand_over(server)
        # A stream has a connection of its own: the thread may make other calls while it reads.
        connections = Connections()
        connection = connections.get(server.address.removeprefix("unix:"))
        try:
            connection.request("POST", f"/v1/{verb.service}/{verb.name}", body, {**self._headers(identity, 1), "Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise from_wire(json.loads(response.read())["error"])
            for line in response:
                item = json.loads(line)
                if "error" in item and "item" not in item:
                    raise from_wire(item["error"])
                if "item" in item:
                    yield item["item"]
                if item.get("end"):
                    return
            raise ConnectionResetError("the stream broke")
        except (GeneratorExit, KeyboardInterrupt):
            if verb.permission == "models.call":  # told while the stream is open: a lost connection cancels nothing
                self._cancel(identity)
            raise
        finally:
            connections.drop()

    def _headers(self, identity: str, tried: int) -> dict[str, str]:
        here = whence(self.places.root, self._own)
        # As ASCII: a header holds no Arabic, a notebook's name or a tag may.
        told = {} if here is None else {"X-Origin": json.dumps(here.tags())}
        return {"X-Request-Id": identity, "X-Try": str(tried), **self._acting, **told}

    def _post(
        self, server: ServerInfo, path: str, body: bytes, headers: dict[str, str], *, within_s: float | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self._connections.get(server.address.removeprefix("unix:"))
        connection.wait_at_most(within_s)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            data = response.read()
        except TimeoutError:
            self._connections.drop()
            how = f"See: hishamos server logs. If it stays so, end it: kill -9 {server.pid}; what it committed stays, and its runs go on in the next one."
            raise ServerSilent(pid=server.pid, seconds=within_s, next=how) from None
        if response.status != http.HTTPStatus.OK:
            raise from_wire(json.loads(data)["error"])
        return response, data

    def _greet(self) -> ServerInfo:
        fingerprint, stamp = code()
        hello = Hello(protocol=PROTOCOL, version=hishamos.__version__, stamp=stamp, fingerprint=fingerprint).model_dump_json().encode()
        # Asked to leave once at most, for two clients with different code would take turns for ever; and never by a notebook that the
        # server itself executes, for the server would end that notebook as it leaves.
        may_ask = "HISHAMOS_ACTING" not in os.environ
        for _ in range(3):
            found = find(self.places)
            server = found if found is not None and answers(found) else start(self.places)
            try:
                _, data = self._post(server, "/v1/hello", hello, {}, within_s=SILENT_S)
            except (ConnectionError, http.client.HTTPException, FileNotFoundError, ServerClosing):
                self._connections.drop()
                continue
            welcome = Welcome.model_validate_json(data)
            if welcome.newer_client and may_ask:
                self.stop()
                may_ask = False
                continue
            if welcome.protocol != PROTOCOL:
                problem = f"The workspace's server (pid {welcome.pid}, HishamOS {welcome.version}) is newer than this program ({hishamos.__version__})."
                raise ProtocolMismatch(problem=problem, next="Upgrade: pip install -U hishamos")
            self._wanted, self._handed = welcome.wanted, None if welcome.wanted else {}
            return server
        raise ConnectionLost(problem="the server left each time it was greeted", where=str(self.places.root), next="See: hishamos server logs")

    def _hand_over(self, server: ServerInfo) -> None:
        """Give the server the keys that this process has, when they are new: one set in a notebook works in the next cell."""
        here = {name: value for name in self._wanted if (value := os.environ.get(name))}
        if here == self._handed:
            return
        _, data = self._post(server, "/v1/keys", json.dumps(here).encode(), {})
        self._handed = here
        self._wanted = tuple(json.loads(data)["wanted"])

    def _cancel(self, identity: str) -> None:
        with contextlib.suppress(ConnectionError, http.client.HTTPException, HishamosError, FileNotFoundError):
            self._post(self.server, f"/v1/cancel/{identity}", b"{}", {})

    def _forget(self, *, server: bool = True) -> None:
        self._connections.drop()
        if server:
            with self._lock:
                self._server = None


def written(verb: Verb, arguments: dict[str, Any]) -> bytes:
    """Return a verb's arguments as JSON; raises :class:`InvalidInput` for those that have no such form."""
    try:
        return to_json(arguments)
    except PydanticSerializationError as error:
        what = f"an argument can't be written as JSON: {error}"
        raise InvalidInput(what=what, where=f"ws.{verb.service}.{verb.name}", next="Pass plain values: text, numbers, lists, dicts.") from None


def _acting(root: Path) -> dict[str, str]:
    """In a notebook that a step of this workspace executes, the token by which its server knows the step; another's has no use for it."""
    token = os.environ.get("HISHAMOS_ACTING")
    here = token and Path(os.environ.get("HISHAMOS_WORKSPACE", "")).resolve() == root.resolve()
    return {"X-Acting": token} if token and here else {}


def read_frame(data: bytes) -> Any:
    """Return an Arrow IPC stream as a DataFrame."""
    import pyarrow

    from hishamos.frames.tables import frame

    with pyarrow.ipc.open_stream(data) as reader:
        return frame(reader.read_all())
