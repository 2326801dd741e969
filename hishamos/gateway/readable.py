"""Which models read images and PDFs, how large those may be, and how many tokens they are at most."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hishamos.gateway.models import input_limit, own
from hishamos.gateway.prices import entry_of
from hishamos.records.attachments import Attachment
from hishamos.records.configuration import ProviderSettings

LISTED = frozenset({"openai", "anthropic", "gemini"})
"""Kinds whose every model that sees is marked so in litellm's map; of others only a plain no counts."""
MB = 1_000_000
DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a provider takes in one request, as it publishes it. Bytes are those that travel, a third more than the file has."""

    images: int
    image_bytes: int
    all_bytes: int
    pages: int
    side: int | None = None
    """The longest side of an image, pixels."""
    no: frozenset[str] = frozenset()
    """Formats that it does not read."""


RULES = {
    # developers.openai.com/api/docs/guides/images-vision and /pdf-files: 20 MB an image, 500 of them, 50 MB of files in a request.
    "openai": Rules(images=500, image_bytes=27 * MB, all_bytes=67 * MB, pages=10_000),
    # platform.claude.com/docs/en/build-with-claude/vision and /pdf-support: 10 MB an image, 600 images or pages (100 with a context of
    # 200,000 tokens), 8000 pixels a side, 32 MB in all.
    "anthropic": Rules(images=600, image_bytes=10 * MB, all_bytes=32 * MB, pages=600, side=8000),
    # ai.google.dev/gemini-api/docs/image-understanding and /document-processing: PNG, JPEG, WebP; 3,600 images, 1,000 pages, 100 MB in line.
    "gemini": Rules(images=3600, image_bytes=100 * MB, all_bytes=100 * MB, pages=1000, no=frozenset({"GIF"})),
}
RULES["azure"] = RULES["openai"]
SMALL_CONTEXT, FEWER = 200_000, 100

DEAREST = 48_169
"""The most tokens that any provider publishes for one image: gpt-4o-mini, 2,833 and 8 tiles of 5,667."""
OPENAI_TOKENS = {
    "gpt-4o": 1_445, "gpt-4.1": 1_445, "o1": 1_275, "o3": 1_275,
    "gpt-4.1-mini": 2_489, "gpt-5-mini": 2_489, "o4-mini": 2_642, "gpt-4.1-nano": 3_779, "gpt-5-nano": 3_779,
}  # fmt: skip
"""At most 8 tiles of 512 pixels (85 + 8 x 170; 75 + 8 x 150), or 1,536 patches of 32 pixels times the model's factor (1.62, 1.72, 2.46):
"Calculating costs" of developers.openai.com/api/docs/guides/images-vision. For any other model :data:`DEAREST`.
"""
CLAUDE_TOKENS = 4_784
"""platform.claude.com/docs/en/build-with-claude/vision: 1,600, for models of high resolution 4,784."""
GEMINI_TOKENS = 6_192
"""ai.google.dev/gemini-api/docs/image-understanding: 258 a tile of at least 256 pixels, of an image of 3072 pixels a side at most: 24 tiles. From
Gemini 3 on 2,240 (``media_resolution`` ultra high)."""
PAGE_TEXT = 3_000
"""platform.claude.com/docs/en/build-with-claude/pdf-support: 1,500 to 3,000 tokens of text a page, beside the page's image. OpenAI sends both too and
publishes no number; Gemini publishes 258 a page, from Gemini 3 on 1,120 at most."""
GEMINI_PAGE = 1_120


def file_tokens(files: Sequence[Attachment], kind: str, model: str) -> int:
    """Return the most input tokens that images and PDFs have, by what their provider publishes.

    A page has no published maximum but the text that a dense one has: a bill above it is an overrun, and closes the budget.
    """
    image = _image_tokens(kind, model)
    page = GEMINI_PAGE if kind == "gemini" else image + PAGE_TEXT
    return sum(image if file.image else page * (file.pages or 1) for file in files if file.media != "text/plain")


def unreadable(files: Sequence[Attachment], model: str, provider: ProviderSettings) -> str | None:
    """Return why a model certainly can't be given these files, to be read after its name; None where it can, or nobody says.

    The offline model takes any: it says which it did not look at.
    """
    seen = [file for file in files if file.media != "text/plain"]
    if not seen or own(provider):
        return None
    rules = _rules(model, provider)
    return _blind(seen, model, provider.kind) or (None if rules is None else next(_against(rules, seen), None))


def _blind(files: Sequence[Attachment], model: str, kind: str) -> str | None:
    entry = entry_of(kind, model)
    if entry is None:
        return None
    sees, reads = entry.get("supports_vision"), entry.get("supports_pdf_input")
    if kind in LISTED:
        reads = bool(reads or (kind == "gemini" and sees))
        sees = bool(sees or reads or "image" in (entry.get("supported_modalities") or ()))
    if sees is False and any(file.image for file in files):
        return "reads no images, says litellm's map"
    return "reads no PDFs, says litellm's map" if reads is False and any(file.pages for file in files) else None


def _against(rules: Rules, files: Sequence[Attachment]) -> Iterator[str]:
    images = [file for file in files if file.image]
    pages, total = sum(file.pages or 0 for file in files), sum(map(_travelling, files))
    yield from (f"reads no {file.word} ({file.name})" for file in files if file.word in rules.no)
    if len(images) > rules.images:
        yield f"takes {rules.images:,} images, these are {len(images):,}"
    if pages > rules.pages:
        yield f"takes {rules.pages:,} pages, these are {pages:,}"
    for file in images:
        if _travelling(file) > rules.image_bytes:
            yield f"takes images of {rules.image_bytes * 3 / 4 / MB:.3g} MB, {file.name} has {file.size / MB:.1f}"
        if rules.side and max(file.width or 0, file.height or 0) > rules.side:
            yield f"takes images of {rules.side:,} pixels a side, {file.name} is {file.width:,} x {file.height:,}"
    if total > rules.all_bytes:
        yield f"takes {rules.all_bytes * 3 / 4 / MB:.3g} MB of files, these are {total * 3 / 4 / MB:.1f}"


def _rules(model: str, provider: ProviderSettings) -> Rules | None:
    rules = RULES.get(provider.kind)
    if rules is None or provider.kind != "anthropic" or (input_limit(model, provider) or SMALL_CONTEXT + 1) > SMALL_CONTEXT:
        return rules
    return replace(rules, images=FEWER, pages=FEWER)


def _travelling(file: Attachment) -> int:
    """Bytes in base64."""
    return -(-file.size // 3) * 4


def _image_tokens(kind: str, model: str) -> int:
    if kind in ("anthropic", "gemini"):
        return CLAUDE_TOKENS if kind == "anthropic" else GEMINI_TOKENS
    return OPENAI_TOKENS.get(DATED.sub("", model), DEAREST) if kind == "openai" else DEAREST
