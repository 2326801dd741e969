"""What litellm's map says of models besides their prices: their names, their longest inputs, what they are made for."""

from __future__ import annotations

import difflib

from hishamos.gateway.prices import FREE_KINDS, bundled, entry_of
from hishamos.records.configuration import ProviderSettings

ANSWERING = frozenset({"chat", "responses", "completion"})
"""Modes of models that answer a question in words."""
OTHER_USES = frozenset({
    "embedding", "image_generation", "image_edit", "video_generation", "audio_transcription", "audio_speech", "realtime", "rerank", "moderation", "ocr",
    "search", "vector_store",
})  # fmt: skip
CHAT = "/v1/chat/completions"
"""Where a model that makes images may answer in words too."""
NEAR, MOST = 0.6, 3


def input_limit(model: str, provider: ProviderSettings) -> int | None:
    """Return the most input tokens that a model takes; None where nobody says."""
    if own(provider):
        return None
    found = (entry_of(provider.kind, model) or {}).get("max_input_tokens")
    return found if isinstance(found, int) else None


def other_use(model: str, provider: ProviderSettings) -> str | None:
    """Return what a model is made for if it certainly does not answer questions; None where it does, or nobody says."""
    if own(provider):
        return None
    entry = entry_of(provider.kind, model) or {}
    mode = str(entry.get("mode"))
    return mode.replace("_", " ") if mode in OTHER_USES and CHAT not in (entry.get("supported_endpoints") or ()) else None


def without_tools(model: str, provider: ProviderSettings) -> str | None:
    """Return why a model certainly can't use tools, to be read after its name; None where it can, or nobody says."""
    if provider.kind == "offline":
        return "is the offline model, which can't use tools"
    if own(provider) or (entry_of(provider.kind, model) or {}).get("supports_function_calling") is not False:
        return None
    return "can't use tools, says litellm's map"


def nearest(name: str, provider: str, kind: str) -> list[str]:
    """Return the names nearest to a model's that answer questions, as references to ``provider``."""
    entries, _ = bundled()
    known = {key.removeprefix(f"{kind}/") for key, entry in entries.items() if entry.get("litellm_provider") == kind and entry.get("mode") in ANSWERING}
    return [f"{provider}/{found}" for found in difflib.get_close_matches(name, sorted(known), n=MOST, cutoff=NEAR)]


def did_you_mean(name: str, provider: str, kind: str) -> str:
    """Return a question that names the nearest other models, with a blank behind it; empty where none is near."""
    found = [near for near in nearest(name, provider, kind) if near != f"{provider}/{name}"]
    return f"Did you mean {' or '.join(found)}? " if found else ""


def own(provider: ProviderSettings) -> bool:
    """Whether it is a server of one's own, whose models are not those that carry the same names elsewhere."""
    return provider.kind in FREE_KINDS or provider.api_base is not None
