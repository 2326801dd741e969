"""Answers to requests with a schema: found in the text, parsed, held against the schema."""

from __future__ import annotations

import json
import re
from typing import Any

from hishamos.errors import InvalidInput
from hishamos.records.record import canonical
from hishamos.schemas.validation import schema_problem, validator

_FENCE = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.DOTALL | re.IGNORECASE)
PROBLEM_LENGTH = 300
DEEPEST = 100
"""Levels of an answer's JSON; pydantic writes some more than twice as many."""


def parse(text: str, schema: dict[str, Any]) -> tuple[Any, str | None]:
    """Return the answer's data and None, or None and what is wrong with it, in a sentence that a model can act on."""
    try:
        data = json.loads(_bare(text), parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        return None, f"the answer is not JSON ({error})"
    unkept = unfit(data)
    if unkept is not None:
        return None, f"the answer {unkept}"
    try:
        return next(((None, problem) for problem in _problems(data, schema)), (data, None))
    except RecursionError:
        return None, "the schema, or the answer, goes too deep to be held against the other"


def check_schema(schema: dict[str, Any]) -> None:
    """Raise :class:`InvalidInput` if no answer can be held against ``schema``, or none can satisfy it: before anything is sent."""
    problem = schema_problem(schema)
    if problem is not None:
        raise InvalidInput(what=problem, where="the output schema", next="Correct it. Nothing was sent.")


def unfit(data: Any) -> str | None:
    """Return why parsed JSON can't be kept, to be read after its name: it is nested too deeply, or a text in it is no Unicode. None when it can."""
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            return f"is nested more than {DEEPEST} levels deep"
        level = [inner for one in level if isinstance(one, dict | list) for inner in (one.values() if isinstance(one, dict) else one)]
    try:
        canonical(data).encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is no text"
    return None


def no_constant(name: str) -> Any:
    """Refuse what Python's reader takes though it is no JSON: NaN and the infinities."""
    raise ValueError(f"{name} is no JSON")


def _bare(text: str) -> str:
    """Strip what models put around JSON: code fences, a sentence before the first brace."""
    fenced = _FENCE.search(text)
    body = (fenced[1] if fenced else text).strip()
    if body[:1] in '{["' or not body:
        return body
    starts = [place for place in (body.find("{"), body.find("[")) if place >= 0]
    ends = max(body.rfind("}"), body.rfind("]"))
    return body[min(starts) : ends + 1] if starts and ends > min(starts) else body


def _problems(data: Any, schema: dict[str, Any]) -> list[str]:
    found = validator(schema).iter_errors(data)
    return [f"{error.json_path}: {error.message}"[:PROBLEM_LENGTH] for error in sorted(found, key=lambda error: error.json_path)][:1]
