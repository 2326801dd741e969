"""The contract of runs: what runs, ran, or waits."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

from hishamos.contracts.verbs import verb
from hishamos.records.callbacks import Offer
from hishamos.records.calls import Attempt
from hishamos.records.forecasts import Forecast
from hishamos.records.pictures import Ground, Picture, PictureFormat
from hishamos.records.run_comparisons import RunComparison
from hishamos.records.runs import Approval, Run, RunEvent, RunGroup, RunKind, RunState, Step, StepState

Decision = Literal["approve", "reject"]


class Runs(Protocol):
    """``ws.runs``: what runs, ran, or waits. A run may be named by any unambiguous beginning of its id, four characters or more."""

    @verb("runs.read")
    def list(
        self,
        *,
        state: RunState | None = None,
        kind: RunKind | None = None,
        name: str | None = None,
        project: str | None = None,
        user: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> List[Run]:
        """Return runs, newest first. ``project`` and ``user``: empty for those that have none; ``since``: started at this moment or later."""
        ...

    @verb("runs.read")
    def counts(
        self,
        by: RunGroup,
        *,
        state: RunState | None = None,
        kind: RunKind | None = None,
        name: str | None = None,
        project: str | None = None,
        user: str | None = None,
        since: datetime | None = None,
    ) -> dict[str, int]:
        """Return how many of the runs that :meth:`list` would find have which value, the most frequent first, at most a thousand values."""
        ...

    @verb("runs.read")
    def get(self, run: str) -> Run:
        """Return one run with its spend so far, and, until it has ended, how far it is and what of its time and money is left."""
        ...

    @verb("runs.read")
    def steps(self, run: str, *, under: str | None = None, state: StepState | None = None, after: str | None = None, limit: int = 1000) -> List[Step]:
        """Return the latest attempt of each step in the order of the graph; ``under``: the items of one map only."""
        ...

    @verb("runs.read")
    def forecast(self, run: str) -> Forecast | None:
        """Return what the run was forecast to cost when it was started; None where no step asks a model, or the forecast was lost in a crash."""
        ...

    @verb("runs.read")
    def picture(self, run: str, *, format: PictureFormat = "svg", ground: Ground = "light", narrow: bool = False) -> Picture:
        """Draw the graph of the definition that the run was started with, and how each step stands; see :meth:`Workflows.picture`."""
        ...

    @verb("runs.read")
    def pictures(self, run: str, *, ground: Ground = "light") -> List[Picture]:
        """Draw the graph as SVG twice from one look at the run: as it is, and narrow; see :meth:`picture`."""
        ...

    @verb("runs.read")
    def step_counts(self, run: str) -> dict[str, int]:
        """Return how many of the run's steps stand in which state, those inside of maps and loops too."""
        ...

    @verb("runs.read")
    def calls(self, run: str, *, step: str | None = None, limit: int = 1000) -> List[Attempt]:
        """Return the run's attempts at providers, oldest first; ``step``: only those of the step at this path."""
        ...

    @verb("runs.read")
    def cost(self, run: str) -> int:
        """Return the run's committed spend in nano-dollars; the same as the sum over ``calls``."""
        ...

    @verb("runs.read")
    def events(self, run: str, *, after: int = 0, limit: int = 1000) -> List[RunEvent]:
        """Return the run's events numbered above ``after``."""
        ...

    @verb("runs.read", kind="stream")
    def follow(self, run: str, *, after: int = 0, live: bool = False) -> Iterator[RunEvent]:
        """Stream the run's events from the first above ``after`` until it ends or waits for a person.

        ``live``: with events of kind ``live`` between them, the work of its agents as it goes on in this server. They are not kept.
        """
        ...

    @verb("runs.read", kind="wait")
    def wait(self, run: str, *, timeout_s: float | None = None) -> Run:
        """Wait until the run ends, waits for a person or is paused, or ``timeout_s`` seconds passed; return it as it then is."""
        ...

    @verb("runs.write", kind="change")
    def pause(self, run: str) -> Run:
        """Ask the run to stop before its next step or call."""
        ...

    @verb("runs.write", kind="change")
    def resume(self, run: str, *, from_step: str | None = None, accept_changes: bool = False, functions: Offer | None = None) -> Run:
        """Go on with a paused, failed or cancelled run, or one whose server died; finished steps are not repeated.

        ``from_step``: do this step and what comes after it again in this run, though they have ended; what they ask is paid again. Raises
        ``InvalidInput`` where that would do a map, loop, switch or child run again: for these there is :meth:`fork`. A run that calls
        functions of a notebook goes on only where functions of the same names and source are registered, with ``accept_changes`` also where
        their source has changed; raises ``NeedsKernel`` elsewhere. ``functions``: the client fills it in.
        """
        ...

    @verb("runs.write", kind="change")
    def cancel(self, run: str) -> Run:
        """Cancel the run; calls under way are cancelled too."""
        ...

    @verb("runs.write", kind="change")
    def fork(self, run: str, from_step: str, changes: Mapping[str, Any] | None = None, *, functions: Offer | None = None) -> Run:
        """Start a new run that goes on from a step with what the old run's earlier steps gave; these are neither done nor paid again.

        ``changes``: any of ``inputs`` (values by name, the others stay), ``model`` (a model, route or policy), ``budget_usd`` (each run's own), and
        ``definition``: ``"current"`` takes the workflow as it is now instead of as the old run kept it. Without changes the step and what
        comes after it is simply done again. Raises ``InvalidInput`` with the reasons when what stands before the step does not fit.
        """
        ...

    @verb("runs.write", kind="change")
    def repeat(self, run: str, *, accept_changes: bool = False, functions: Offer | None = None) -> RunComparison:
        """Do again what a run did, in a new run, and return at once how the two compare so far; ``.wait()`` gives the whole.

        Definitions as the run kept them, inputs, model, project and limits are the same, and everything is asked and paid anew, the rows of a map
        too. Files have to be what they were, by their hash: a changed one is named and nothing is started, unless ``accept_changes``; one that is
        gone can't be accepted. Raises :class:`InputsChanged`, what a start raises for a model that can't be asked any more, and
        :class:`WrongState` for a run that has not ended. Changed prices are told, and hinder nothing. ``functions``: the client fills it in.
        """
        ...

    @verb("runs.read")
    def compare(self, run: str, other: str | None = None) -> RunComparison:
        """Return how a run compares with an earlier one as both stand: inputs, definitions, prices, models, steps, outputs, money and time.

        ``other``: the earlier one; left out, the one that ``run`` repeats.
        """
        ...

    @verb("runs.approve", kind="change")
    def approve(self, run: str, step: str, *, decision: Decision = "approve", comment: str = "") -> Run:
        """Decide on a step that waits for approval."""
        ...

    @verb("runs.write", kind="change")
    def signal(self, run: str, name: str, data: Any = None) -> Run:
        """Set an event on a run that has not ended, with plain data (64 KiB as JSON at most); a step of type ``wait`` goes on with it.

        An event stays set: a step that comes to wait for it later goes on at once, with the data that were set last.
        """
        ...

    @verb("runs.read")
    def approvals(self) -> List[Approval]:
        """Return the steps that wait for a person, oldest first."""
        ...
