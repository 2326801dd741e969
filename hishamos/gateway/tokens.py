"""How many tokens a text has, counted with the tokenizer file that litellm brings along; nothing is asked of the network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken

ENCODING = "o200k_base"
FILE = hashlib.sha1(b"https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken", usedforsecurity=False).hexdigest()
"""The name under which tiktoken keeps that encoding."""
SLICE = 50_000
"""Characters counted at once: the cost of one slice is bounded, and a text that is long enough is not read to its end."""


def count(texts: Iterable[str], until: int) -> int | None:
    """Return how many tokens OpenAI's present models see in the texts, or some number above ``until``; None where the tokenizer is missing.

    Takes about a quarter of a second a megabyte, outside Python's lock; not for an event loop.
    """
    encoding = _encoding()
    if encoding is None:
        return None
    found = 0
    for text in texts:
        for begin in range(0, len(text), SLICE):
            found += len(encoding.encode_ordinary(text[begin : begin + SLICE]))
            if found > until:
                return found
    return found


@lru_cache(maxsize=1)
def _encoding() -> tiktoken.Encoding | None:
    litellm = find_spec("litellm")
    places = litellm.submodule_search_locations if litellm else None
    folder = Path(next(iter(places))) / "litellm_core_utils" / "tokenizers" if places else Path()
    if not (folder / FILE).exists():
        return None
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)  # what litellm sets too, when it is imported
    import tiktoken

    return tiktoken.get_encoding(ENCODING)
