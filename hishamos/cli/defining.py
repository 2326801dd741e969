"""Verbs for definitions as files: check them, begin one, describe them for editors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.verbs import Verb
from hishamos.errors import InvalidInput, sentences

if TYPE_CHECKING:
    from hishamos.records.checks import CheckedDefinition, DefinitionKind, DefinitionText

STDIN = "-"
FOLDERS = ("workflows", "commands", "agents")


def kind_argument(command: Any) -> Any:
    """Give a verb the kind of definition as its first argument."""
    from hishamos.records.checks import KINDS

    return click.argument("kind", type=click.Choice(KINDS))(command)


@click.command("check", cls=Verb)
@click.argument("paths", nargs=-1, metavar="[FILE|FOLDER|-]...")
@click.option("--kind", type=click.Choice(("workflow", "command", "agent")), help="What the files define; left out, told by folder or content.")
@pass_face
def check_verb(face: Face, *, paths: tuple[str, ...], kind: DefinitionKind | None) -> None:
    """Check workflows, commands and agents, and list every mistake with file and line. Left out, all of the workspace's own.

    Files that are checked together may name one another. Exit code 1 when anything is wrong.
    """
    with face.open() as workspace:
        texts = [one for path in paths or _own(Path(workspace.root)) for one in _texts(path, kind)]
        found = workspace.definitions.check(texts) if texts else []
    if face.json:
        face.emit(found)
    else:
        _tell(face, found)
    raise FinishedWith(1 if any(one.mistakes for one in found) else 0)


@click.command("new", cls=Verb)
@kind_argument
@click.argument("name")
@pass_face
def new_verb(face: Face, *, kind: DefinitionKind, name: str) -> None:
    """Write a starter with comments: hishamos new workflow|command|agent NAME."""
    with face.open() as workspace:
        file = Path(workspace.root) / workspace.definitions.new(kind, name)
        face.show({"kind": kind, "name": name, "file": str(file)}, lambda: (f"Made {file}",), then=f"Edit it, then: hishamos check {_short(file)}")


@click.command("schema", cls=Verb)
@kind_argument
@pass_face
def schema_verb(face: Face, *, kind: DefinitionKind) -> None:
    """Print the JSON Schema of workflow, command or agent files, for editors.

    As the first line of a file: # yaml-language-server: $schema=workflow.schema.json
    """
    with face.open() as workspace:
        schema = workspace.definitions.schema(kind)
    face.show(schema, lambda: (json.dumps(schema, indent=2, ensure_ascii=False),))


def _own(root: Path) -> list[str]:
    return [str(root / folder) for folder in FOLDERS if (root / folder).is_dir()]


def _texts(path: str, kind: DefinitionKind | None) -> Iterator[DefinitionText]:
    from hishamos.records.checks import DefinitionText

    if path == STDIN:
        yield DefinitionText(text=sys.stdin.read(), file="<stdin>", kind=kind)
        return
    for file in _files(Path(path).expanduser()):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(what=f"the file can't be read: {error}", where=str(file), next="Check its permissions; save it as UTF-8.") from error
        yield DefinitionText(text=text, file=_short(file), kind=kind)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    inside = [path / folder for folder in FOLDERS if (path / folder).is_dir()]
    return sorted(file for folder in inside or [path] for file in folder.iterdir() if file.suffix in {".yaml", ".yml"} and not file.name.startswith("."))


def _short(path: Path) -> str:
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _tell(face: Face, found: list[CheckedDefinition]) -> None:
    lines = []
    for one in found:
        lines += [f"✕ {mistake.where}\n  {sentences(f'{mistake.problem}. {mistake.next}')}" for mistake in one.mistakes]
    wrong, mistakes = sum(1 for one in found if one.mistakes), sum(len(one.mistakes) for one in found)
    if not found:
        lines.append("Nothing to check: there are no definitions here. Begin one: hishamos new workflow NAME")
    elif wrong:
        lines.append(f"{mistakes} {'mistake' if mistakes == 1 else 'mistakes'} in {wrong} of {len(found)} {'file' if len(found) == 1 else 'files'}")
    else:
        lines.append(f"✓ {len(found)} {'definition' if len(found) == 1 else 'definitions'} can be used: {', '.join(str(one.name) for one in found)}")
    face.show(found, lambda: lines)
