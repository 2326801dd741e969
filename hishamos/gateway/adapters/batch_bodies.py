"""A request as it stands in a provider's batch, and the answer that comes out of one; both by litellm's own translation, sent by nobody."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import httpx

from hishamos.gateway.adapters.plug import Fault

NOT_SENT = frozenset({"model", "messages", "api_key", "api_base", "timeout", "num_retries", "max_retries", "client", "_skip_mcp_handler"})
"""What litellm is told beside the request."""


def body_of(kind: str, model: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the body of one request in the provider's own form. ``arguments``: as for ``acompletion``."""
    from litellm.utils import get_optional_params

    asked = {name: value for name, value in arguments.items() if name not in NOT_SENT}
    optional = get_optional_params(model=model, custom_llm_provider=kind, drop_params=True, **asked)
    told = _config(kind, model).transform_request(model=model, messages=arguments["messages"], optional_params=dict(optional), litellm_params={}, headers={})
    return {name: value for name, value in told.items() if name not in {"stream", "json_mode"} and value not in ({}, None)}


def answer_of(litellm: ModuleType, kind: str, model: str, body: dict[str, Any], log: Any) -> Any:
    """Return a provider's answer to one request as litellm reads it."""
    try:
        return _config(kind, model).transform_response(
            model=model,
            raw_response=httpx.Response(200, json=body),
            model_response=litellm.ModelResponse(),
            logging_obj=log,
            request_data={},
            messages=[],
            optional_params={},
            litellm_params={},
            encoding=None,
            json_mode=_by_tool(body),
        )
    except Exception as error:
        raise Fault(f"the answer can't be read: {error}", transport="garbled") from error


def _by_tool(body: dict[str, Any]) -> bool:
    """Whether Anthropic was asked for an answer by a schema as if it were a tool."""
    content = body.get("content")
    return isinstance(content, list) and any(block.get("type") == "tool_use" and block.get("name") == "json_tool_call" for block in content)


def _config(kind: str, model: str) -> Any:
    from litellm.types.utils import LlmProviders
    from litellm.utils import ProviderConfigManager

    return ProviderConfigManager.get_provider_chat_config(model, LlmProviders(kind))
