"""What a provider needs is imported in the background, but only for one that can be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from threading import Event

import pytest

from hishamos.composition import compose
from hishamos.gateway import warming
from hishamos.gateway.adapters import registry
from hishamos.gateway.adapters.litellm_chat import LitellmAdapter
from hishamos.gateway.adapters.registry import Adapters
from hishamos.gateway.warming import Warming
from hishamos.records.configuration import ProviderSettings, Settings
from tests.rigs.gateways import Scripted


@dataclass
class Warmed(Scripted):
    """Tells whether it was warmed."""

    was: Event = field(default_factory=Event)

    def __call__(self) -> Warmed:
        return self

    def warm(self) -> None:
        self.was.set()


@dataclass
class Scene:
    """A workspace's providers, each of a kind of its own, and the keys that are there; both may change."""

    kinds: dict[str, Warmed] = field(default_factory=dict)
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    asked_for: list[str] = field(default_factory=list)
    warming: Warming | None = None

    def add(self, name: str, **facts: object) -> Warmed:
        self.providers = {**self.providers, name: ProviderSettings(name=name, kind=name, **facts)}
        return self.kinds.setdefault(name, Warmed())

    def key(self, reference: str) -> str | None:
        self.asked_for.append(reference)
        return self.keys.get(reference)

    def begin(self, then: Callable[[], None]) -> Warming:
        self.warming = Warming(lambda: Settings(root="/nowhere", providers=self.providers), self.key, Adapters(dict(self.kinds)))
        self.warming.start(then)
        return self.warming


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(warming, "WARM_AFTER_S", 0.01)
    made = Scene()
    yield made
    if made.warming is not None:
        made.warming.stop()


class Rounds:
    """Counts the times that ``then`` was called; each is awaited."""

    def __init__(self) -> None:
        self._done = Event()

    def __call__(self) -> None:
        self._done.set()

    def one_more(self) -> None:
        assert self._done.wait(10)
        self._done.clear()


def test_only_providers_that_can_be_asked_are_warmed(scene: Scene) -> None:
    keyless, local, given = scene.add("far", api_key="env:FAR"), scene.add("local", api_base="http://127.0.0.1:9"), scene.add("given", api_key="env:GIVEN")
    nothing_said = scene.add("plain")
    scene.keys["env:GIVEN"] = "secret"
    rounds = Rounds()
    scene.begin(rounds)
    rounds.one_more()
    assert [one.was.is_set() for one in (keyless, local, given, nothing_said)] == [False, True, True, False]


def test_a_key_that_comes_later_is_seen(scene: Scene) -> None:
    far = scene.add("far", api_key="env:FAR")
    rounds = Rounds()
    begun = scene.begin(rounds)
    rounds.one_more()
    assert not far.was.is_set()
    scene.keys["env:FAR"] = "secret"
    begun.again()
    rounds.one_more()
    assert far.was.is_set()


def test_a_provider_that_comes_with_a_changed_file_is_seen(scene: Scene) -> None:
    later = Warmed()
    scene.kinds["later"] = later
    rounds = Rounds()
    begun = scene.begin(rounds)
    rounds.one_more()
    scene.add("later", api_base="http://127.0.0.1:9")
    begun.again()
    rounds.one_more()
    assert later.was.is_set()


def test_a_keyring_is_taken_to_hold_its_key_and_not_opened_for_it(scene: Scene) -> None:
    kept = scene.add("kept", api_key="keyring:KEPT")
    rounds = Rounds()
    scene.begin(rounds)
    rounds.one_more()
    assert kept.was.is_set()
    assert scene.asked_for == []


def test_a_broken_adapter_hinders_no_other(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = EntryPoint(name="broken", value="no_such_module:Adapter", group=registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [offered])
    scene.providers = {"broken": ProviderSettings(name="broken", kind="broken", api_base="http://127.0.0.1:9")}
    sound = scene.add("sound", api_base="http://127.0.0.1:9")
    rounds = Rounds()
    scene.begin(rounds)
    rounds.one_more()
    assert sound.was.is_set()


def test_a_key_that_is_handed_to_a_workspace_warms_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warmed = Event()
    monkeypatch.setattr(warming, "WARM_AFTER_S", 0.01)
    monkeypatch.setattr(LitellmAdapter, "warm", lambda self: warmed.set())
    (tmp_path / "hishamos.toml").write_text('[providers.openai]\napi_key = "env:OPENAI_API_KEY"\n')
    composed = compose(tmp_path, store=":memory:")
    looked = Rounds()
    try:
        composed.machinery.gateway.warm(then=looked)
        looked.one_more()
        assert not warmed.is_set()
        composed.keys.hand_over({"OPENAI_API_KEY": "sk-later-0123456789"})
        composed.settings.reread()
        assert warmed.wait(10)
    finally:
        composed.close()


def test_nothing_is_warmed_before_it_is_started_or_after_it_was_stopped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    local = scene.add("local", api_base="http://127.0.0.1:9")
    timers: list[object] = []
    monkeypatch.setattr(warming.threading, "Timer", lambda *_: timers.append(1) or pytest.fail("a timer was started"))
    unstarted = Warming(lambda: Settings(root="/nowhere", providers=scene.providers), scene.key, Adapters(dict(scene.kinds)))
    unstarted.again()
    unstarted.stop()
    unstarted.start(lambda: None)
    assert (timers, local.was.is_set()) == ([], False)
