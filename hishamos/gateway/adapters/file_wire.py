"""Images and PDFs in litellm's form, which is OpenAI's; it writes Anthropic's and Gemini's from it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from hishamos.records.attachments import Attachment


def wire_content(text: str, files: Sequence[Attachment], data: Mapping[str, bytes]) -> str | list[dict[str, Any]]:
    """Return a message's content: its files, then its words. Their names stay at home."""
    if not files:
        return text
    parts = [_part(number, file, data[file.sha256]) for number, file in enumerate(files, 1)]
    return [*parts, {"type": "text", "text": text}] if text else parts


def _part(number: int, file: Attachment, data: bytes) -> dict[str, Any]:
    address = f"data:{file.media};base64,{base64.b64encode(data).decode('ascii')}"
    if file.image:
        return {"type": "image_url", "image_url": {"url": address}}
    return {"type": "file", "file": {"filename": f"file{number}.pdf", "file_data": address}}
