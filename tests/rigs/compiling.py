"""Compiles product and tests before the processes of a test run start: in a fresh clone each of them would compile everything, at the same time."""

from __future__ import annotations

import compileall
import contextlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).parents[2]


class _Enough(BaseException):
    """The first import of a test's module: by then it is compiled."""


def ahead(config: pytest.Config) -> None:
    """Compile what is not yet compiled, in as many forks as there are processors, and wait for them."""
    tests = sorted(ROOT.glob("tests/**/test_*.py"))
    product = sorted([*ROOT.glob("hishamos/**/*.py"), *ROOT.glob("tests/rigs/*.py")])
    forks = os.cpu_count() or 1
    begun = []
    for number in range(forks):
        pid = os.fork()
        if pid == 0:
            _compile(config, product[number::forks], tests[number::forks])
        begun.append(pid)
    for pid in begun:
        os.waitpid(pid, 0)


def _compile(config: pytest.Config, product: Sequence[Path], tests: Sequence[Path]) -> NoReturn:
    try:
        for file in product:
            compileall.compile_file(file, quiet=2)
        for file in tests:
            _rewrite(config.pluginmanager.rewrite_hook, file)
    finally:
        os._exit(0)  # whatever it did not compile is compiled by whoever imports it


def _rewrite(hook: Any, file: Path) -> None:
    """Have pytest rewrite the asserts of a file and keep that, by an import that ends where the file begins to import."""
    spec = hook.find_spec(file.stem, [str(file.parent)])
    module = importlib.util.module_from_spec(spec)
    vars(module)["__builtins__"] = {"__import__": _stop}
    with contextlib.suppress(_Enough):
        spec.loader.exec_module(module)


def _stop(*_: object, **__: object) -> NoReturn:
    raise _Enough
