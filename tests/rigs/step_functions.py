"""Functions for ``python`` steps of tests."""

from __future__ import annotations

import threading
from typing import Any

from hishamos.errors import InvalidInput

calls: list[Any] = []
gate = threading.Event()


def note(value: Any = None) -> Any:
    calls.append(value)
    return value


def boom(value: Any = None) -> None:
    calls.append(value)
    raise RuntimeError("it broke")


def flaky(times: int) -> int:
    calls.append("flaky")
    if len(calls) < times:
        raise OSError("not yet")
    return len(calls)


def refuse() -> None:
    calls.append("refuse")
    raise InvalidInput(what="the file is empty", where="bugs.csv", next="Add rows.")


def hang() -> str:
    calls.append("hang")
    gate.wait(30)
    return "late"


def odd() -> object:
    return object()


def with_workspace(ws: Any, name: str) -> list[Any]:
    return [name, *ws[1:]]
