"""A run in a cell: live with buttons while somebody looks, and in its place the static card once it has ended or the cell looked away."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hishamos.errors import HishamosError
from hishamos.notebook import markup
from hishamos.notebook.cards import plain
from hishamos.notebook.front_end import kernel, somebody_looks
from hishamos.notebook.live_controls import LiveControls, run_acts, widget_view
from hishamos.notebook.run_cards import RunFacts, run_card, sections
from hishamos.notebook.run_facts import read_facts, static_card
from hishamos.notebook.terminal_run import QUICK_S, REFRESH_S, SETTLED, watch_in_terminal
from hishamos.records.runs import Run, RunKind
from hishamos.workspace import Workspace

WIDGETS_S = 3.0
"""A front end that has not drawn the widgets by then can't: it gets plain HTML."""
IDLE_S = 600.0
"""A run that waits for a person is looked after for so long after the last change; its buttons work all the same."""
SAID = 600
"""Characters of what a model says that a live view shows, the last ones."""
LOOKED_AWAY = "The cell was interrupted and only looked away: the run goes on in the workspace's server."


def watch(workspace: Workspace, identity: str, timeout_s: float | None) -> Run:
    """Wait for a run and show it; returns it when it has ended, waits for somebody, is paused, or ``timeout_s`` seconds passed."""
    if kernel() is None:
        return watch_in_terminal(workspace, identity, timeout_s)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    run = workspace.runs.wait(identity, timeout_s=QUICK_S if timeout_s is None else min(QUICK_S, timeout_s))
    view = LiveRun(workspace, run.id)
    try:
        view.show(run, looked_at=somebody_looks())
        view.follow(deadline)
    except KeyboardInterrupt as interrupt:
        view.freeze(LOOKED_AWAY)
        # By this IPython lets an exception describe itself: where in this package it came is of no use to anybody.
        interrupt._render_traceback_ = lambda: [f"KeyboardInterrupt: {LOOKED_AWAY}"]  # type: ignore[attr-defined]
        raise
    except BaseException:
        view.freeze()
        raise
    return workspace.runs.get(run.id)


Put = Callable[[str, str, Any], None]
"""Shows a card in the place of the one before: as HTML, as text, and, while it is live, as a widget or None."""


