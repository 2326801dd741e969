"""``notebook``: execute a notebook with parameters; output ``{output, seconds, result}``.

``output``: the path of the executed notebook; ``result``: what it gave back by ``hishamos.result``, null where it did not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from hishamos.contracts.notebooks import NotebookEnd, PreparedNotebook
from hishamos.engine.places import inside
from hishamos.engine.steptype import Done, Interrupted, Library, Problem, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import HishamosError, InvalidInput
from hishamos.records.runs import RunKind

SUFFIX = ".ipynb"
KEPT = Path("data") / "local" / "notebooks"


class NotebookInputs(StepInputs):
    """Which notebook, with what, to where."""

    notebook: str
    """Its path in the workspace."""
    parameters: dict[str, Any] = {}
    """What its parameters cell gets."""
    output: str | None = None
    """Where in the workspace the executed notebook goes; left out: ``data/local/notebooks/RUN/STEP.ipynb``."""
    reuse: bool = False
    """Whether a kernel may execute it that has executed others: quicker, and what an installed library remembers of them stays."""
    kernel: str | None = None
    """Which kernel executes it; left out, the one that the notebook names."""


class NotebookStep(StepType[NotebookInputs]):
    """Executes the notebook in a process of its own; what it asks models counts for the step. A failing cell fails the step."""

    name = "notebook"
    inputs: ClassVar[type[NotebookInputs]] = NotebookInputs
    literal = frozenset({"notebook"})
    keeps_time = True

    def run(self, context: StepContext, inputs: NotebookInputs) -> Result:
        """See the plug."""
        notebook, output = _places(context, inputs)
        prepared: PreparedNotebook | None = context.memory.get("notebook")
        if prepared is None:
            prepared = context.memory["notebook"] = context.notebook(notebook, inputs.parameters, output, reuse=inputs.reuse, kernel=inputs.kernel)
            context.at_end(prepared.stop)
        answer = context.background(prepared.run, lane="notebooks")
        return Done(_output(answer.value, output)) if answer.ready else Waiting([answer])

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:
        """See the plug: the notebook is there, and both paths stay inside the workspace."""
        found = []
        for key in ("notebook", "output"):
            name = raw.get(key)
            if not isinstance(name, str) or "{{" in name or "{%" in name:
                continue
            try:
                path = _ipynb(library.root, name)
                if key == "notebook" and not path.is_file():
                    raise InvalidInput(what=f"there is no notebook {name!r}", where=str(library.root), next="Check the path.")
            except HishamosError as error:
                found.append(Problem((key,), str(error)))
        return found


def _output(end: NotebookEnd, output: Path) -> dict[str, Any]:
    if end.stopped:
        raise Interrupted
    if end.error is not None:
        raise end.error
    return {"output": str(output), "seconds": end.seconds, "result": end.result}


def _places(context: StepContext, inputs: NotebookInputs) -> tuple[Path, Path]:
    """Return where the notebook is and where it goes. A batch names files of whoever started it, anywhere; a definition only those of the workspace."""
    if context.run.kind is RunKind.BATCH and inputs.output is not None:
        return Path(inputs.notebook), Path(inputs.output)
    root = Path(context.outside.settings().root)
    if inputs.output is not None:
        return _ipynb(root, inputs.notebook), _ipynb(root, inputs.output)
    name = re.sub(r"[^\w.-]+", "_", context.path).strip("_")
    return _ipynb(root, inputs.notebook), (root / KEPT / context.run.id / f"{name}{SUFFIX}").resolve()


def _ipynb(root: Path, name: str) -> Path:
    path = inside(root, name, "a notebook step")
    if path.suffix != SUFFIX:
        raise InvalidInput(what=f"{name!r} does not end in {SUFFIX}", where="a notebook step", next="Name a notebook.")
    return path
