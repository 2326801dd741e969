"""The steps of a run: which are ready, which have ended, what their templates see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from typing import Any

from hishamos.contracts.journal import UNDO, Claim, StepRow
from hishamos.engine.node import LOST, Node, by_parent
from hishamos.engine.steps import step_type
from hishamos.engine.steptype import PASSED, Child, ChildEnd
from hishamos.engine.templates import fill
from hishamos.errors import HishamosError
from hishamos.records.definitions import Goto
from hishamos.records.runs import STEP_ENDED, StepState


class Graph:
    """The steps by id, with the children that are at work; finished children are not kept."""

    def __init__(self, claim: Claim) -> None:
        self._inputs = claim.run.inputs
        self._outputs = claim.pinned.workflow.outputs
        self._run = {"id": claim.run.id, "name": claim.run.name}
        self._before = by_parent(claim.steps)
        self._nodes: dict[str, Node] = {}
        self._children: dict[str, Node] = {}
        self._passed: set[str] = set()
        """The steps whose end has been passed on to those after them."""
        self._dependents: dict[str, list[str]] = {}
        self._ended: dict[str, dict[str, Any]] = {}
        self.total = self.finished = 0
        tops = {row.path: row for row in self._before.get(None, ())}
        for number, definition in enumerate(claim.pinned.workflow.steps):
            node = Node(definition.id, f"{number:04d}", definition, step_type(definition.type))
            self._nodes[node.path] = node
            for earlier in definition.after:
                self._dependents.setdefault(earlier, []).append(node.path)
            self.total += not node.kind.composite
        self._undo_before = {path: row for path, row in tops.items() if path not in self._nodes}
        self._undo: list[Node] = []
        self.undoing = bool(self._undo_before)
        """Whether the run had begun to compensate when this process took it."""
        for node in self._nodes.values():
            node.jumps = claim.jumps.get(node.path, 0)
            node.lenient |= self.skipped_by(node) is not None
            row = tops.get(node.path)
            if row is not None:
                node.restore(row, stays=self.undoing or row.state in PASSED or (node.lenient and row.state in LOST))

    @property
    def complete(self) -> bool:
        """Whether every step has ended, and none failed."""
        return all(node.passed for node in self._nodes.values())

    @property
    def lost(self) -> Node | None:
        """The step whose failure ended the run."""
        found = [node for node in self._nodes.values() if node.ended and not node.passed and node.state in LOST]
        return min(found, key=_end, default=None)

    def undo(self) -> list[Node]:
        """Return the compensations of all steps that have succeeded, the last one first, each standing where the journal says."""
        for node in sorted(self._nodes.values(), key=_end, reverse=True):
            definition = node.definition.compensate
            if definition is None or node.state is not StepState.SUCCEEDED:
                continue
            made = Node(f"{node.path}{UNDO}", f"{node.position}99999999", definition, step_type(definition.type))
            made.undoes = node.path
            row = self._undo_before.get(made.path)
            if row is not None:
                made.restore(row, stays=True)
            self._undo.append(made)
        return self._undo

    def start(self) -> list[Node]:
        """Return the steps to enter first: those whose predecessors have ended and that have not ended themselves."""
        ready = [node for node in self._nodes.values() if not node.definition.after and not node.ended]
        for node in [node for node in self._nodes.values() if node.ended]:
            self._count_before(node)
            self.note_end(node)
            ready += [one for one in self.after(node) if not one.ended]
        return ready

    def after(self, node: Node) -> list[Node]:
        """Return the steps that become ready with a step's end."""
        if node.path in self._passed:
            return []
        self._passed.add(node.path)
        later = [self._nodes[path] for path in self._dependents.get(node.path, ())]
        return [one for one in later if self._passed.issuperset(one.definition.after)]

    def node(self, path: str) -> Node:
        """Return a step."""
        return self._nodes[path]

    def again_from(self, path: str) -> list[Node]:
        """Return a step and all that come after it, to be run again: none of them counts as ended any more."""
        found = [self._nodes[one] for one in (path, *self._below(path))]
        for node in found:
            self._passed.discard(node.path)
            if self._ended.pop(node.path, None) is not None:
                self.finished -= not node.kind.composite
        return found

    def skipped_by(self, node: Node) -> list[Node] | None:
        """Return the steps that a step skips when it fails, in order; None when it does not go forward."""
        goto = node.definition.on_error
        below = self._below(node.path) if isinstance(goto, Goto) else []
        if not isinstance(goto, Goto) or goto.goto not in below:
            return None
        kept = {goto.goto, *self._below(goto.goto)}
        return [self._nodes[path] for path in below if path not in kept]

    def _below(self, path: str) -> list[str]:
        """Return all steps that come after a step, each after those that it waits for."""
        found = {path}
        order = list(TopologicalSorter({node.path: node.definition.after for node in self._nodes.values()}).static_order())
        for one in order:
            if found.intersection(self._nodes[one].definition.after):
                found.add(one)
        return [one for one in order if one in found and one != path]

    def note_end(self, node: Node) -> None:
        """Count a step's end and show its output to later ones."""
        self.finished += not node.kind.composite
        if node.parent is None:
            error = None if node.error is None else {"type": node.error.type, "message": node.error.message}
            self._ended[node.path] = {"output": node.output, "state": node.state.value, "error": error}

    def outputs(self) -> tuple[Any, HishamosError | None]:
        """Return the run's outputs, or why they can't be made."""
        try:
            return fill(self._outputs, self.scope(), "outputs") or None, None
        except HishamosError as error:
            return None, error

    def scope(self, node: Node | None = None) -> dict[str, Any]:
        """Return what templates see: ``inputs``, ``steps``, ``run``, and the names of the maps around a step."""
        names: dict[str, Any] = {}
        while node is not None:
            names = {**node.names, **names}
            node = node.parent
        return {**names, "inputs": self._inputs, "steps": self._ended, "run": self._run}

    # children

    def children_before(self, parent: Node) -> dict[int, StepRow]:
        """Return where a step's children stood when this process took the run, by number."""
        return {row.item if row.item is not None else 0: row for row in self._before.pop(parent.path, ())}

    def count(self, parent: Node, known: int) -> None:
        """Count a step's children as leaves, and those that have ended already; the first ``known`` were counted before."""
        family = parent.family
        assert family is not None
        if family.children.count and not step_type(family.children.make(0).definition.type).composite:
            self.total += family.children.count - known
            self.finished += family.children.count - known - family.left

    def child(self, parent: Node, index: int) -> Node:
        """Make a child of a step, standing where the journal says."""
        family = parent.family
        assert family is not None
        made: Child = family.children.make(index)
        node = Node(
            parent.path + made.suffix,
            f"{parent.position}{index:08d}",
            made.definition,
            step_type(made.definition.type),
            parent=parent,
            item=index,
            names=made.names,
            quiet=family.children.lenient,
        )
        row = family.before.pop(index, None)
        if row is not None:
            node.restore(row, stays=False)
        self._children[node.path] = node
        return node

    @staticmethod
    def number(child: Node) -> int:
        """Return a child's number among its siblings."""
        return child.item or 0

    @staticmethod
    def end_of(child: Node) -> ChildEnd:
        """Return how a child ended."""
        return ChildEnd(child.state, child.output, child.error, tolerated=child.lenient and child.state in LOST)

    def forget(self, child: Node) -> None:
        """Let go of a child that has ended."""
        self._children.pop(child.path, None)

    def open_nodes(self) -> Iterator[Node]:
        """Return the steps and children that have begun and not ended."""
        for node in [*self._nodes.values(), *self._children.values(), *self._undo]:
            if node.state not in STEP_ENDED and (node.state is not StepState.PENDING or node.begun):
                yield node

    def open_below(self, parent: Node) -> list[Node]:
        """Return the open children of a step, and theirs."""
        found = []
        for node in list(self._children.values()):
            above = node.parent
            while above is not None and above is not parent:
                above = above.parent
            if above is parent and not node.ended:
                found.append(node)
                self.forget(node)
        return found

    def cancel_open(self, record: Callable[[Node], None], moment: datetime) -> None:
        """End what has begun and not ended as cancelled."""
        for node in self.open_nodes():
            node.state, node.finished_at, node.person, node.due = StepState.CANCELLED, moment, None, None
            record(node)

    def _count_before(self, node: Node) -> None:
        """Count the children of a step that had ended before this process took the run."""
        rows = self._before.pop(node.path, ())
        leaves = [row for row in rows if not step_type(row.type).composite]
        self.total += len(leaves)
        self.finished += len(leaves)
        for row in rows:
            if step_type(row.type).composite:
                self.total += len(self._before.get(row.path, ()))
                self.finished += len(self._before.pop(row.path, ()))


def _end(node: Node) -> tuple[datetime, str]:
    return node.finished_at or datetime.min.replace(tzinfo=UTC), node.position
