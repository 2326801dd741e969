"""Which models can be given images and PDFs, and how many tokens those are at most."""

from __future__ import annotations

import pytest

from hishamos.gateway.readable import DEAREST, file_tokens, unreadable
from hishamos.records.attachments import Attachment
from hishamos.records.configuration import ProviderSettings


def file(media: str = "image/png", **facts) -> Attachment:
    kind = {"image/png": {"width": 100, "height": 100}, "application/pdf": {"pages": 1}}.get(media, {})
    return Attachment(**{"path": "/files/a", "media": media, "sha256": "0" * 64, "size": 1000, **kind, **facts})


def why(model: str, *files: Attachment, **settings) -> str | None:
    kind, _, name = model.partition("/")
    return unreadable(files, name, ProviderSettings(name=kind, kind=kind, **settings))


@pytest.mark.parametrize("model", ["openai/gpt-4.1-mini", "openai/ft:gpt-4o-2024-11-20", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"])
def test_models_that_see_read_pdfs_too(model: str):
    assert why(model, file(), file("application/pdf")) is None


@pytest.mark.parametrize("model", ["openai/gpt-3.5-turbo", "openai/o3-mini", "openai/gpt-4"])
def test_models_that_certainly_see_nothing_are_told(model: str):
    assert why(model, file()) == "reads no images, says litellm's map"
    assert why(model, file("application/pdf")) == "reads no PDFs, says litellm's map"
    assert why(model, file("text/plain")) is None, "a text is part of the prompt"


def test_what_nobody_knows_is_asked():
    assert why("openai/gpt-99", file()) is None
    assert why("lab/our-model", file("image/gif")) is None
    assert why("openai/gpt-3.5-turbo", file(), api_base="http://127.0.0.1:4010/v1") is None, "a server of one's own"
    assert why("offline/extractive", file(size=19_000_000)) is None


@pytest.mark.parametrize(
    ("model", "files", "words"),
    [
        ("gemini/gemini-2.5-flash", [file("image/gif")], "reads no GIF (a)"),
        ("anthropic/claude-haiku-4-5", [file(size=8_000_000)], "takes images of 7.5 MB, a has 8.0"),
        ("anthropic/claude-haiku-4-5", [file(width=9000)], "takes images of 8,000 pixels a side, a is 9,000 x 100"),
        ("anthropic/claude-haiku-4-5", [file()] * 101, "takes 100 images, these are 101"),
        ("anthropic/claude-haiku-4-5", [file("application/pdf", pages=60)] * 2, "takes 100 pages, these are 120"),
        ("anthropic/claude-haiku-4-5", [file("application/pdf", size=30_000_000)], "takes 24 MB of files, these are 30.0"),
        ("openai/gpt-4.1-mini", [file()] * 501, "takes 500 images, these are 501"),
        ("gemini/gemini-2.5-flash", [file("application/pdf", pages=1001)], "takes 1,000 pages, these are 1,001"),
    ],
)
def test_limits_that_providers_publish(model: str, files: list[Attachment], words: str):
    assert why(model, *files) == words


def test_tokens_are_the_published_maximum():
    two = [file(), file("application/pdf", pages=3), file("text/plain")]
    assert file_tokens([file()], "openai", "gpt-4o-mini") == 2_833 + 8 * 5_667 == DEAREST
    assert file_tokens([file()], "openai", "gpt-4.1-mini-2025-04-14") == file_tokens([file()], "openai", "gpt-4.1-mini") == 2_489
    assert file_tokens([file()], "openai", "gpt-4o") == 85 + 8 * 170
    assert file_tokens([file()], "lab", "unknown") == DEAREST
    assert file_tokens(two, "anthropic", "claude-haiku-4-5") == 4_784 + 3 * (4_784 + 3_000)
    assert file_tokens(two, "gemini", "gemini-2.5-flash") == 6_192 + 3 * 1_120
    assert file_tokens([], "openai", "gpt-4o") == 0
