"""What a notebook gives back to whoever executes it: shown in the notebook, read from it by the step that executed it."""

from __future__ import annotations

import json
from typing import Any

from hishamos.errors import InvalidInput
from hishamos.notebook import markup
from hishamos.records.plain import RESULT_MIME, plain_variable


def result(**values: Any) -> dict[str, Any]:
    """Declare what this notebook gives back, by name: texts, numbers, lists, dicts, records.

    A step of type ``notebook`` has it as ``output.result``, a batch's row as ``result``; it stands in the executed notebook, for people and for
    programs (``application/vnd.hishamos.result+json``). A later call adds to an earlier one. Raises :class:`InvalidInput` for what is no plain
    data. Returns the values as they are kept.
    """
    try:
        kept = {name: plain_variable(name, value) for name, value in values.items()}
    except TypeError as error:
        raise InvalidInput(what=str(error), where="hishamos.result", next="Give back what JSON can hold, or the path of a file.") from None
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    if get_ipython() is not None:
        told = {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for name, value in kept.items()}
        rows = [(f"<strong>{markup.text(name)}</strong>", markup.text(value)) for name, value in told.items()]
        shown = markup.card(markup.head("Result", kind="given back"), markup.table(("name", "value"), rows))
        words = "\n".join(f"{name} = {value}" for name, value in told.items())
        display({"text/html": shown, "text/plain": f"result\n{words}", RESULT_MIME: kept}, raw=True)
    return kept
