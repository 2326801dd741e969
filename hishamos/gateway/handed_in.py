"""The files of a request on their way: texts become part of the prompt, images and PDFs are read when they are about to be sent."""

from __future__ import annotations

import asyncio

from hishamos.media.reading import read
from hishamos.records.attachments import Attachment
from hishamos.records.calls import Message, ModelRequest
from hishamos.text.framing import FILE


async def with_texts(request: ModelRequest) -> ModelRequest:
    """Return the request with its text files in its words; so they are counted, hidden and priced like any. Raises :class:`FileChanged`."""
    if not any(file.media == "text/plain" for file in request.files):
        return request
    messages = [message if not message.files else await asyncio.to_thread(_told, message) for message in request.messages]
    return request.model_copy(update={"messages": tuple(messages)})


async def bytes_of(files: tuple[Attachment, ...]) -> dict[str, bytes]:
    """Return the bytes of files by their hash; raises :class:`FileChanged`."""
    return {file.sha256: await asyncio.to_thread(read, file) for file in {file.sha256: file for file in files}.values()}


def _told(message: Message) -> Message:
    told = [FILE.format(number=number) + read(file).decode("utf-8-sig") for number, file in enumerate(message.files, 1) if file.media == "text/plain"]
    seen = tuple(file for file in message.files if file.media != "text/plain")
    return message.model_copy(update={"content": message.content + "".join(told), "files": seen})
