"""What is certain of a prompt's length: counted with litellm's own file, piece by piece, and with a margin for other families."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from hishamos.gateway import lengths
from hishamos.gateway.lengths import Length, count, counted_exactly, measure, vocabulary

PROSE = Path(__file__).with_name("measured_prose.md").read_text(encoding="utf-8")


def never(_: Length) -> bool:
    return False


def test_the_vocabulary_is_cl100k():
    """The tokens are those that OpenAI publishes for these sentences."""
    encoding, weights = vocabulary()
    assert encoding.encode_ordinary("tiktoken is great!") == [83, 1609, 5963, 374, 2294, 0]
    assert encoding.encode_ordinary("hello world") == [15339, 1917]
    assert len(weights) == encoding.n_vocab == 100_256


ALONE = """
import socket, sys
def refuse(*_, **__): raise AssertionError("network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from hishamos.gateway.lengths import count
assert count("hello world").exact == 2
assert "litellm" not in sys.modules
"""


def test_counting_needs_neither_litellm_nor_the_network(tmp_path):
    environment = {"PATH": "", "TIKTOKEN_CACHE_DIR": str(tmp_path), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", ALONE], check=True, env=environment, cwd=Path(__file__).parents[3])
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(("kind", "model", "exact"), [
    ("openai", "gpt-4", True),
    ("openai", "gpt-4-turbo", True),
    ("openai", "gpt-3.5-turbo-0125", True),
    ("openai", "gpt-4o", False),
    ("openai", "gpt-4.1-mini", False),
    ("openai", "a-newer-one", False),
    ("anthropic", "gpt-4", False),
    ("gemini", "gemini-2.5-pro", False),
])  # fmt: skip
def test_only_the_families_of_that_vocabulary_are_counted_exactly(kind: str, model: str, exact: bool):
    assert counted_exactly(kind, model) is exact


MEASURED = [
    (PROSE, 3510, 3750),
    (
        "Bonke abantu bazalwa bekhululekile belingana ngesithunzi nangamalungelo. Bahlanganiswe wumcabango nangunembeza futhi kufanele baphathane ngomoya wobunye.",
        40,
        63,
    ),
    (
        "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით. მათ მინიჭებული აქვთ გონება და სინდისი და ერთმანეთის მიმართ უნდა იქცეოდნენ ძმობის სულისკვეთებით.",
        51,
        198,
    ),
    (
        "Բոլոր մարդիկ ծնվում են ազատ ու հավասար իրենց արժանապատվությամբ ու իրավունքներով։ Նրանք ունեն բանականություն ու խիղճ, միմյանց պետք է եղբայրաբար վերաբերվեն։",
        47,
        287,
    ),
    ("يولد جميع الناس أحراراً متساوين في الكرامة والحقوق، وقد وهبوا عقلاً وضميراً وعليهم أن يعامل بعضهم بعضاً بروح الإخاء.", 43, 110),
    ("ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಹುಟ್ಟಿದ್ದಾರೆ. ಹಾಗೂ ಘನತೆ ಮತ್ತು ಹಕ್ಕುಗಳಲ್ಲಿ ಸಮಾನರಾಗಿದ್ದಾರೆ. ವಿವೇಕ ಮತ್ತು ಅಂತಃಕರಣಗಳನ್ನು ಪಡೆದವರಾದ್ದರಿಂದ ಅವರು ಪರಸ್ಪರ ಸಹೋದರ ಭಾವದಿಂದ ವರ್ತಿಸಬೇಕು.", 58, 339),
    ("人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。", 35, 49),
    (" " * 5000, 40, 8),
    ("-" * 5000, 78, 21),
    ("a" * 5000, 625, 313),
    ("0123456789" * 300, 1000, 300),
]
"""Texts with their tokens in o200k (GPT-4o and later) and in Claude 2's tokenizer, as measured once."""


@pytest.mark.parametrize(("text", "o200k", "claude"), MEASURED)
def test_no_family_has_fewer_tokens_than_what_is_certain(text: str, o200k: int, claude: int):
    found = count(text)
    assert 0 <= found.least <= min(o200k, claude)
    assert found.exact >= found.least


def test_in_pieces_no_more_is_certain_than_in_one_go():
    text = PROSE * 40
    whole, parts = count(text), asyncio.run(measure([text], never))
    assert whole.exact * 0.999 <= parts.exact <= whole.exact
    assert parts.least <= whole.least
    unbroken = "abcdefghijklmnopqrstuvwxyz" * 10_000
    assert asyncio.run(measure([unbroken], never)).exact <= count(unbroken).exact
    many = asyncio.run(measure(["word"] * 500, never))
    assert many.exact == 500, "short messages lose nothing"


def test_counting_ends_when_enough_is_known_and_is_capped(monkeypatch):
    counted: list[int] = []
    real = lengths.count

    def counting(text: str) -> Length:
        counted.append(len(text))
        return real(text)

    monkeypatch.setattr(lengths, "count", counting)
    huge = "word " * 10_000_000
    asyncio.run(measure([huge], lambda length: length.exact > 8_192))
    assert len(counted) == 1
    counted.clear()
    monkeypatch.setattr(lengths, "MOST", 200_000)
    asyncio.run(measure([huge, huge], never))
    assert sum(counted) == 200_000


def test_the_loop_turns_while_a_long_prompt_is_counted():
    async def both() -> int:
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        await measure(["word " * 200_000], never)
        ticking.cancel()
        return turns

    assert asyncio.run(both()) > 1_000_000 / lengths.PIECE


def test_without_the_file_nothing_is_certain(monkeypatch):
    monkeypatch.setattr(lengths, "VOCABULARY", Path("no", "such", "file"))
    vocabulary.cache_clear()
    try:
        assert count("word " * 100_000) == Length(0, 0)
    finally:
        monkeypatch.undo()
        vocabulary.cache_clear()
