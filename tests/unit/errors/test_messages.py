"""A message that is put together from others ends each sentence once."""

from __future__ import annotations

import pytest

from hishamos.errors import InvalidInput, RunFailed, sentences


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("did you mean 'command'?. Known: a.", "did you mean 'command'? Known: a."),
        ("none is installed.. Correct it.", "none is installed. Correct it."),
        ("it waits.... Then what", "it waits.... Then what"),
        ("it waits... Then what", "it waits... Then what"),
        ("a file ../x. Next.", "a file ../x. Next."),
        ("cut …. ", "cut …"),
        ("?. ", "?"),
    ],
)
def test_each_sentence_ends_once(text: str, read: str) -> None:
    assert sentences(text) == read


def test_an_error_reads_so() -> None:
    assert str(InvalidInput(what="what", where="here", next="Is it this?.")) == "what (here). Is it this?"


@pytest.mark.parametrize("reason", ["it broke", "it broke."])
def test_what_is_next_begins_a_sentence(reason: str) -> None:
    assert str(RunFailed(workflow="w", where="s", reason=reason, next="Go on")) == "w, s: it broke. Go on"
