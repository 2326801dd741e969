"""How many tokens a prompt has at least, counted with the vocabulary that litellm ships: no import of litellm, no network."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

VOCABULARY = Path("litellm_core_utils", "tokenizers", "9b5ad71b2ce5302211f9c61530b329a4922fc6a4")
"""OpenAI's ``cl100k_base.tiktoken`` inside litellm, under the name that tiktoken's own cache gives it."""
PATTERN = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""  # as tiktoken has it
WORDS, OTHERS, WHOLE = 10, 3, 30
"""What a token of cl100k counts at least for any family, of :data:`WHOLE`: a third if it is ASCII with a letter, else a tenth.

Measured against o200k and Claude 2's tokenizer: prose, code and lists in Latin letters have up to 1.6 times as many tokens in cl100k, runs of
one letter twice; blanks, dashes and digits up to 5 times, Georgian and Armenian 6.3 times.
"""
PIECE = 1 << 16
"""Characters that are counted in one go, some 20 ms at most."""
MOST = 32_000_000
"""Characters that are counted of one prompt, some seconds of one thread; what is still undecided then is left to the provider."""
CUT = 8
"""Tokens that are not counted for each cut inside a text, should it have gone through the middle of some."""


@dataclass(frozen=True, slots=True)
class Length:
    """What is certain of a prompt's length, tokens."""

    exact: int
    """In cl100k: so many it has there at least."""
    parts: int
    """The same in parts of :data:`WHOLE` for the family that needs the fewest tokens."""

    @property
    def least(self) -> int:
        """So many tokens it has in any family."""
        return self.parts // WHOLE


async def measure(texts: Sequence[str], enough: Callable[[Length], bool]) -> Length:
    """Count piece by piece in the executor, until ``enough`` is known, the texts end, or :data:`MOST` characters were counted."""
    loop = asyncio.get_running_loop()
    length = Length(0, 0)
    for piece, cut in _pieces(texts):
        found = await loop.run_in_executor(None, count, piece)
        length = Length(length.exact + max(0, found.exact - cut), length.parts + max(0, found.parts - cut * WHOLE))
        if enough(length):
            break
    return length


def count(text: str) -> Length:
    """Return what a text has; nothing is certain where the vocabulary is missing."""
    found = vocabulary()
    if found is None:
        return Length(0, 0)
    encoding, weights = found
    tokens = encoding.encode_ordinary(text)
    return Length(len(tokens), sum(map(weights.__getitem__, tokens)))


def counted_exactly(kind: str, model: str) -> bool:
    """Return whether cl100k is a model's own vocabulary: GPT-3.5, GPT-4 and GPT-4 Turbo of OpenAI."""
    import tiktoken

    try:
        return kind == "openai" and tiktoken.encoding_name_for_model(model) == "cl100k_base"
    except KeyError:
        return False


@cache
def vocabulary() -> tuple[Encoding, bytearray] | None:
    """Return cl100k and the weight of each of its tokens; None where litellm has no such file."""
    import tiktoken

    found = find_spec("litellm")
    path = None if found is None or not found.submodule_search_locations else Path(next(iter(found.submodule_search_locations))) / VOCABULARY
    if path is None or not path.is_file():
        return None
    lines = (line.split() for line in path.read_bytes().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    weights = bytearray(max(ranks.values()) + 1)
    for token, rank in ranks.items():
        weights[rank] = WORDS if token.isascii() and any(65 <= byte & ~32 <= 90 for byte in token) else OTHERS
    return tiktoken.Encoding("cl100k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={}), weights


def _pieces(texts: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Cut texts before a blank where there is one: cl100k's words begin with theirs. Give each piece with the tokens that its cut may have made."""
    left = MOST
    for text in texts:
        start = 0
        while start < len(text) and left > 0:
            end = min(start + min(PIECE, left), len(text))
            blank = text.rfind(" ", start + 1, end) if end < len(text) else -1
            end = blank if blank > 0 else end
            yield text[start:end], CUT if start else 0
            left -= end - start
            start = end
