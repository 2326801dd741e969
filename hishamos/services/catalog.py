"""Commands, agents and workflows: the workspace's own before the library's, each resolved when it is loaded."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, TypeVar

from hishamos.contracts.journal import Pinned
from hishamos.engine.checking import agent_problems, command_problems, pinned, workflow_problems
from hishamos.engine.steptype import Problem
from hishamos.errors import InvalidDefinition, UnknownName
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Definition, WorkflowDefinition
from hishamos.services.reading import Source

D = TypeVar("D", bound=Definition)
_NAME = re.compile(r"^name:\s*[\"']?([A-Za-z][\w.-]*)", re.MULTILINE)
KINDS: dict[str, type[Definition]] = {"command": CommandDefinition, "agent": AgentDefinition, "workflow": WorkflowDefinition}


@dataclass
class _Entry:
    """One file: what it defines, or why it can't."""

    name: str
    file: str
    own: bool
    source: Source | None = None
    definition: Definition | None = None
    error: InvalidDefinition | None = None
    resolved: bool = False


@dataclass
class _Shelf(Generic[D]):
    """All definitions of one kind."""

    kind: str
    entries: dict[str, _Entry] = field(default_factory=dict)


class Catalog:
    """The definitions of a workspace. Files that change are read again; a broken one breaks no other."""

    def __init__(self, root: Path) -> None:
        self.root = self._root = root
        self._lock = threading.RLock()
        self._stamp: Any = None
        self._shelves: dict[str, _Shelf[Any]] = {}
        self._shipped: dict[str, list[_Entry]] = {}

    def commands(self) -> list[CommandDefinition]:
        """Return all commands that can run, the workspace's own first, by name."""
        return self._all("command")

    def command(self, name: str) -> CommandDefinition:
        """Return one command; raises ``UnknownName`` or, for a broken one, ``InvalidDefinition``."""
        found: CommandDefinition = self._get("command", name)
        return found

    def agents(self) -> list[AgentDefinition]:
        """Return all agents that can work, the workspace's own first, by name."""
        return self._all("agent")

    def agent(self, name: str) -> AgentDefinition:
        """Return one agent; raises as :meth:`command`."""
        found: AgentDefinition = self._get("agent", name)
        return found

    def workflows(self) -> list[WorkflowDefinition]:
        """Return all workflows that can run, the workspace's own first, by name."""
        return self._all("workflow")

    def workflow(self, name: str) -> WorkflowDefinition:
        """Return one workflow; raises as :meth:`command`."""
        found: WorkflowDefinition = self._get("workflow", name)
        return found

    def pin(self, workflow: WorkflowDefinition) -> Pinned:
        """Return the workflow with all definitions it names, as they are now."""
        return pinned(workflow, self)

    def check(self, text: str, file: str) -> WorkflowDefinition:
        """Parse and resolve a workflow's text; raises ``InvalidDefinition`` with file, line and nearest match."""
        source = Source(text, file)
        workflow: WorkflowDefinition = source.read(WorkflowDefinition, source=file)
        _raise_first(source, workflow_problems(workflow, self))
        return workflow

    def problems(self) -> list[InvalidDefinition]:
        """Return what is wrong with the workspace's definitions, one error a file."""
        found = []
        with self._lock:
            self._refresh()
            for shelf in self._shelves.values():
                for entry in shelf.entries.values():
                    self._resolve(shelf.kind, entry)
                    if entry.error is not None:
                        found.append(entry.error)
        return found

    def _all(self, kind: str) -> list[Any]:
        with self._lock:
            self._refresh()
            entries = sorted(self._shelves[kind].entries.values(), key=lambda entry: (not entry.own, entry.name))
            for entry in entries:
                self._resolve(kind, entry)
            return [entry.definition for entry in entries if entry.error is None]

    def _get(self, kind: str, name: str) -> Any:
        with self._lock:
            self._refresh()
            entries = self._shelves[kind].entries
            if name not in entries:
                raise UnknownName.among(kind, name, list(entries))
            entry = entries[name]
            self._resolve(kind, entry)
            if entry.error is not None:
                raise entry.error
            return entry.definition

    def _resolve(self, kind: str, entry: _Entry) -> None:
        if entry.resolved or entry.error is not None:
            return
        entry.resolved = True  # before the look-ups: a command and its agent may name each other
        assert entry.source is not None
        try:
            _raise_first(entry.source, self._problems_of(kind, entry.definition))
        except InvalidDefinition as error:
            entry.error = error

    def _problems_of(self, kind: str, definition: Any) -> list[Problem]:
        if kind == "command":
            return command_problems(definition, self)
        return agent_problems(definition, self) if kind == "agent" else workflow_problems(definition, self)

    def _refresh(self) -> None:
        """Read the workspace's files again when one of them changed."""
        files = {kind: list(self._own_files(kind)) for kind in KINDS}
        stamp = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for paths in files.values() for path in paths]
        if stamp == self._stamp:
            return
        shelves = {}
        for kind in KINDS:
            shelf: _Shelf[Any] = _Shelf(kind)
            for shipped in self._library(kind):
                shelf.entries[shipped.name] = _Entry(shipped.name, shipped.file, False, shipped.source, shipped.definition, shipped.error)
            for path in files[kind]:
                entry = _read(kind, path.read_text, str(path.relative_to(self._root)), own=True)
                before = shelf.entries.get(entry.name)
                if before is not None and before.own:
                    entry.error = InvalidDefinition(problem=f"the name {entry.name!r} is also used by {before.file}", where=entry.file, next="Rename one.")
                shelf.entries[entry.name] = entry
            shelves[kind] = shelf
        self._shelves, self._stamp = shelves, stamp

    def _own_files(self, kind: str) -> Iterator[Path]:
        folder = self._root / f"{kind}s"
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"} and path.is_file())

    def _library(self, kind: str) -> list[_Entry]:
        if kind not in self._shipped:
            folder: Traversable = resources.files("hishamos.library") / f"{kind}s"
            files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name) if folder.is_dir() else []
            self._shipped[kind] = [_read(kind, file.read_text, f"library/{kind}s/{file.name}", own=False) for file in files]
        return self._shipped[kind]


def _read(kind: str, read: Callable[..., str], file: str, *, own: bool) -> _Entry:
    entry = _Entry(Path(file).stem, file, own)
    try:
        text = read(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        entry.error = InvalidDefinition(problem=f"the file can't be read: {error}", where=file, next="Save it as UTF-8 text.")
        return entry
    found = _NAME.search(text)
    entry.name = found[1] if found else entry.name
    try:
        entry.source = Source(text, file)
        entry.definition = entry.source.read(KINDS[kind], source=file if own else "library")
        entry.name = entry.definition.name
    except InvalidDefinition as error:
        entry.error = error
    return entry


def _raise_first(source: Source, problems: list[Problem]) -> None:
    if problems:
        first = min(problems, key=lambda problem: source.line(problem.place))
        raise source.refused(first.problem, first.place, first.next)
