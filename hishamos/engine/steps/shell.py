"""``shell``: one program of the allow-list, never a shell's line; output ``{code, stdout, stderr}``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hishamos.contracts.programs import PreparedProgram, ProgramEnd
from hishamos.engine.places import inside
from hishamos.engine.steptype import Done, Interrupted, Library, Problem, Result, StepContext, StepInputs, StepType, Waiting
from hishamos.errors import HishamosError, InvalidInput, StepFailed
from hishamos.security import redact

MEGABYTE = 2**20
SHOWN = 500


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


class ShellInputs(StepInputs):
    """The program and what it gets."""

    program: str
    """As it stands in ``[allow] programs`` of hishamos.toml."""
    args: list[Annotated[str, BeforeValidator(_text)]] = Field([], max_length=1000)
    """Its arguments, each one as it is: nothing is split, expanded or quoted."""
    folder: str = "."
    """Where it works: a folder of the workspace."""
    input: str | None = None
    """What it reads; left out, nothing."""
    ok_codes: list[int] = [0]
    """Exit codes that are no failure."""
    limit: int = Field(1_000_000, ge=1, le=50_000_000)
    """Most bytes of its output, and of its errors."""
    memory_mb: int = Field(1024, ge=16, le=1_000_000)
    """Most megabytes (1,048,576 bytes) of address space for each of its processes."""


class ShellStep(StepType[ShellInputs]):
    """Runs the program in a process group of its own, which ends with the step: at its time limit, at cancel, with the server."""

    name = "shell"
    inputs = ShellInputs
    literal = frozenset({"program"})

    def run(self, context: StepContext, inputs: ShellInputs) -> Result:
        """See the plug."""
        program: PreparedProgram | None = context.memory.get("program")
        if program is None:
            program = context.memory["program"] = _prepared(context, inputs)
            context.at_end(program.stop)
        answer = context.background(program.run)
        return Done(_output(context, inputs, answer.value)) if answer.ready else Waiting([answer])

    def check(self, raw: Mapping[str, Any], library: Library) -> list[Problem]:
        """See the plug: the folder is one of the workspace."""
        folder = raw.get("folder", ".")
        if not isinstance(folder, str) or "{{" in folder or "{%" in folder:
            return []
        try:
            _folder(library.root, folder)
        except HishamosError as error:
            return [Problem(("folder",), str(error))]
        return []


def _prepared(context: StepContext, inputs: ShellInputs) -> PreparedProgram:
    outside = context.outside
    if inputs.program not in outside.allow.programs:
        raise outside.refusal("programs", f"the program {inputs.program}", inputs.program)
    if any("\0" in text for text in inputs.args):
        raise InvalidInput(what="an argument holds a NUL character", where=context.path, next="No program can be given one.")
    folder = _folder(Path(outside.settings().root), inputs.folder)
    memory = inputs.memory_mb * MEGABYTE
    return outside.program(inputs.program, inputs.args, folder=folder, stdin=inputs.input, limit=inputs.limit, memory=memory)


def _folder(root: Path, name: str) -> Path:
    found = inside(root, name, "a shell step's folder")
    if not found.is_dir():
        raise InvalidInput(what=f"there is no folder {name!r}", where=str(root), next="Make it, or name another one.")
    return found


def _output(context: StepContext, inputs: ShellInputs, end: ProgramEnd) -> dict[str, Any]:
    if end.stopped:
        raise Interrupted
    if end.problem is not None:
        raise StepFailed(step=context.path, reason=f"{inputs.program}: {end.problem}")
    stdout, stderr = redact(end.stdout), redact(end.stderr)
    if end.code not in inputs.ok_codes:
        said = " ".join((stderr.strip() or stdout.strip())[-SHOWN:].split())
        raise StepFailed(step=context.path, reason=f"{inputs.program} ended with code {end.code}" + (f": {said}" if said else ""))
    return {"code": end.code, "stdout": stdout, "stderr": stderr}
