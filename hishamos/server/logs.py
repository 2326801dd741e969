"""What a process of ours says in its log: never a key."""

from __future__ import annotations

import logging
import logging.handlers
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from hishamos.security import redact
from hishamos.settings import Keys

LOG_BYTES = 5_000_000
LOGS = 3


def to_file(file: Path) -> None:
    """Write the log into a file that is begun anew when it is full; a few old ones are kept."""
    most = int(os.environ.get("HISHAMOS_LOG_BYTES") or LOG_BYTES)
    _to(logging.handlers.RotatingFileHandler(file, maxBytes=most, backupCount=LOGS, encoding="utf-8"))


def to_terminal() -> None:
    """Write the log to standard error."""
    _to(logging.StreamHandler())


def hide(keys: Keys) -> None:
    """Keep the values of keys out of the log from now on."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Redacting(keys.secrets))


def _to(handler: logging.Handler) -> None:
    handler.setFormatter(_Redacting(list))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("LiteLLM", "httpx", "uvicorn", "asyncio", "celery", "kombu"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _Redacting(logging.Formatter):
    """Writes no key, neither in a message nor in the trace of an error."""

    def __init__(self, secrets: Callable[[], Iterable[str]]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), self._secrets())
