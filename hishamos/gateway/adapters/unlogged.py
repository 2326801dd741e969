"""litellm without its log: it prices every answer and writes up a payload for callbacks, and nobody here reads either."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any


def unlogged() -> Callable[[dict[str, Any]], Any]:
    """Return a maker of ``litellm_logging_obj`` for one call's arguments; imports litellm, which must have been warmed.

    Costs are the ledger's business (:mod:`hishamos.gateway.costs`). litellm's own price and log of a call take a fifth of its time, and the
    stack that it writes down for its log takes half of what a refused connection does.
    """
    import litellm.utils
    from litellm.litellm_core_utils.litellm_logging import Logging

    litellm.utils.traceback = _Untold

    class Unlogged(Logging):  # type: ignore[misc]  # litellm has no types
        """Keeps what litellm itself reads of a call; prices nothing, calls nobody."""

        def response_cost_calculator(self, *_: Any, **__: Any) -> float | None:
            return None

        def success_handler(self, *_: Any, **__: Any) -> None:
            """Nothing: see the module."""

        async def async_success_handler(self, *_: Any, **__: Any) -> None:
            """Nothing: see the module."""

        def handle_sync_success_callbacks_for_async_calls(self, *_: Any, **__: Any) -> None:
            """Nothing: see the module."""

        def failure_handler(self, *_: Any, **__: Any) -> None:
            """Nothing: see the module."""

        async def async_failure_handler(self, *_: Any, **__: Any) -> None:
            """Nothing: see the module."""

    def of(arguments: dict[str, Any]) -> Unlogged:
        log = Unlogged(
            model=arguments["model"],
            messages=arguments["messages"],
            stream=arguments.get("stream", False),
            call_type="acompletion",
            start_time=datetime.now(),  # noqa: DTZ005 - litellm compares it with its own naive times
            litellm_call_id=str(uuid.uuid4()),
            function_id="",
            kwargs=arguments,
        )
        log.stream_options = arguments.get("stream_options")  # without it Anthropic's usage is left out of a stream
        return log

    return of


class _Untold:
    """In the place of ``traceback`` in the module that wraps litellm's calls, which uses nothing else of it."""

    @staticmethod
    def format_exc() -> str:
        return ""
