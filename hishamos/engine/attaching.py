"""Files that go to a model with a prompt: which ones, whether they may, and what they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hishamos.errors import InvalidInput
from hishamos.media.looking import look
from hishamos.records.attachments import Attachment
from hishamos.records.definitions import CommandDefinition, WorkflowDefinition
from hishamos.records.runs import Run

if TYPE_CHECKING:
    from hishamos.engine.steptype import Answer, StepContext

OWN = Path("data", "local")
"""What HishamOS keeps for itself in a workspace."""


def command_files(command: CommandDefinition, values: Mapping[str, Any]) -> dict[str, Attachment]:
    """Return what the files are that a command attaches, by parameter; one that is left out is not there. Blocks while they are read."""
    given = {name: values[name] for name in command.attach if values.get(name) is not None}
    return {name: look(Path(path), f"the parameter {name!r} of the command {command.name}") for name, path in given.items()}


def task_files(paths: Sequence[str], root: Path, agent: str) -> tuple[Attachment, ...]:
    """Return what the files are that an agent is given; relative ones are looked for in the workspace."""
    return tuple(look((root / path).resolve(), f"a file for the agent {agent}") for path in paths)


def kept_files(context: StepContext, look_at: Callable[[], Iterable[tuple[str, Attachment]]]) -> Answer[str]:
    """Look at a step's files once in an attempt, away from the runner's threads, and keep what they are: who resumes the run sends the same ones."""

    def work() -> str:
        return json.dumps([(name, file.model_dump(mode="json")) for name, file in look_at()])

    return context.once(f"{context.run.id}/{context.path}/{context.attempt}/files", work)


def read_back(kept: str) -> list[tuple[str, Attachment]]:
    """Return what :func:`kept_files` kept."""
    return [(name, Attachment.model_validate(file)) for name, file in json.loads(kept)]


def check_chosen(context: StepContext, paths: Sequence[str], where: str) -> None:
    """Raise :class:`InvalidInput` for a file that no person chose: what a model or a document says is no permission to read a file.

    A step may attach the run's own ``file`` inputs, and what lies inside the workspace and is not hidden there.
    """
    check_files_of(context.run, context.pinned.workflow, paths, Path(context.outside.settings().root), where)


def check_files_of(run: Run, workflow: WorkflowDefinition, paths: Sequence[str], folder: Path, where: str) -> None:
    """As :func:`check_chosen`, for the files of a run of ``workflow`` in the workspace at ``folder``."""
    declared = [name for name, parameter in workflow.inputs.items() if parameter.type == "file"]
    own = {Path(str(run.inputs[name])).resolve() for name in declared if run.inputs.get(name) is not None}
    root = folder.resolve()
    for path in paths:
        found = (root / path).resolve()
        if found in own:
            continue
        inside = found.relative_to(root) if found.is_relative_to(root) else None
        if inside is None or inside.is_relative_to(OWN) or any(part.startswith(".") for part in inside.parts):
            following = "Make it an input of the workflow, of type file, or put it into the workspace."
            raise InvalidInput(what=f"the file {path} is no input of the run, and not inside the workspace", where=where, next=following)
