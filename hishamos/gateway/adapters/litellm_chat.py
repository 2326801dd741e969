"""The litellm adapter: transport only. One request, its own key and address, no retries, no fallbacks, no money."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from hishamos.gateway.adapters.batch_bodies import answer_of, body_of
from hishamos.gateway.adapters.batch_plug import Batches, BatchRow
from hishamos.gateway.adapters.faults import fault_of
from hishamos.gateway.adapters.gemini_stream import GeminiStream, finish_reason, speaks_gemini
from hishamos.gateway.adapters.openai_client import openai_client
from hishamos.gateway.adapters.plug import AdapterEvent, AdapterRequest, Fault, Finish, Text, Used
from hishamos.gateway.adapters.provider_batches import AnthropicBatches, OpenAIBatches
from hishamos.gateway.adapters.tool_wire import call_pieces, wire_message, wire_tools
from hishamos.gateway.adapters.unlogged import unlogged
from hishamos.records.calls import Usage
from hishamos.records.configuration import ProviderSettings
from hishamos.records.record import canonical

if TYPE_CHECKING:
    from types import ModuleType

PREFIXES = {"ollama": "ollama_chat"}
"""litellm's names where they differ from a provider's kind."""

NO_KEY = "none"
"""Sent where a server needs no key: with no key at all litellm would take one from the environment."""

LOCAL = ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "LITELLM_LOCAL_BLOG_POSTS")
"""Without these litellm asks the network when it is imported or first used."""

OWN_HEADERS = frozenset({"anthropic"})
"""Kinds whose key, like Gemini's, stands in a header of its own: HTTP clients take away ``Authorization`` when a redirect leads to another
host, but send such a header along. These are called with a client that follows no redirect.
"""

FORMAT_BESIDE_TOOLS = frozenset({"openai", "azure"})
"""Kinds that hold an answer to a format although tools are offered; at the others the two exclude each other, and words ask for it."""

ENDPOINTS: dict[str, type[OpenAIBatches | AnthropicBatches]] = {"openai": OpenAIBatches, "anthropic": AnthropicBatches}
"""Kinds that take many requests at once."""
SCHEMA_WORDS = "Answer with one JSON value that satisfies this JSON Schema, and nothing else:\n"
TOOL_SCHEMA_WORDS = "Call tools as long as you need them. Your last answer is one JSON value that satisfies this JSON Schema, and nothing else:\n"


class LitellmAdapter:
    """Serves every kind of provider that litellm knows, and OpenAI-compatible servers."""

    calls_tools = True
    takes_files = True
    batch_kinds = frozenset(ENDPOINTS)

    def __init__(self) -> None:
        self._import = threading.Lock()
        self._module: ModuleType | None = None
        self._schemas: dict[tuple[str, str], bool] = {}
        self._log: Callable[[dict[str, Any]], Any] = dict
        """Makes the log object of one call, once litellm is there."""
        self._straight: Any = None
        """A client that follows no redirect, once litellm is there."""
        self._azures: dict[tuple[str, str], Any] = {}
        """The same for Azure, by address and key."""
        self._openais: dict[tuple[str | None, str], Any] = {}
        """OpenAI's clients, by address and key."""

    async def stream(self, request: AdapterRequest) -> AsyncIterator[AdapterEvent]:
        """See the plug."""
        litellm = self._litellm()
        # Megabytes of pictures take a while to write down: that is not for the loop.
        arguments = await asyncio.to_thread(self._arguments, litellm, request) if request.files else self._arguments(litellm, request)
        gemini = speaks_gemini(request.provider.kind, request.model)
        try:
            if request.stream:
                arguments |= {"stream": True, "stream_options": {"include_usage": True}}
            answer = await litellm.acompletion(**arguments, litellm_logging_obj=self._log(arguments))
            if request.stream:
                async with contextlib.aclosing(answer), contextlib.aclosing(_pieces(answer, gemini=gemini)) as events:
                    async for event in events:
                        yield event
            else:
                for event in _whole(answer, gemini=gemini):
                    yield event
        except (Fault, asyncio.CancelledError, GeneratorExit):
            raise
        except Exception as error:
            raise fault_of(error) from error

    def batches(self, provider: ProviderSettings, key: str | None) -> Batches | None:
        """Return the batch endpoints of a provider; None where its kind has none. The first call imports litellm."""
        endpoint = ENDPOINTS.get(provider.kind)
        if endpoint is None:
            return None
        litellm = self._litellm()

        def write(row: BatchRow) -> dict[str, Any]:
            return body_of(provider.kind, row.request.model, self._arguments(litellm, row.request))

        def read(body: dict[str, Any]) -> list[AdapterEvent]:
            model = str(body.get("model", ""))
            return _whole(answer_of(litellm, provider.kind, model, body, self._log({"model": model, "messages": []})), gemini=False)

        return endpoint(provider, key, write, read)

    def warm(self) -> None:
        """See the plug."""
        self._litellm()
        for loaded_by_a_first_call in ("openai.resources.chat", "litellm.proxy.openai_files_endpoints.common_utils"):
            importlib.import_module(loaded_by_a_first_call)

    async def close(self) -> None:
        """See the plug."""
        if self._module is not None:
            await self._straight.close()
            for client in (*self._azures.values(), *self._openais.values()):
                await client.close()
            await self._module.close_litellm_async_clients()
            await self._module.module_level_aclient.close()  # streams go through this one

    def _litellm(self) -> ModuleType:
        with self._import:
            if self._module is None:
                with _uncollected():
                    self._module = self._load()
            return self._module

    def _load(self) -> ModuleType:
        for name in LOCAL:
            os.environ[name] = "True"
        import litellm

        logging.getLogger("LiteLLM").setLevel(logging.ERROR)
        litellm.telemetry = False
        litellm.suppress_debug_info = True
        litellm.drop_params = True
        self._log = unlogged()
        from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

        self._straight = AsyncHTTPHandler(follow_redirects=False)
        loaded: ModuleType = litellm
        return loaded

    def _arguments(self, litellm: ModuleType, request: AdapterRequest) -> dict[str, Any]:
        provider = request.provider
        kind = PREFIXES.get(provider.kind, provider.kind)
        gemini = speaks_gemini(kind, request.model)
        messages = [wire_message(message, gemini=gemini, files=request.files) for message in request.messages]
        arguments: dict[str, Any] = {
            "model": f"{kind}/{request.model}",
            "messages": messages,
            "api_key": request.api_key or NO_KEY,
            "max_tokens": request.max_output_tokens,
            "timeout": provider.timeout_s,  # always the same: litellm keeps a client for each value
            "num_retries": 0,
            "max_retries": 0,
        }
        if kind in OWN_HEADERS or gemini:
            arguments["client"] = self._straight
        if kind == "openai":
            arguments["client"] = self._openai(provider.api_base, arguments["api_key"])
        if kind == "azure" and provider.api_base:
            arguments["client"] = self._azure(provider.api_base, arguments["api_key"])
        if provider.api_base:
            arguments["api_base"] = provider.api_base
        if request.temperature is not None:
            arguments["temperature"] = request.temperature
        if request.tools:
            if "tools" not in (litellm.get_supported_openai_params(request.model, kind) or ()):  # litellm would leave them out without a word
                raise Fault(f"{provider.name} can't be given tools", status=400)
            arguments |= {"tools": wire_tools(request.tools), "_skip_mcp_handler": True}  # its own MCP client, which needs a further library
        if request.output_schema is not None:
            if request.tools and kind not in FORMAT_BESIDE_TOOLS:
                messages.append({"role": "user", "content": TOOL_SCHEMA_WORDS + canonical(request.output_schema)})
            elif self._takes_schema(litellm, kind, request.model):
                arguments["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": request.output_schema}}
            else:
                words = TOOL_SCHEMA_WORDS if request.tools else SCHEMA_WORDS
                messages.append({"role": "user", "content": words + canonical(request.output_schema)})
        return arguments

    def _openai(self, api_base: str | None, api_key: str) -> Any:
        known = self._openais.get((api_base, api_key))
        if known is None:
            from litellm.llms.openai.openai import OpenAIChatCompletion

            known = self._openais[api_base, api_key] = openai_client(api_base, api_key, OpenAIChatCompletion.get_async_http_client())
        return known

    def _azure(self, api_base: str, api_key: str) -> Any:
        """Return a client of Azure that follows no redirect: its key stands in a header of its own, and litellm calls it through OpenAI's library."""
        known = self._azures.get((api_base, api_key))
        if known is None:
            import httpx
            from litellm.llms.azure.common_utils import BaseAzureLLM

            made: Any = BaseAzureLLM().get_azure_openai_client(api_key=api_key, api_base=api_base, _is_async=True)
            straight = httpx.AsyncClient(follow_redirects=False, timeout=made.timeout)
            known = self._azures[api_base, api_key] = made.with_options(http_client=straight, max_retries=0)
        return known

    def _takes_schema(self, litellm: ModuleType, kind: str, model: str) -> bool:
        known = self._schemas.get((kind, model))
        if known is None:
            known = self._schemas[kind, model] = bool(litellm.supports_response_schema(model=model, custom_llm_provider=kind))
        return known


