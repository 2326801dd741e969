"""The simulator's batch endpoints: OpenAI's files and batches, Anthropic's message batches, with a book of the batches it was given.

Act on them by ``POST /script {"model": "batches", "then": {…}}``: ``hold`` (they don't end), ``refuse: [custom_id, …]`` (these rows fail),
``expire: [custom_id, …]``, ``fail`` (the whole batch is refused), ``lose_answer`` (made, but the answer never comes), ``status`` with ``location``
(a redirect), ``reverse`` (answers in reverse order).
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

BOUNDARY = re.compile(r'boundary="?([^";]+)')


@dataclass
class Batch:
    """One batch as the book keeps it."""

    id: str
    format: str
    rows: list[dict[str, Any]]
    made: float
    key: str
    name: str | None = None
    cancelled: bool = False
    billed: dict[str, dict[str, int]] = field(default_factory=dict)
    """By the row's custom id."""
    ends: dict[str, str] = field(default_factory=dict)


class BatchDesk:
    """Keeps the batches of one simulator. ``dialects``: by the format's name; ``count``: tokens of a message and its answer."""

    def __init__(self, dialects: dict[str, Any], count: Any) -> None:
        self._dialects, self._count = dialects, count
        self.batches: list[Batch] = []
        self.files: dict[str, list[dict[str, Any]]] = {}

    def book(self) -> list[dict[str, Any]]:
        """Return what was handed in."""
        return [{**vars(batch), "rows": [row["custom_id"] for row in batch.rows]} for batch in self.batches]

    def serve(self, method: str, path: str, headers: dict[str, str], body: bytes, act: dict[str, Any]) -> tuple[int, Any] | None:
        """Return status and body of the answer; None for a path that is none of its; a body None: no answer at all."""
        bare, _, query = path.partition("?")
        key = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("x-api-key", "")
        if bare == "/batches":
            return 200, self.book()
        if not bare.startswith(("/v1/files", "/v1/batches", "/v1/messages/batches")):
            return None
        if act.get("status"):
            return act["status"], {"error": {"message": act.get("message", "simulated"), "type": act.get("code", "simulated")}}
        if bare == "/v1/files":
            return self._upload(headers, body)
        if bare.startswith("/v1/files/"):
            return self._content(bare.split("/")[3], act)
        openai = bare.startswith("/v1/batches")
        rest = bare.removeprefix("/v1/batches" if openai else "/v1/messages/batches").strip("/").split("/")
        if method == "POST" and rest == [""]:
            made = self._make(json.loads(body), "openai" if openai else "anthropic", key)
            return (200, None) if act.get("lose_answer") else (200, self._shown(made, act))
        if rest == [""]:
            return self._listed("openai" if openai else "anthropic", query, act)
        batch = next((one for one in self.batches if one.id == rest[0]), None)
        if batch is None:
            return 404, {"error": {"message": "no such batch", "type": "not_found_error"}}
        if rest[1:] == ["cancel"]:
            batch.cancelled = True
        if rest[1:] == ["results"]:
            return 200, self._jsonl([self._anthropic(batch, row, act) for row in self._order(batch, act)])
        return 200, self._shown(batch, act)

    def _upload(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        found = BOUNDARY.search(headers["content-type"])
        assert found
        parts = body.split(b"--" + found[1].encode())
        content = next(part.partition(b"\r\n\r\n")[2] for part in parts if b"filename=" in part)
        name = f"file-{len(self.files)}"
        self.files[name] = [json.loads(line) for line in content.splitlines() if line.strip()]
        return 200, {"id": name, "object": "file", "purpose": "batch"}

    def _make(self, asked: dict[str, Any], form: str, key: str) -> Batch:
        rows = self.files[asked["input_file_id"]] if form == "openai" else asked["requests"]
        assert len({row["custom_id"] for row in rows}) == len(rows)
        name = (asked.get("metadata") or {}).get("hishamos")
        self.batches.append(Batch(f"batch_{len(self.batches)}", form, rows, time.time(), key, name))
        return self.batches[-1]

    def _listed(self, form: str, query: str, act: dict[str, Any]) -> tuple[int, Any]:
        given = dict(part.split("=") for part in query.split("&") if part)
        newest = [batch for batch in reversed(self.batches) if batch.format == form]
        after = given.get("after") or given.get("after_id")
        start = next((place + 1 for place, batch in enumerate(newest) if batch.id == after), 0)
        size = act.get("page", int(given.get("limit", 20)))
        page = newest[start : start + size]
        more = start + size < len(newest)
        return 200, {"data": [self._shown(batch, act) for batch in page], "has_more": more, "last_id": page[-1].id if page else None}

    def _shown(self, batch: Batch, act: dict[str, Any]) -> dict[str, Any]:
        ended = batch.cancelled or not act.get("hold")
        size = len(batch.rows)
        if batch.format == "anthropic":
            counts = {"processing": 0 if ended else size, "succeeded": size if ended else 0, "errored": 0, "canceled": 0, "expired": 0}
            made = datetime.fromtimestamp(batch.made, UTC).isoformat()
            return {
                "id": batch.id,
                "type": "message_batch",
                "processing_status": "ended" if ended else "in_progress",
                "request_counts": counts,
                "created_at": made,
            }
        status = "failed" if act.get("fail") else "cancelled" if batch.cancelled else "completed" if ended else "in_progress"
        told = {"id": batch.id, "object": "batch", "status": status, "created_at": int(batch.made), "request_counts": {"total": size}}
        told |= {"metadata": {"hishamos": batch.name}}
        if act.get("fail"):
            return told | {"errors": {"data": [{"message": act["fail"]}]}}
        return told | ({"output_file_id": f"out-{batch.id}", "error_file_id": f"err-{batch.id}"} if ended else {})

    def _order(self, batch: Batch, act: dict[str, Any]) -> list[dict[str, Any]]:
        return list(reversed(batch.rows)) if act.get("reverse") else batch.rows

    def _content(self, file: str, act: dict[str, Any]) -> tuple[int, Any]:
        kind, _, name = file.partition("-")
        batch = next(one for one in self.batches if one.id == name)
        lines = [self._openai(batch, row, act) for row in self._order(batch, act)]
        good = [line for line in lines if line["response"] and line["response"]["status_code"] == 200]
        return 200, self._jsonl(good if kind == "out" else [line for line in lines if line not in good])

    def _end(self, batch: Batch, row: dict[str, Any], act: dict[str, Any]) -> str:
        name = row["custom_id"]
        end = "refused" if name in act.get("refuse", ()) else "expired" if name in act.get("expire", ()) else "cancelled" if batch.cancelled else "answered"
        batch.ends[name] = end
        return end

    def _answer(self, batch: Batch, row: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        dialect = self._dialects[batch.format]
        model, message, _, _, schema = dialect.read("", body)
        text = f"simulated answer to {message}" if schema is None else json.dumps({"answer": "simulated"})
        usage = batch.billed[row["custom_id"]] = self._count(message, text)
        whole: dict[str, Any] = dialect.whole(model, text, usage, "stop", body)
        return whole

    def _openai(self, batch: Batch, row: dict[str, Any], act: dict[str, Any]) -> dict[str, Any]:
        end = self._end(batch, row, act)
        line: dict[str, Any] = {"custom_id": row["custom_id"], "response": None, "error": None}
        if end == "answered":
            return line | {"response": {"status_code": 200, "body": self._answer(batch, row, row["body"])}}
        if end == "refused":
            return line | {"response": {"status_code": 400, "body": {"error": {"message": "simulated refusal", "type": "invalid_request_error"}}}}
        return line | {"error": {"code": f"batch_{end}", "message": f"this request was {end}"}}

    def _anthropic(self, batch: Batch, row: dict[str, Any], act: dict[str, Any]) -> dict[str, Any]:
        end = self._end(batch, row, act)
        if end == "answered":
            return {"custom_id": row["custom_id"], "result": {"type": "succeeded", "message": self._answer(batch, row, row["params"])}}
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": "simulated refusal"}}
        result = {"type": "errored", "error": error} if end == "refused" else {"type": {"cancelled": "canceled"}.get(end, end)}
        return {"custom_id": row["custom_id"], "result": result}

    @staticmethod
    def _jsonl(lines: list[dict[str, Any]]) -> bytes:
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
