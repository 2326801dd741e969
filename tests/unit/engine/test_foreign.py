"""Functions of the workspace and of entry points: which may be named, and what is known of them without importing them."""

from __future__ import annotations

import inspect

import pytest

from hishamos.engine import functions
from hishamos.engine.foreign import foreign
from hishamos.errors import HishamosError, InvalidInput, UnknownName

SOURCE = """
import os
from os.path import join as joined
import hishamos

raise SystemExit("it was imported")

def tidy(text, *, times=1, ws=None):
    return [item for item in text]

def _hidden():
    return 1

async def later():
    return 1

def stream():
    yield 1

def inner():
    def generator():
        yield 1
    return list(generator())

@hishamos.step
def marked(first, /, second, *rest, **more):
    return first

@os.cached
def wrapped(text):
    return text

other = tidy
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "steps" / "deep").mkdir(parents=True)
    (tmp_path / "steps" / "clean.py").write_text(SOURCE)
    (tmp_path / "steps" / "deep" / "er.py").write_text("def f(): return 1\n")
    (tmp_path / "steps" / "broken.py").write_text("def f(:\n")
    (tmp_path / "steps" / "latin.py").write_bytes(b"def f(): return '\xe9'\n")
    return tmp_path


def test_a_function_is_known_without_being_imported(root):
    found = foreign("steps.clean:tidy", root)
    assert (found.module, found.attribute) == ("steps.clean", "tidy")
    assert list(found.signature.parameters) == ["text", "times", "ws"]
    assert [found.signature.parameters[name].default is inspect.Parameter.empty for name in ("text", "times")] == [True, False]
    assert str(foreign("steps.clean:marked", root).signature) == "(first, /, second, *rest, **more)"
    assert foreign("steps.deep.er:f", root).module == "steps.deep.er"
    assert foreign("steps.clean:inner", root).signature is not None


def test_what_the_source_does_not_tell_is_left_open(root):
    for name in ("wrapped", "other", "joined"):
        assert foreign(f"steps.clean:{name}", root).signature is None


def test_its_stamp_changes_with_any_module_of_the_folder(root):
    first = foreign("steps.clean:tidy", root).stamp
    assert foreign("steps.clean:tidy", root).stamp == first
    (root / "steps" / "deep" / "er.py").write_text("def f(): return 2\n")
    assert foreign("steps.clean:tidy", root).stamp != first


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("os:system", InvalidInput, "no function that a step may name"),
        ("builtins:eval", InvalidInput, "steps.MODULE:FUNCTION"),
        ("subprocess.run", InvalidInput, "no function that a step may name"),
        ("", InvalidInput, "no function that a step may name"),
        ("steps", InvalidInput, "no function of the workspace"),
        ("steps.clean", InvalidInput, "no function of the workspace"),
        ("steps:tidy", InvalidInput, "no function of the workspace"),
        ("steps.clean:_hidden", InvalidInput, "without leading underscores"),
        ("steps.clean:__import__", InvalidInput, "without leading underscores"),
        ("steps.__init__:f", InvalidInput, "without leading underscores"),
        ("steps..clean:tidy", InvalidInput, "no function of the workspace"),
        ("steps.clean:os.system", InvalidInput, "no function of the workspace"),
        ("../steps/clean.py:tidy", InvalidInput, "no function that a step may name"),
        ("steps/clean.py:tidy", InvalidInput, "no function that a step may name"),
        ("steps.../../etc/passwd:x", InvalidInput, "no function of the workspace"),
        ("steps.claen:tidy", UnknownName, "did you mean 'steps.clean'?"),
        ("steps.clean:tydi", UnknownName, "did you mean 'tidy'?"),
        ("steps.clean:later", InvalidInput, "asynchronous"),
        ("steps.clean:stream", InvalidInput, "yields"),
        ("steps.broken:f", InvalidInput, "line 1"),
        ("steps.latin:f", InvalidInput, "UTF-8"),
    ],
)
def test_other_names_are_refused_with_the_reason(root, name, kind, words):
    with pytest.raises(HishamosError) as caught:
        foreign(name, root)
    assert isinstance(caught.value, kind)
    assert words in str(caught.value)


def test_a_link_out_of_the_workspace_is_refused(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "far.py").write_text("def f(): return 1\n")
    (root / "steps" / "far.py").symlink_to(outside / "far.py")
    (root / "steps" / "away").symlink_to(outside)
    for name in ("steps.far:f", "steps.away.far:f"):
        with pytest.raises(InvalidInput, match="symbolic link"):
            foreign(name, root)


def test_functions_of_entry_points_are_found_without_being_imported(root, monkeypatch):
    (root / "plug_of_test").mkdir()
    (root / "plug_of_test" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (root / "plug_of_test" / "more.py").write_text("def count(words): return len(words)\n")
    monkeypatch.syspath_prepend(str(root))
    named = {"count": "plug_of_test.more:count", "gone": "plug_of_nobody:f", "less": "plug_of_test.more:less"}
    monkeypatch.setattr(functions, "_plugged", lambda: named)
    assert str(foreign("count", root).signature) == "(words)"
    with pytest.raises(UnknownName, match="install it again"):
        foreign("gone", root)
    with pytest.raises(UnknownName, match="less"):
        foreign("less", root)
