"""Verbs about the store as a whole: backup, restore, prune."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.verbs import Verb
from hishamos.errors import InvalidInput, StoreBusy, StoreError

if TYPE_CHECKING:
    from hishamos.records.storage import Restoration


@click.command("backup", cls=Verb)
@click.argument("file")
@pass_face
def backup_verb(face: Face, *, file: str) -> None:
    """Write a consistent copy of the store to FILE while it runs; other tools may read it."""
    with face.open() as workspace:
        written = workspace.health.backup(_absolute(file))
    face.show({"file": written, "size_bytes": Path(written).stat().st_size}, lambda: (f"Written: {written}",), then=f"hishamos restore {written}")


@click.command("restore", cls=Verb)
@click.argument("file")
@click.option("--dry-run", is_flag=True, help="Only say what would be lost.")
@click.option("--force", is_flag=True, help="Though runs are being worked on; they are stopped before their next call.")
@click.option("--yes", is_flag=True, help="Without being asked.")
@pass_face
def restore_verb(face: Face, *, file: str, dry_run: bool, force: bool, yes: bool) -> None:
    """Go back to FILE, a copy of the store. All that came after it goes, its spend too; the store before is kept in backups/."""
    copy = _absolute(file)
    try:
        workspace = face.open()
    except StoreBusy:
        raise
    except StoreError as error:
        face.say(f"! The present store can't be opened, so what is lost can't be told: {error}")
        if not dry_run and _agreed(face, yes):
            _show(face, _unread(face, copy))
        return
    with workspace:
        meant = workspace.health.restore(copy, dry_run=True)
        if dry_run:
            _show(face, meant)
            return
        for line in _said(meant):
            face.say(line)
        if not _agreed(face, yes):
            return
        done = workspace.health.restore(copy, force=force)
        workspace.health.ping()  # by the server that has opened it
    _show(face, done)


@click.command("prune", cls=Verb)
@click.option("--older-than", required=True, metavar="AGE", help="Runs that ended so long ago: 90d, 12w.")
@click.option("--conversations", is_flag=True, help="Also conversations in which nothing was said for as long.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Without being asked.")
@pass_face
def prune_verb(face: Face, *, older_than: str, conversations: bool, dry_run: bool, yes: bool) -> None:
    """Let go of runs that ended long ago. Ledger, audit, results and every answer that was paid stay."""
    from hishamos.charts.storage_lines import pruning_lines

    days = _days(older_than)
    with face.open() as workspace:
        meant = workspace.health.prune(older_than_days=days, dry_run=True, conversations=conversations)
        if dry_run or not (meant.runs or meant.conversations):
            face.show(meant, lambda: pruning_lines(meant))
            return
        for line in pruning_lines(meant):
            face.say(line)
        if not _agreed(face, yes, "Prune them?", "pruned"):
            return
        done = workspace.health.prune(older_than_days=days, conversations=conversations)
    face.show(done, lambda: pruning_lines(done))


def _days(text: str) -> float:
    found = re.fullmatch(r"(\d{1,5})([dw])", text.strip())
    if found is None:
        raise InvalidInput(what=f"{text!r} is no age", where="--older-than", next="Write days or weeks: 90d, 12w.")
    return int(found[1]) * (7 if found[2] == "w" else 1)


def _agreed(face: Face, yes: bool, question: str = "Restore it?", done: str = "restored") -> bool:
    """Return whether to go on; raise where nobody can be asked."""
    if yes:
        return True
    if face.json or not sys.stdin.isatty():
        face.complain(f"Nothing was {done}: nobody can be asked here. To go on without being asked: --yes")
        raise FinishedWith(2)
    agreed = click.confirm(question, err=True)
    if not agreed:
        face.say(f"Nothing was {done}.")
    return agreed


def _unread(face: Face, copy: str) -> Restoration:
    from hishamos.composition import restore_unread
    from hishamos.remote.discovery import only_server
    from hishamos.settings import find_root

    root = find_root(face.path)
    with only_server(root):
        return restore_unread(root, Path(copy))


def _show(face: Face, told: Restoration) -> None:
    face.show(told, lambda: _said(told))


def _said(told: Restoration) -> Iterator[str]:
    from hishamos.charts.storage_lines import restoring_lines

    return restoring_lines(told)


def _absolute(file: str) -> str:
    return str(Path(file).expanduser().absolute())
