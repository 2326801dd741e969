"""A run's card as widgets, with buttons in its head line; only what changed is sent to the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hishamos.errors import HishamosError
from hishamos.notebook import markup
from hishamos.notebook.front_end import heard_at_once
from hishamos.notebook.run_cards import RunFacts
from hishamos.records.runs import RUN_ENDED, RunState

PRIMARY = "#0F766E"
STYLE = f"""<style>
.hishamos-live {{ {markup.TYPE}; border-radius: {markup.FRAME["border-radius"]}; overflow: hidden }}
.hishamos-live .widget-html, .hishamos-live .jupyter-widgets {{ margin: 0 }}
.hishamos-live .widget-html > .widget-html-content {{ line-height: 1.5; font-size: 14px; overflow: visible }}
.hishamos-live .widget-html {{ width: 100%; min-height: 0 }}
.jp-OutputArea-output .hishamos-live {{ margin-right: 20px !important }}
.hishamos-live .hishamos-acts {{ overflow: hidden; flex-shrink: 0 }}
.hishamos-live .jupyter-button {{ border-radius: 6px; height: 28px; line-height: 26px; margin: 0 0 0 8px; padding: 0 12px; width: auto;
  border: 1px solid rgba(128,128,128,.45) }}
.hishamos-live .jupyter-button:not(.hishamos-primary) {{ background: transparent; color: inherit }}
.hishamos-live .jupyter-button.hishamos-primary {{ background: {PRIMARY}; border-color: {PRIMARY}; color: #fff }}
.hishamos-live .hishamos-form-acts .jupyter-button {{ margin-left: 0 }}
.hishamos-out {{ margin: 0 }}
.hishamos-out > .widget-html {{ margin: 0; width: 100% }}
.hishamos-out > .widget-html > .widget-html-content {{ line-height: 1.5; font-size: 14px; overflow: visible }}
.jp-OutputArea-output .hishamos-out {{ margin-right: 20px }}
.jp-OutputArea-output .hishamos-out .hishamos-live {{ margin-right: 0 !important }}
.hishamos-live .jupyter-button:hover {{ box-shadow: none; filter: brightness(1.12) }}
.hishamos-live .jupyter-button:focus-visible {{ outline: 2px solid {PRIMARY}; outline-offset: 1px }}
</style>"""
"""The page's own look would set other distances; a live view may bring a style, for nothing of it is kept."""


def widget_view(box: Any) -> dict[str, Any]:
    """Return the part of a display that a front end with widgets draws."""
    return {"application/vnd.jupyter.widget-view+json": {"version_major": 2, "version_minor": 0, "model_id": box.model_id}}


@dataclass(frozen=True)
class Act:
    """What a button does: its word, the verb, whether it is what is most likely wanted now."""

    word: str
    tip: str
    do: Callable[[], Any]
    primary: bool = False


def run_acts(runs: Any, facts: RunFacts) -> list[Act]:
    """Return what may be done with a run now. ``runs``: ``ws.runs``."""
    run = facts.run
    acts: list[Act] = []
    for one in facts.approvals:
        name = "" if len(facts.approvals) == 1 else f" {one.path}"
        acts.append(Act(f"Approve{name}", one.message, lambda one=one: runs.approve(run.id, one.path), primary=True))  # type: ignore[misc]
        acts.append(Act(f"Reject{name}", one.message, lambda one=one: runs.approve(run.id, one.path, decision="reject")))  # type: ignore[misc]
    if run.state in {RunState.RUNNING, RunState.QUEUED}:
        acts.append(Act("Pause run", "Stop before the next step or call; what is under way is finished", lambda: runs.pause(run.id)))
    if run.state is RunState.PAUSED:
        acts.append(Act("Resume run", "Go on; finished steps are not repeated", lambda: runs.resume(run.id), primary=True))
    if run.state not in RUN_ENDED:
        acts.append(Act("Cancel run", "End it; calls under way are cancelled too", lambda: runs.cancel(run.id)))
    return acts


class LiveControls:
    """The widgets of one card. ``after``: called once a click was done, with what went wrong or an empty text."""

    def __init__(self, after: Callable[[str], None]) -> None:
        import ipywidgets as widgets

        self._after = after
        self._parts: dict[str, Any] = {}
        self._buttons: tuple[tuple[str, ...], list[Any]] = ((), [])
        self._head, self._acts = widgets.HTML(layout=widgets.Layout(flex="1 1 auto", width="auto")), widgets.HBox()
        self._acts.add_class("hishamos-acts")
        top = widgets.HBox([self._head, self._acts], layout=widgets.Layout(align_items="center", min_height=f"{markup.HEAD_PX}px", overflow="hidden"))
        frame = {name.replace("-", "_"): value for name, value in markup.FRAME.items() if name != "border-radius"}
        self.box = widgets.VBox([widgets.HTML(STYLE, layout=widgets.Layout(height="0")), top], layout=widgets.Layout(**frame))
        self.box.add_class("hishamos-live")
        self.box._view_count = 0
        heard_at_once(self.box)

    @property
    def drawn(self) -> bool:
        """Whether a front end shows it; False where none can draw widgets."""
        return bool(self.box._view_count)

    def draw(self, parts: Mapping[str, str], acts: Sequence[Act]) -> None:
        """Show a card's parts, and the buttons of what may be done now."""
        import ipywidgets as widgets

        self._head.value = parts["head"]
        for name, value in parts.items():
            if name == "head":
                continue
            if name not in self._parts:
                self._parts[name] = widgets.HTML()
                self.box.children = (*self.box.children, self._parts[name])
            shown = f'<div style="opacity:.7;font-size:12px;margin-top:8px">{value}</div>' if name == "foot" else value
            if self._parts[name].value != shown:
                self._parts[name].value = shown
                self._parts[name].layout.display = None if shown else "none"
        self._offer(acts)

    def _offer(self, acts: Sequence[Act]) -> None:
        words = tuple(act.word for act in acts)
        if words == self._buttons[0]:
            return
        old, made = self._buttons[1], [self._button(act) for act in acts]
        self._buttons = (words, made)
        self._acts.children = tuple(made)
        for button in old:
            button.close()

    def _button(self, act: Act) -> Any:
        import ipywidgets as widgets

        button = widgets.Button(description=act.word, tooltip=act.tip, layout=widgets.Layout(width="auto"))
        if act.primary:
            button.add_class("hishamos-primary")
        heard_at_once(button)
        button.on_click(lambda clicked: self._clicked(clicked, act))
        return button

    def _clicked(self, button: Any, act: Act) -> None:
        button.disabled = True  # what was wished may take a while: a step that is under way is finished first
        try:
            act.do()
        except HishamosError as error:
            button.disabled = False
            self._after(str(error))
        else:
            self._after("")

    def close(self) -> None:
        """Take the widgets out of the kernel and the page."""
        for widget in (*self._buttons[1], *self._parts.values(), self._head, self._acts, *self.box.children, self.box):
            widget.close()
