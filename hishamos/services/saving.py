"""Definitions written into the workspace: checked before, whole or not at all, never over a version that the writer has not seen."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hishamos.engine.places import inside
from hishamos.engine.steps import step_type
from hishamos.errors import InvalidInput, NotAllowed, StaleWrite, StoreError
from hishamos.records.actors import allowed
from hishamos.records.checks import DefinitionKind
from hishamos.records.definitions import Definition, WorkflowDefinition
from hishamos.services.reading import written
from hishamos.services.service import Service
from hishamos.store import audit

if TYPE_CHECKING:
    from hishamos.store.connectors import Transaction

D = TypeVar("D", bound=Definition)
CODE = frozenset({"cell", "python", "shell", "http", "notebook"})
"""Step types that reach what lies outside of the workspace's own nouns."""


def save(service: Service, kind: DefinitionKind, given: str | D, version: str | None) -> D:
    """Write a definition into the workspace and return it.

    Raises :class:`InvalidDefinition` for one that can't be used, :class:`StaleWrite` when the workspace has another version of that name than
    ``version``, and :class:`NotAllowed` for code without the permission ``code``. A definition that stands there already is returned as it is; a text of it
    with other comments is written where ``version`` names it.
    """
    catalog = service.machinery.catalog
    definition: D = catalog.accepted(kind, given, f"{kind}s/<text>")[0]
    if isinstance(definition, WorkflowDefinition):
        may_code(service, definition)
    with catalog.writing:
        return _save(service, kind, definition, given if isinstance(given, str) else None, version)


def _text(service: Service, kind: DefinitionKind, definition: Definition) -> str:
    text = written(definition)
    if service.machinery.catalog.accepted(kind, text)[0].version != definition.version:
        raise InvalidInput(what="it holds what YAML can't hold", where=f"save of {kind} {definition.name}", next="Use texts, numbers, lists and mappings.")
    return text


def _save(service: Service, kind: DefinitionKind, definition: D, given: str | None, version: str | None) -> D:
    """Save what was read of a text, or an object, of which there is none."""
    catalog = service.machinery.catalog
    before = catalog.own(kind, definition.name)
    if before is None:
        file = f"{kind}s/{definition.name}.yaml"
        other = catalog.definer(kind, file)
        if other is not None:
            raise InvalidInput(what=f"{file} defines {other!r}", where=f"save of {kind} {definition.name}", next="Rename that file, or this definition.")
    else:
        file = before[0]
        if before[1] == definition.version and (given is None or version != before[1] or given == catalog.text(kind, definition.name).text):
            return definition.model_copy(update={"source": file})
    current = None if before is None else before[1]
    if version != current:
        raise StaleWrite(kind=kind, name=definition.name, yours=version or "none", current=current or "none")
    path = inside(service.root, file, f"save of {kind} {definition.name}")
    put_text(path, _text(service, kind, definition) if given is None else given)
    who, identity = service.actor.name, service.change_id()

    def note(transaction: Transaction) -> None:
        audit.note(
            transaction,
            identity,
            actor=who,
            action=f"{kind}s.save",
            subject=definition.name,
            value_before=current,
            value_after=definition.version,
        )

    service.machinery.store.transaction(note)
    return definition.model_copy(update={"source": file})


def may_code(service: Service, workflow: WorkflowDefinition) -> None:
    """Raise :class:`NotAllowed` for a workflow with code in it when the actor may bring none."""
    if code_in(workflow) and not allowed(service.actor, "code"):
        raise NotAllowed(actor=service.actor.name, permission="code")


def code_in(workflow: WorkflowDefinition) -> set[str]:
    """Return the types of a correct workflow's steps that are code, those inside others included."""
    found: set[str] = set()
    steps = list(workflow.steps)
    while steps:
        step = steps.pop()
        found |= {step.type} & CODE
        steps += [inner for _, inner, _ in step_type(step.type).references(step.with_).steps]
        steps += [] if step.compensate is None else [step.compensate]
    return found


def put_text(path: Path, text: str) -> None:
    """Put a text in a file's place, all of it or nothing."""
    made: Any = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(made, path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(made, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            if made is not None:
                Path(made).unlink()
        raise StoreError(problem=error.strerror or str(error), where=str(path), next="Make the folder writable, then save again.") from error
