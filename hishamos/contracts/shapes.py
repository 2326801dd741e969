"""The shape of an answer as its caller writes it: a JSON Schema, or a pydantic model. Only the caller has the class; services see schemas."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from hishamos.contracts.verbs import Verb
from hishamos.errors import InvalidInput, OutputInvalid
from hishamos.records.calls import CommandResult

Shape = dict[str, Any] | type[BaseModel]


def as_schema(verb: Verb, arguments: dict[str, Any]) -> tuple[dict[str, Any], type[BaseModel] | None]:
    """Return a verb's arguments with the shape ``output`` as a JSON Schema, and the model that it was written as, if it was one."""
    shape = arguments.get("output")
    declared = verb.signature.parameters.get("output")
    if shape is None or isinstance(shape, dict) or declared is None or "Shape" not in str(declared.annotation):  # a batch's output is a folder
        return arguments, None
    return {**arguments, "output": schema_of(shape)}, shape


def schema_of(shape: Shape) -> dict[str, Any]:
    """Return a shape as a JSON Schema; raises :class:`InvalidInput` for what is none."""
    if isinstance(shape, dict):
        return shape
    if not (isinstance(shape, type) and issubclass(shape, BaseModel)):
        what = f"output is {getattr(shape, '__name__', shape)!r}"
        raise InvalidInput(what=what, where="output", next="Give a subclass of pydantic.BaseModel or a JSON Schema as a dict.")
    return shape.model_json_schema()


def as_model(answer: Any, shape: type[BaseModel] | None) -> Any:
    """Return the answer with its output as an instance of ``shape``.

    The model's own validators run here, after the answer has been paid and kept; raises :class:`OutputInvalid` with the first problem.
    """
    if shape is None or not isinstance(answer, CommandResult):
        return answer
    try:
        value = shape.model_validate(answer.output)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        problem = f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}"
        raise OutputInvalid(model=answer.model, what=shape.__name__, attempts=len(answer.call_ids), problem=problem) from error
    return answer.model_copy(update={"output": value})
