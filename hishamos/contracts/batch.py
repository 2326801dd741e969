"""``ws.batch``: a notebook executed once per row of parameters."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - one import style for all contracts
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hishamos.contracts.verbs import verb
from hishamos.records.batches import MOST_ROWS, BatchInfo, BatchRow, RowStatus, RunnableNotebook
from hishamos.records.runs import Run, RunState


class Batch(Protocol):
    """``ws.batch``: a notebook executed once per row of parameters."""

    @verb("runs.write", kind="wait")
    def run(
        self,
        notebook: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        jobs: int = 2,
        output: str | None = None,
        fresh: bool = False,
        reuse: bool = False,
        kernel: str | None = None,
        timeout_s: float | None = None,
        cells: bool = False,
    ) -> Run:
        """Execute a notebook once per row and return the run when all have ended; a row that fails is told by :meth:`rows`, never raised.

        ``rows``: a DataFrame or a list of dicts, at most 10,000; their columns are the notebook's parameters, a missing value leaves one at its
        default. ``jobs``: so many notebooks at once, 1 to 64. ``output``: the folder for the executed notebooks and ``summary.ipynb``; left
        out, ``data/local/batches/RUN`` of the workspace. ``reuse``: keep kernels for the next notebook, names, environment, working folder
        and the workspace's modules reset; quicker, but what an installed library remembers stays. ``kernel``: which kernel, instead of the
        notebook's own. ``timeout_s``: seconds for each notebook; left out, the workspace's ``step_timeout_s``. ``cells``: the values are
        cells of a table, all of them text.

        The same notebook text with the same rows is the same batch: one that has not succeeded goes on with what is missing, a finished one is
        returned as it is; of other rows those are taken over that were executed before. ``fresh=True`` executes, and pays for, all rows
        anew. An interrupt only detaches: the run is returned as it then is, and goes on in the server.

        Raises :class:`InvalidInput` before anything starts: no such notebook, none of its cells tagged ``parameters``, a parameter that it does
        not declare or a value of another type, a value that is a key, no row or too many, a kernel that is not installed, a folder that can't be
        written.
        """
        ...

    @verb("runs.write", kind="change")
    def start(
        self,
        notebook: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        jobs: int = 2,
        output: str | None = None,
        fresh: bool = False,
        reuse: bool = False,
        kernel: str | None = None,
        timeout_s: float | None = None,
        cells: bool = False,
    ) -> Run:
        """Start a batch as :meth:`run` does, and return the run at once."""
        ...

    @verb("runs.read")
    def list(self, *, state: RunState | None = None, limit: int = 100) -> List[BatchInfo]:
        """Return batches, newest first."""
        ...

    @verb("runs.read")
    def notebooks(self) -> List[RunnableNotebook]:
        """Return the workspace's notebooks that have a cell tagged ``parameters``, by path; the first 200."""
        ...

    @verb("runs.read")
    def rows(self, run: str, *, status: RowStatus | None = None, after: int = -1, limit: int = MOST_ROWS) -> List[BatchRow]:
        """Return the batch's rows as they stand, in order. ``status``: only those; ``after``: only those with a higher index."""
        ...

    @verb("runs.read")
    def executed(self, run: str, index: int) -> str:
        """Return the text of the executed notebook of a row, by its index from 0; of one that failed it holds what had run.

        Raises :class:`InvalidInput` where the row has none, or its file is gone.
        """
        ...

    @verb("runs.read")
    def get(self, run: str) -> BatchInfo:
        """Return the batch as a whole: how many rows stand how, where its notebooks and its summary are."""
        ...
