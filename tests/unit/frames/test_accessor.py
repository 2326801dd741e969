"""The accessor waits for a library without loading it, and leaves imports as they are."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hishamos
from hishamos.frames.accessor import OFFERS, offer


@pytest.fixture
def waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A library that is not loaded yet, and what has been registered with it."""
    told: list[str] = []
    (tmp_path / "frame_library.py").write_text("kind = 'a library'\n")
    (tmp_path / "broken_library.py").write_text("raise OSError('it can not be loaded')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    finders = list(sys.meta_path)
    offers = {name: lambda module: told.append(module.kind) for name in ("frame_library", "broken_library", "no_such_library")}
    monkeypatch.setattr("hishamos.frames.accessor.OFFERS", offers)
    yield told
    sys.meta_path[:] = finders
    for name in offers:
        sys.modules.pop(name, None)


def test_it_is_told_of_an_import_once_and_goes(waited_for: list[str]) -> None:
    finders = len(sys.meta_path)
    with hishamos.open(":memory:") as ws:
        offer(ws)
        assert len(sys.meta_path) == finders + 3, "one for each library, however often a workspace is opened"
        assert importlib.util.find_spec("frame_library") is not None
        assert importlib.util.find_spec("no_such_library") is None
        assert (waited_for, "frame_library" in sys.modules) == ([], False), "asking whether it is there loads nothing"
        assert importlib.import_module("frame_library").kind == "a library"
        assert waited_for == ["a library"]
        assert len(sys.meta_path) == finders + 2
        importlib.reload(sys.modules["frame_library"])
        assert waited_for == ["a library"]
        with pytest.raises(OSError, match="can not be loaded"):
            importlib.import_module("broken_library")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("no_such_library")
        offer(ws)
        assert waited_for == ["a library", "a library"], "what is loaded is told at once"


def test_verbs_describe_themselves() -> None:
    assert set(OFFERS) == {"pandas", "polars"}
    with hishamos.open(":memory:") as ws:
        assert list(inspect.signature(ws.map).parameters)[:3] == ["frame", "command", "columns"]
        assert "ws.map.forecast" in inspect.getdoc(ws.map)
        verbs = ws.frame(None)
        assert list(inspect.signature(verbs.classify).parameters)[:3] == ["column", "labels", "question"]
        assert "unjudged" in inspect.getdoc(verbs.filter)
