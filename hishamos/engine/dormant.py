"""Steps that wait for a time, an event or another run: when nothing else is at work the run is let go until then."""

from __future__ import annotations

from collections.abc import Iterator

from hishamos.engine.node import Node
from hishamos.engine.steptype import Waiting


class Dormant:
    """Used by the run's worker only."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._with_child: set[str] = set()
        """Those whose own run is at work."""

    def __bool__(self) -> bool:
        return bool(self._nodes)

    def __contains__(self, node: Node) -> bool:
        return self._nodes.get(node.path) is node

    def __iter__(self) -> Iterator[Node]:
        return iter(list(self._nodes.values()))

    @property
    def at_work(self) -> bool:
        """Whether the run of one of them is at work: then this run is too."""
        return bool(self._with_child)

    def add(self, node: Node, waiting: Waiting) -> None:
        """Have a step wait."""
        self._nodes[node.path] = node
        (self._with_child.add if waiting.at_work else self._with_child.discard)(node.path)

    def drop(self, node: Node) -> None:
        """Have a step wait no longer."""
        self._nodes.pop(node.path, None)
        self._with_child.discard(node.path)

    def clear(self) -> None:
        """Have none wait any longer."""
        self._nodes.clear()
        self._with_child.clear()
