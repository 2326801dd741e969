"""Names of models: what is nothing is refused, what may be newer than the map is asked, and a refusal names what is near."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hishamos.errors import UnknownName
from hishamos.gateway.adapters.plug import Fault
from hishamos.gateway.models import did_you_mean, nearest
from hishamos.records.calls import CallStatus
from hishamos.records.configuration import BudgetSettings, ProviderSettings, RouteSettings
from tests.rigs.gateways import KEYS, House, Scripted, answer, build, provider, settings_for
from tests.rigs.simulator import Simulator

TYPOS = {
    "openai": ("gpt-4.1-mni", "openai/gpt-4.1-mini"),
    "anthropic": ("claude-haiku-45", "anthropic/claude-haiku-4-5"),
    "gemini": ("gemini-2.5-flesh", "gemini/gemini-2.5-flash"),
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


def known(*acts: object, models: tuple[str, ...] = ("openai/gpt-4.1",), kind: str = "openai") -> tuple[House, Scripted]:
    """Return a house whose provider is at its own address, served by a script; nothing leaves the process."""
    adapter = Scripted([*acts], answer)  # type: ignore[list-item]
    key = next(reference for reference in KEYS if kind[:3].upper() in reference)
    return build(settings_for(ProviderSettings(name=kind, kind=kind, api_key=key), models=models), adapters={kind: adapter}), adapter


@pytest.mark.parametrize("kind", TYPOS)
def test_the_provider_says_that_it_has_no_such_model_and_the_error_names_the_nearest(simulator: Simulator, kind: str):
    typo, meant = TYPOS[kind]
    simulator.clear()
    simulator.script(typo, then={"status": 404, "code": "model_not_found", "message": f"The model {typo} does not exist"})
    house = build(settings_for(provider(kind, simulator.url), models=(f"{kind}/{typo}",)))
    try:
        outcome = house.ask()
        assert (outcome.status, [attempt.cause for attempt in outcome.attempts]) == (CallStatus.FAILED, ["unknown_model"])
        assert outcome.error is not None
        assert f"Did you mean {meant}" in outcome.error.message
        assert f"{kind}/{typo} did not answer: The model {typo} does not exist" in outcome.error.message
        assert house.rows()[0]["cost_nanos"] == 0
    finally:
        house.close()


def test_a_name_that_is_newer_than_the_map_is_asked():
    house, adapter = known(models=("openai/gpt-99-turbo",))
    try:
        assert house.ask().model == "openai/gpt-99-turbo"
        assert house.ask(target="openai/gpt-99-mini").model == "openai/gpt-99-mini"
        assert len(adapter.asked) == 2
    finally:
        house.close()


def test_under_a_hard_budget_a_name_without_a_price_is_refused_with_the_nearest_and_the_line_to_add():
    house, adapter = known(models=("openai/gpt-4.1-mni",))
    try:
        house.settings = house.settings.model_copy(update={"budgets": {"all": BudgetSettings(name="all", limit_usd="1")}})
        house.gateway.reconfigure(house.settings)
        refused = house.ask()
        assert (refused.status, adapter.asked) == (CallStatus.REFUSED, [])
        assert refused.error is not None
        assert "Did you mean openai/gpt-4.1-mini or " in refused.error.message
        assert 'Add to hishamos.toml: [prices."openai/gpt-4.1-mni"] input' in refused.error.message
    finally:
        house.close()


@pytest.mark.parametrize(("target", "words"), [
    ("chepest", "no route named 'chepest'; did you mean 'cheapest'"),
    ("defualt", "did you mean 'default'"),
    ("gpt-4.1-mini", "did you mean 'openai/gpt-4.1-mini'"),
    ("claude-sonnet-4-5", "did you mean 'anthropic/claude-sonnet-4-5'"),
    ("opnai/gpt-4.1", "no provider named 'opnai'; did you mean 'openai'"),
    ("openai/", "no model named 'openai/'.* Write provider/model"),
    ("offline/extractiv", "did you mean 'offline/extractive'"),
])  # fmt: skip
def test_a_name_that_is_nothing_is_refused_before_anything_is_sent(target: str, words: str):
    house, adapter = known()
    try:
        with pytest.raises(UnknownName, match=words):
            house.ask(target=target)
        with pytest.raises(UnknownName, match=words):
            house.gateway.check(target)
        assert (adapter.asked, house.rows()) == ([], [])
    finally:
        house.close()


def test_a_fallback_still_serves_where_the_first_name_is_no_model():
    house, _ = known([Fault("no such model", status=404, code="model_not_found")], models=("openai/gpt-4.1-mni", "openai/gpt-4.1"))
    try:
        house.settings = house.settings.model_copy(
            update={"routes": {"default": RouteSettings(name="default", models=("openai/gpt-4.1-mni", "openai/gpt-4.1"))}}
        )
        outcome = house.ask()
        assert (outcome.status, outcome.model) == (CallStatus.SUCCEEDED, "openai/gpt-4.1")
    finally:
        house.close()


def test_near_names_are_models_that_answer_and_never_the_name_itself():
    assert "openai/gpt-4.1-mini" not in did_you_mean("gpt-4.1-mini", "openai", "openai")
    assert nearest("gpt-image", "openai", "openai") == [name for name in nearest("gpt-image", "openai", "openai") if "image" not in name]
    assert did_you_mean("llama-3-8b", "openai", "openai") == ""
    assert nearest("gpt-4.1-mni", "work", "openai")[0] == "work/gpt-4.1-mini"
