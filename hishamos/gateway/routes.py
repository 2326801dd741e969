"""From the name in a request to the models that may serve it, each with its key and address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hishamos.errors import HishamosError, KeyWithheld, NoProvider, UnknownName
from hishamos.gateway.destinations import check_destination
from hishamos.gateway.models import nearest
from hishamos.records.configuration import POLICIES, ProviderSettings, RouteSettings, Settings

OFFLINE_MODEL = "offline/extractive"
OFFLINE_LINE = f'model="{OFFLINE_MODEL}" (in the terminal: --model {OFFLINE_MODEL})'
OFFLINE = ProviderSettings(name="offline", kind="offline", timeout_s=300, idle_timeout_s=300, found=True)

DEFAULT_ROUTE = RouteSettings(name="default", models=("openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"))
KEYLESS = frozenset({"offline", "ollama"})
FAMILIAR = ("openai", "anthropic", "gemini", "ollama", "openrouter", "azure")
"""Providers that are known without any configuration, but not ready without a key or a host."""

UNUSABLE: dict[type[HishamosError], str] = {NoProvider: "has no key", KeyWithheld: "may not have its key"}
"""Why a model can't be called, behind its name."""

Keys = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Target:
    """One model of one provider, ready to be called."""

    reference: str
    """``provider/model``."""
    provider: ProviderSettings
    model: str
    api_key: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A route, and its targets that can be called."""

    route: RouteSettings
    targets: tuple[Target, ...]
    reason: str | None = None
    """Why they stand in this order, where it is not the route's own."""
    passed_over: tuple[str, ...] = ()
    """Why others of the route's models are not among them, a sentence each."""


def plan(target: str, settings: Settings, keys: Keys) -> Plan:
    """Return what may serve ``target``; raises ``UnknownName``, ``NoProvider`` or ``KeyWithheld`` if nothing may."""
    route = route_of(target, settings)
    ready, problems = usable(route.models, settings, keys, target)
    if not ready:
        raise next(iter(problems.values()), NoProvider(target=target, line=OFFLINE_LINE))
    if target in POLICIES and len(ready) > 1:
        ready = tuple(found for found in ready if found.provider.kind != OFFLINE.kind)  # free, and no answer of a model
    return Plan(route, ready, passed_over=tuple(f"{model} {UNUSABLE.get(type(error), 'is unknown')}" for model, error in problems.items()))


def route_of(target: str, settings: Settings) -> RouteSettings:
    """Return the route that a request's target means; a single model is a route of its own with the usual limits."""
    if "/" in target:
        return RouteSettings(name=target, models=(target,))
    if target in settings.routes:
        return settings.routes[target]
    if target == DEFAULT_ROUTE.name:
        return DEFAULT_ROUTE
    if target in POLICIES:
        default = settings.routes.get(DEFAULT_ROUTE.name, DEFAULT_ROUTE)
        models = dict.fromkeys(model for route in (default, *settings.routes.values()) for model in route.models)
        return default.model_copy(update={"name": target, "models": tuple(models), "choose": target})
    known = [*settings.routes, DEFAULT_ROUTE.name, *POLICIES, *_models_near(target, settings)]
    raise UnknownName.among("route", target, known, "Name a model (provider/model), a policy, or a route of hishamos.toml.")


def _models_near(name: str, settings: Settings) -> list[str]:
    """Return models whose name without its provider is near: of the configured providers, else of those of the built-in route."""
    configured = {provider.name: provider.kind for provider in settings.providers.values()}
    usual = {model.partition("/")[0]: model.partition("/")[0] for model in DEFAULT_ROUTE.models}
    found = ([model for provider, kind in kinds.items() for model in nearest(name, provider, kind)] for kinds in (configured, usual))
    return next((models for models in found if models), [])


def usable(models: tuple[str, ...], settings: Settings, keys: Keys, target: str) -> tuple[tuple[Target, ...], dict[str, HishamosError]]:
    """Return the models that can be called, and by name why others can't."""
    ready: list[Target] = []
    problems: dict[str, HishamosError] = {}
    for reference in models:
        try:
            ready.append(resolve(reference, settings, keys, target))
        except HishamosError as error:
            problems[reference] = error
    return tuple(ready), problems


def resolve(reference: str, settings: Settings, keys: Keys, target: str) -> Target:
    """Return one model, ready to be called."""
    name, _, model = reference.partition("/")
    provider = settings.providers.get(name, OFFLINE if name == OFFLINE.name else None)
    if provider is None:
        if name in FAMILIAR:
            raise NoProvider(target=target, line=OFFLINE_LINE)
        raise UnknownName.among("provider", name, [*settings.providers, *FAMILIAR, OFFLINE.name], f"Add [providers.{name}] to hishamos.toml.")
    if not model:
        raise UnknownName.among("model", reference, [], "Write provider/model.")
    if provider.kind == "offline" and reference != OFFLINE_MODEL:
        raise UnknownName.among("model", reference, [OFFLINE_MODEL], "The offline provider has one model.")
    key = keys(provider.api_key) if provider.api_key else None
    if lacks_key(provider, key):
        raise NoProvider(target=target, line=OFFLINE_LINE)
    check_destination(provider, key, keys)
    return Target(reference, provider, model, key)


def lacks_key(provider: ProviderSettings, key: str | None) -> bool:
    """Return whether a provider can't be asked without a key and has none; a server with an address of its own and no ``api_key`` needs none."""
    return key is None and provider.kind not in KEYLESS and (provider.api_key is not None or provider.api_base is None)


def names(settings: Settings, keys: Keys) -> list[str]:
    """Return the names that a request may use: routes with a model that can be called, those models, the offline model."""
    routes = dict(settings.routes)
    routes.setdefault(DEFAULT_ROUTE.name, DEFAULT_ROUTE)
    found: dict[str, None] = {}
    models: dict[str, None] = {}
    for route in routes.values():
        chain = (*route.models, *route.on_context_overflow, *route.on_content_policy)
        ready, _ = usable(chain, settings, keys, route.name)
        if usable(route.models, settings, keys, route.name)[0]:
            found[route.name] = None
        models |= dict.fromkeys(target.reference for target in ready)
    policies = POLICIES if sum(not model.startswith(f"{OFFLINE.name}/") for model in models) > 1 else ()
    return [*found, *policies, *models, *([] if OFFLINE_MODEL in models else [OFFLINE_MODEL])]