async def _pieces(stream: Any, *, gemini: bool) -> AsyncGenerator[AdapterEvent]:
    """Give a stream's events. litellm reports ``stop`` at the end of any stream: whether the provider said so is read beside it."""
    watched = GeminiStream() if gemini else None
    if watched is not None:
        source = await stream.fetch_stream()
        source.streaming_response = watched.watch(source.streaming_response)
    reported: Usage | None = None
    empty = True
    async for chunk in stream:
        for choice in chunk.choices[:1]:
            if choice.delta.content:
                empty = False
                yield Text(choice.delta.content)
            for piece in call_pieces(getattr(choice.delta, "tool_calls", None)):
                empty = False
                yield piece
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            reported = _usage(usage)
    if watched is not None and watched.fault is not None:
        raise watched.fault
    # litellm counts tokens itself where the provider sent none; that is no report.
    told = reported is not None and any(getattr(chunk, "usage", None) is not None for chunk in stream.chunks)
    reason = watched.reason if watched is not None else stream.received_finish_reason or stream.intermittent_finish_reason
    if empty and not told and reason is None:
        raise Fault("the stream holds nothing", transport="garbled")
    if reported is not None and told:
        yield Used(reported)
    if reason is not None:
        yield Finish(reason)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python's cycle collector from looking again and again at modules that stay for good: a sixth of litellm's import."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _whole(response: Any, *, gemini: bool) -> list[AdapterEvent]:
    if not response.choices:
        raise Fault("the answer holds no choice", transport="garbled")
    choice = response.choices[0]
    events: list[AdapterEvent] = [Text(choice.message.content or ""), *call_pieces(getattr(choice.message, "tool_calls", None))]
    usage = _usage(response.usage) if getattr(response, "usage", None) is not None else Usage()
    if usage.input or usage.output:
        events.append(Used(usage))
    reason = _gemini_reason(choice) if gemini else choice.finish_reason
    if reason is not None:
        events.append(Finish(reason))
    return events


def _gemini_reason(choice: Any) -> str | None:
    native = (getattr(choice, "provider_specific_fields", None) or {}).get("native_finish_reason")
    if native is not None:
        return finish_reason(native)
    return "content_filter" if choice.finish_reason == "content_filter" else None  # a refused prompt has no candidate


def _usage(usage: Any) -> Usage:
    prompt = getattr(usage, "prompt_tokens_details", None)
    completion = getattr(usage, "completion_tokens_details", None)
    written = getattr(usage, "cache_creation_input_tokens", None) or getattr(prompt, "cache_creation_tokens", None)
    return Usage(
        input=usage.prompt_tokens or 0,
        cached=getattr(prompt, "cached_tokens", None) or 0,
        cache_write=written or 0,
        output=usage.completion_tokens or 0,
        reasoning=getattr(completion, "reasoning_tokens", None) or 0,
    )
