"""Which kinds of providers there are is read out of litellm's files: it has to be what litellm itself says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hishamos import provider_kinds
from hishamos.errors import AdapterBroken
from hishamos.gateway.adapters.registry import Adapters
from hishamos.provider_kinds import KINDS, is_known, litellm_kinds, nearest_kind


@pytest.fixture
def no_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """An installation whose litellm keeps its list elsewhere."""
    (tmp_path / "litellm").mkdir()
    (tmp_path / "litellm" / "__init__.py").touch()
    monkeypatch.setattr(provider_kinds, "find_spec", lambda _: type("Spec", (), {"submodule_search_locations": [str(tmp_path / "litellm")]}))
    litellm_kinds.cache_clear()
    yield
    litellm_kinds.cache_clear()


def test_they_are_those_that_litellm_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm")
    from litellm.llms.openai_like.json_loader import JSONProviderRegistry

    assert litellm_kinds() == {str(one.value) for one in litellm.provider_list} | set(JSONProviderRegistry.list_providers())
    assert all(is_known(kind) for kind in (*KINDS, *litellm_kinds()))


def test_nothing_heavy_is_imported_for_it() -> None:
    code = "import sys; from hishamos.provider_kinds import is_known; assert not is_known('opnai'); assert 'litellm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("typed", "meant"), [("opnai", "openai"), ("OpenAI", "openai"), ("anthropc", "anthropic"), ("mistrl", "mistral"), ("google", None)])
def test_the_nearest_is_named(typed: str, meant: str | None) -> None:
    assert not is_known(typed)
    assert nearest_kind(typed) == meant


@pytest.mark.usefixtures("no_list")
def test_where_the_list_is_not_to_be_had_nobody_is_refused() -> None:
    assert litellm_kinds() == frozenset()
    assert is_known("openai_like")


def test_a_kind_that_nobody_serves_has_no_adapter() -> None:
    adapters = Adapters()
    with pytest.raises(
        AdapterBroken, match=r"'housegpt' of the package litellm can't be used: it has no provider of that kind.*Correct the provider's kind in hishamos.toml"
    ):
        adapters.of("housegpt")
    assert adapters.problem("housegpt") is not None
    assert adapters.problem("mistral") is None