class Cell:
    """The output of a cell: what is put there takes the place of what was."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, shown: str, text: str, box: Any) -> None:
        """See :data:`Put`."""
        from IPython.display import display

        bundle = {"text/html": shown, "text/plain": text, **({} if box is None else widget_view(box))}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


class LiveRun:
    """One run's view in one cell; its drawings may be asked for by the cell's thread, by a click's, and by its own."""

    def __init__(self, workspace: Workspace, run: str, put: Put | None = None) -> None:
        self._workspace, self._run = workspace, run
        self._put_there = put or Cell()
        self._lock = threading.RLock()
        self._controls: LiveControls | None = None
        self._frozen = False
        self._shown = 0.0
        self._changed = 0.0
        self._said = ""
        self._remark = ""
        self._facts: RunFacts | None = None
        self._looker: threading.Thread | None = None

    def show(self, run: Run, *, looked_at: bool) -> None:
        """Show the run for the first time: live unless there is nothing more to come, and to do. ``looked_at``: somebody may click."""
        if run.ended:
            self._put_there(static_card(self._workspace, run), plain(run), None)
            self._frozen = True
            return
        if run.state in SETTLED and not looked_at:
            return  # :meth:`follow` shows it: somebody may have let it go on meanwhile
        _Staying.leave(run.id)
        self._shown = self._changed = time.monotonic()
        facts = self._read()
        if looked_at:
            self._controls = LiveControls(self._after)
            self._draw(facts)
        self._put()
        if run.kind is RunKind.WORKFLOW:
            threading.Thread(target=self._listen, name="hishamos-live", daemon=True).start()

    def follow(self, deadline: float | None = None) -> None:
        """Draw the run until it ends, waits, is paused, or the deadline comes; then freeze, or live on where somebody has to do something."""
        run = self._workspace.runs.get(self._run)
        while run.state not in SETTLED and (deadline is None or time.monotonic() < deadline):
            left = REFRESH_S if deadline is None else max(0.0, min(REFRESH_S, deadline - time.monotonic()))
            run = self._workspace.runs.wait(self._run, timeout_s=left)
            self.draw()
        if run.ended or run.state not in SETTLED:
            self.freeze()
        else:
            self.stay()

    def draw(self) -> Run:
        """Read the run anew and show what changed."""
        with self._lock:
            facts = self._read()
            if not self._frozen:
                self._draw(facts)
            return facts.run

    def freeze(self, remark: str = "") -> None:
        """Put the static card in the view's place."""
        with self._lock:
            if self._frozen:
                return
            self._frozen = True
            with contextlib.suppress(HishamosError):  # a server that is gone leaves what was last known
                self._facts = read_facts(self._workspace, self._run)
            self._put(remark)
            if self._controls is not None:
                self._controls.close()

    def stay(self) -> None:
        """Let the view live on after its cell, until the run ends: somebody has to approve or resume it."""
        with self._lock:
            if self._frozen or self._looker is not None:
                return
            if self._controls is None:
                self.freeze()
                return
            self._put()  # what stands beside the widgets, for whoever reads the saved notebook
            _Staying.add(self._run, self)
            self._changed = time.monotonic()
            self._looker = threading.Thread(target=self._look_after, name="hishamos-live", daemon=True)
            self._looker.start()

    def _look_after(self) -> None:
        try:
            while not self._frozen and time.monotonic() - self._changed < IDLE_S:
                time.sleep(REFRESH_S)
                if self.draw().ended or self._controls is None:
                    self.freeze()
        except (HishamosError, OSError):  # the server is gone: what is known stays
            self.freeze()
        finally:
            self._looker = None

    def _after(self, problem: str) -> None:
        """A click was done: show what came of it."""
        self._remark = problem
        run = self.draw()
        if self._frozen or threading.current_thread() is self._looker:
            return
        if run.ended and _Staying.has(self._run, self):
            self.freeze()
        elif _Staying.has(self._run, self) and self._looker is None:
            self.stay()

    def _read(self) -> RunFacts:
        before = self._facts
        facts = self._facts = read_facts(self._workspace, self._run, live=True, before=before)
        if before is None or before.run != facts.run:
            self._changed = time.monotonic()
        return facts

    def _draw(self, facts: RunFacts) -> None:
        facts = replace(facts, remark=self._remark)
        if self._controls is not None:
            self._controls.draw(sections(facts, live=True, said=self._saying(facts.run)), run_acts(self._workspace.runs, facts))
            if self._controls.drawn or time.monotonic() - self._shown < WIDGETS_S:
                return
            self._controls.close()
            self._controls = None
        self._put()

    def _put(self, remark: str = "") -> None:
        if self._facts is None:
            return
        facts = replace(self._facts, remark=remark or self._remark)
        live = None if self._frozen or self._controls is None else self._controls.box
        self._put_there(run_card(facts), plain(facts.run), live)

    def _saying(self, run: Run) -> str:
        if not self._said or run.ended:
            return ""
        style = "white-space:pre-wrap;overflow-wrap:anywhere;margin:4px 0 0;font-size:12.5px;line-height:1.5;height:75px;overflow:hidden;opacity:.85"
        return f'<pre dir="auto" style="{style}">{markup.text(self._said[-SAID:])}</pre>'

    def _listen(self) -> None:
        """Note what the run's agents say while they say it; ends with the run, and when nobody looks any more."""
        after = 0
        with contextlib.suppress(HishamosError, OSError):
            while not self._frozen and time.monotonic() - self._changed < IDLE_S:
                for event in self._workspace.runs.follow(self._run, after=after, live=True):  # ends where the run waits for somebody
                    if self._frozen:
                        return
                    after = event.seq
                    if event.kind == "live":
                        self._hear(event.data)
                time.sleep(REFRESH_S)

    def _hear(self, told: dict[str, Any]) -> None:
        match told.get("kind"):
            case "text":
                self._said += str(told.get("text", ""))
            case "restart" | "answer":
                self._said = ""


class _Staying:
    """The views that live on after their cells, by run: one of each at most."""

    views: dict[str, LiveRun] = {}

    @classmethod
    def add(cls, run: str, view: LiveRun) -> None:
        """Note a view; the first time, have all frozen when the kernel ends."""
        if not cls.views:
            import atexit

            atexit.unregister(cls.leave_all)
            atexit.register(cls.leave_all)
        cls.views[run] = view

    @classmethod
    def has(cls, run: str, view: LiveRun) -> bool:
        """Return whether a view lives on."""
        return cls.views.get(run) is view

    @classmethod
    def leave(cls, run: str) -> None:
        """Freeze a run's earlier view: it is shown anew."""
        view = cls.views.pop(run, None)
        if view is not None:
            view.freeze()

    @classmethod
    def leave_all(cls) -> None:
        """Freeze all views."""
        for run in list(cls.views):
            cls.leave(run)
