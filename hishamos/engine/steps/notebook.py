"""``notebook``: execute a notebook with parameters; its output is where the executed notebook is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hishamos.engine.steptype import Done, Result, StepContext, StepInputs, StepType, Waiting


class NotebookInputs(StepInputs):
    """Which notebook, with what, to where."""

    notebook: str
    """Its path."""
    parameters: dict[str, Any] = {}
    """What its parameters cell gets."""
    output: str
    """Where the executed notebook goes."""


class NotebookStep(StepType[NotebookInputs]):
    """Executes the notebook in a process of its own. What a batch is made of."""

    name = "notebook"
    inputs = NotebookInputs

    def run(self, context: StepContext, inputs: NotebookInputs) -> Result:
        """See the plug."""
        answer = context.background(lambda: context.notebook(Path(inputs.notebook), inputs.parameters, Path(inputs.output)))
        return Done(answer.value) if answer.ready else Waiting([answer])
