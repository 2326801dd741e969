"""Without a schema the offline model answers with sentences and lines of the prompt, never with words of its own."""

import json
import pathlib
import subprocess
import sys
import time

import pytest

from hishamos.gateway.offline import extract
from hishamos.gateway.offline.material import read_prompt

ROOT = pathlib.Path(__file__).parents[4]

TEXT = """The night train to the coast was cancelled again. Passengers waited on the platform for three hours. The railway said that the
night train lacked a driver. A cat slept on a suitcase. The railway promised a bus for passengers of the cancelled night train."""


def test_every_sentence_of_the_answer_stands_in_the_prompt():
    answer = extract("You summarise.", f"Summarise the text.\n<text>\n{TEXT}\n</text>", None, 60).text
    assert answer
    assert all(line in TEXT for line in answer.splitlines())
    assert "Summarise" not in answer
    assert "cat" not in answer


def test_arabic_text():
    text = "تأخر القطار ثلاث ساعات. انتظر الركاب على الرصيف. قالت الشركة إن القطار بلا سائق. وعدت الشركة الركاب بحافلة بدل القطار."
    answer = extract("", f"لخص النص:\n{text}", None, 30).text
    assert answer
    assert all(line in text for line in answer.splitlines())


def test_records_are_outlined_in_order_of_importance():
    data = [{"id": "A", "title": "small thing", "score": 1}, {"id": "B", "title": "big thing", "score": 8}]
    assert extract("", "Report:\n" + json.dumps(data), None, 200).text.splitlines() == ["- B · big thing", "- A · small thing"]


def test_nothing_to_answer_from_is_said():
    answer = extract("", "", None, 100)
    assert (answer.text, answer.not_judged) == ("not judged offline", ("answer",))


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Classify this.\nThe lamp is broken.", "The lamp is broken."),
        ("Classify this:\n\nList view is empty\nIt stays empty.", "List view is empty\nIt stays empty."),
        ("Classify.\n```\nlamp\n```\nAnswer briefly.", "lamp"),
        ('Judge """the lamp""" now', "the lamp"),
        ("Say hello", "Say hello"),
        ("Classify.\n<report>\nuse <b>this</b>\n```\nx\n```\n</report>\nThanks", "use <b>this</b>\n```\nx\n```"),
        (
            "Classify this.\nThe export of my long document stops with an error on the last page:\n```\nE12\n```\nIt never ends and I wait.",
            "The export of my long document stops with an error on the last page:\n```\nE12\n```\nIt never ends and I wait.",
        ),
        ("Classify.\nParts: list, lamp.\n<report>\n\n</report>", ""),
        ("Classify.\nParts: list, lamp.\n<report>\n  \n</report>", ""),
        ("Classify.\n<report></report>", ""),
        ("Compare.\n<left>\n</left>\n<right>\nlamp\n</right>", "lamp"),
        (
            "Classify.\nThe page holds this alone, and no lamp.\n<div></div>\nThat is wrong.",
            "The page holds this alone, and no lamp.\n<div></div>\nThat is wrong.",
        ),
        ('Rank.\n[{"a": "say <b>this</b> in ```code``` now"}]', "say <b>this</b> in ```code``` now"),
    ],
)
def test_what_is_judged(prompt, text):
    assert read_prompt("", prompt).text == text


def test_marks_of_a_list_without_items_are_no_answer():
    answer = extract("", "Sum up the texts.\n<texts>\n1. \n2. \n</texts>", {"type": "object", "properties": {"summary": {"type": "string"}}}, 100)
    assert json.loads(answer.text) == {"summary": "not judged offline"}
    assert answer.not_judged == ("summary",)


@pytest.mark.parametrize("size", [20_000, 1_000_000])
def test_a_long_text_takes_bounded_time(size):
    text = ("The export of page seven fails with an error. " * (size // 46))[:size]
    schema = {"type": "object", "properties": {"summary": {"type": "string"}, "severity": {"enum": ["high", "low"]}, "spam": {"type": "boolean"}}}
    started = time.perf_counter()
    extract("", f"<t>{text}</t>", schema, 400)
    extract("", f"<t>{text}</t>", None, 400)
    assert time.perf_counter() - started < 5


def test_importing_it_loads_the_standard_library_only():
    code = "import sys; before = set(sys.modules); import hishamos.gateway.offline; print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {name for name in done.stdout.split() if name not in sys.stdlib_module_names} == {"hishamos"}
