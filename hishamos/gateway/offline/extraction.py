"""The offline model: an answer selected from the prompt and classified by classical methods. Deterministic, no weights, no network, no invented prose."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hishamos.errors import SchemaUnsatisfiable
from hishamos.gateway.offline.filling import Field, Filling, Unsatisfiable
from hishamos.gateway.offline.material import read_prompt
from hishamos.gateway.offline.selection import in_order, outline, selected
from hishamos.gateway.offline.specimens import NOT_JUDGED
from hishamos.gateway.offline.validity import Unresolvable

CHARACTERS_PER_TOKEN = 4
_SELECTED_SHARE = 0.3
_SHORT_TEXT = 600


@dataclass(frozen=True)
class Extraction:
    """What the offline model answers."""

    text: str
    """A selection from the prompt, or JSON that satisfies the schema."""
    not_judged: tuple[str, ...] = ()
    """Paths of fields that could not be judged (``items[0].confidence``)."""


def extract(instructions: str, prompt: str | Sequence[str], schema: Mapping[str, Any] | None, max_output_tokens: int) -> Extraction:
    """Answer a prompt, or the messages of a conversation, without a model.

    Without a schema: the prompt's most central sentences, or an outline of the records in it. With one: JSON that is valid for it, each
    field judged from the prompt where classical methods can, else a value that says nothing, named in ``not_judged``.
    ``max_output_tokens`` is counted at four characters a token; a schema whose least answer is longer is still answered whole.
    Raises :class:`hishamos.errors.SchemaUnsatisfiable`.
    """
    room = max(16, CHARACTERS_PER_TOKEN * max_output_tokens)
    material = read_prompt(instructions, prompt)
    if schema is None:
        records = material.data if isinstance(material.data, list) else []
        share = max(_SHORT_TEXT, int(len(material.text) * _SELECTED_SHARE))
        records = [record for record in records if isinstance(record, dict)]
        text = outline(in_order(records), room) if records else selected(material, min(room, share))
        return Extraction(text) if text else Extraction(NOT_JUDGED, ("answer",))
    return _answer(schema, Field("", "", material), room)


def _answer(schema: Mapping[str, Any], field: Field, room: int) -> Extraction:
    share = room
    while True:
        try:
            filled = Filling(schema, share).fill(schema, field)
        except (Unsatisfiable, Unresolvable) as error:
            raise SchemaUnsatisfiable(problem=str(error)) from None
        text = json.dumps(filled.value, ensure_ascii=False)
        if len(text) <= room or share <= 16:
            return Extraction(text, tuple(dict.fromkeys(filled.not_judged)))
        share //= 2
