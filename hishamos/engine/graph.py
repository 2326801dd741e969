"""The steps of a run: which are ready, which have ended, what their templates see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from hishamos.contracts.journal import Claim, StepRow
from hishamos.engine.node import PASSED, Node, by_parent
from hishamos.engine.steps import step_type
from hishamos.engine.steptype import Child, ChildEnd
from hishamos.records.runs import STEP_ENDED, StepState


class Graph:
    """The steps by id, with the children that are at work; finished children are not kept."""

    def __init__(self, claim: Claim) -> None:
        self._inputs = claim.run.inputs
        self._run = {"id": claim.run.id, "name": claim.run.name}
        self._before = by_parent(claim.steps)
        self._nodes: dict[str, Node] = {}
        self._children: dict[str, Node] = {}
        self._left: dict[str, int] = {}
        self._dependents: dict[str, list[str]] = {}
        self._ended: dict[str, dict[str, Any]] = {}
        self.total = self.finished = 0
        tops = {row.path: row for row in self._before.get(None, ())}
        for number, definition in enumerate(claim.pinned.workflow.steps):
            node = Node(definition.id, f"{number:04d}", definition, step_type(definition.type))
            self._nodes[node.path] = node
            self._left[node.path] = len(definition.after)
            for earlier in definition.after:
                self._dependents.setdefault(earlier, []).append(node.path)
            row = tops.get(node.path)
            if row is not None:
                node.restore(row, stays=row.state in PASSED)
            self.total += not node.kind.composite

    @property
    def complete(self) -> bool:
        """Whether every step has ended, and none failed."""
        return all(node.state in PASSED for node in self._nodes.values())

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
        ready = []
        for path in self._dependents.get(node.path, ()):
            self._left[path] -= 1
            if self._left[path] == 0:
                ready.append(self._nodes[path])
        return ready

    def note_end(self, node: Node) -> None:
        """Count a step's end and show its output to later ones."""
        self.finished += not node.kind.composite
        if node.parent is None:
            self._ended[node.path] = {"output": node.output, "state": node.state.value}

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
        return ChildEnd(child.state, child.output, child.error)

    def forget(self, child: Node) -> None:
        """Let go of a child that has ended."""
        self._children.pop(child.path, None)

    def open_nodes(self) -> Iterator[Node]:
        """Return the steps and children that have begun and not ended."""
        for node in [*self._nodes.values(), *self._children.values()]:
            if node.state not in STEP_ENDED and (node.state is not StepState.PENDING or node.attempt > 1):
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
            node.state, node.finished_at, node.person = StepState.CANCELLED, moment, None
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
