"""The adapter of the offline model ``offline/extractive``: it computes in process, deterministically."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from hishamos.gateway.adapters.plug import AdapterEvent, AdapterRequest, Fault, Finish, Text, Used
from hishamos.records.calls import Usage

if TYPE_CHECKING:
    from hishamos.gateway.offline import Extraction

MODEL = "extractive"


class ExtractiveAdapter:
    """Answers by selecting and classifying what is in the prompt. Work is done on one thread, off the event loop.

    It sees no images and reads no PDFs: their names stand among what it did not judge.
    """

    takes_files = True

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hishamos-offline")

    async def stream(self, request: AdapterRequest) -> AsyncIterator[AdapterEvent]:
        """See the plug; gives the whole answer as one piece."""
        if request.model != MODEL:
            raise Fault(f"the offline provider has one model, offline/{MODEL}", status=404)
        done = await asyncio.get_running_loop().run_in_executor(self._thread, _extract, request)
        yield Text(done.text)
        words = sum(len(message.content.split()) for message in request.messages)
        yield Used(Usage(input=words, output=len(done.text.split()), source="estimated"))
        unseen = [file.name for message in request.messages for file in message.files]
        yield Finish("stop", (*done.not_judged, *unseen))

    def warm(self) -> None:
        """See the plug."""
        import hishamos.gateway.offline  # noqa: F401 - the import is the work

    async def close(self) -> None:
        """See the plug."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _extract(request: AdapterRequest) -> Extraction:
    from hishamos.gateway.offline import extract, spoken

    instructions = "\n\n".join(message.content for message in request.messages if message.role == "system")
    said = spoken((message.role, message.content) for message in request.messages if message.role != "system")
    return extract(instructions, said, request.output_schema, request.max_output_tokens)
