"""A provider on the loopback interface that keeps its own book, independent of the ledger: the witness of ``hishamos prove``.

It speaks the OpenAI format. A model's name says how it behaves: ``steady`` answers after a moment, ``dear`` costs most of a cent, ``cutting`` breaks
off in mid-stream, ``unlisted`` has no price. What it bills it reckons itself, in whole nano-dollars.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PRICES = {"steady": (3_000, 15_000), "dear": (1_000, 100_000), "cutting": (3_000, 15_000), "unlisted": (0, 0)}
"""Nano-dollars for each token of input and output."""
WAITS_S = {"steady": 0.2, "dear": 0.1, "cutting": 0.0, "unlisted": 0.0}
WORDS = "The answer that the book holds is this sentence of fifteen words, told whole once."


@dataclass(frozen=True)
class Entry:
    """One request that was received: what it asked, and what is billed for it."""

    model: str
    asked: str
    """The last message."""
    nanos: int
    whole: bool
    """Whether the answer was sent to its end. What is received is billed either way."""


class Provider:
    """The provider; use it in a ``with`` block. ``error_nanos`` is added to each bill: a wrong book, which a proof has to notice."""

    def __init__(self, error_nanos: int = 0) -> None:
        self._error = error_nanos
        self._book: list[Entry] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self

    @property
    def url(self) -> str:
        """Its address, as ``api_base``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def book(self, model: str | None = None) -> list[Entry]:
        """Return what was received so far, in order; ``model``: for this one only."""
        with self._lock:
            return [entry for entry in self._book if model in (None, entry.model)]

    def answered(self, model: str, asked: str) -> tuple[dict[str, int], bool]:
        """Write a request into the book; return the usage to report, and whether the answer is to be cut off."""
        # Each question has a number of tokens of its own, so that a row of the ledger can be told from any other.
        usage = {"prompt_tokens": 20 + sum(map(ord, asked)) % 50, "completion_tokens": 90 if model == "dear" else 100 + _number(asked)}
        usage["total_tokens"] = sum(usage.values())
        a_token_in, a_token_out = PRICES[model]
        nanos = usage["prompt_tokens"] * a_token_in + usage["completion_tokens"] * a_token_out + self._error
        cut = model == "cutting"
        with self._lock:
            self._book.append(Entry(model, asked, nanos, whole=not cut))
        time.sleep(WAITS_S[model])
        return usage, cut

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="provider", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    provider: Provider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are killed are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model, stream = asked["model"], bool(asked.get("stream"))
        usage, cut = self.server.provider.answered(model, str(asked["messages"][-1]["content"]).strip())
        try:
            if stream:
                self._stream(model, usage, cut=cut)
            else:
                self._whole(model, usage)
        except OSError:
            self.close_connection = True  # who asked was killed; it is billed all the same

    def log_message(self, format: str, *values: Any) -> None:
        """Say nothing."""

    def _whole(self, model: str, usage: dict[str, int]) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": WORDS}, "finish_reason": "stop"}
        body = json.dumps({"id": "proof", "object": "chat.completion", "created": 0, "model": model, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, model: str, usage: dict[str, int], *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        words = [f"{word} " for word in WORDS.split()]
        for word in words[: len(words) // 2] if cut else words:
            self._piece(model, [{"index": 0, "delta": {"content": word}, "finish_reason": None}])
        if not cut:
            self._piece(model, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
            self._piece(model, [], usage)
            self.wfile.write(b"data: [DONE]\n\n")

    def _piece(self, model: str, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> None:
        piece = {"id": "proof", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": choices, "usage": usage}
        self.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
        self.wfile.flush()


def _number(asked: str) -> int:
    last = asked.rsplit(maxsplit=1)[-1]
    return int(last) if last.isdigit() else 0
