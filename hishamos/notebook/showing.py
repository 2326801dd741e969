"""Registers the cards with IPython, so that records, lists of them and a frame of spend show themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hishamos.errors import HishamosError
from hishamos.notebook.cards import CARDS, WORDS, list_card, plain, workspace_card
from hishamos.notebook.definition_cards import definition_card
from hishamos.notebook.forms import Opened
from hishamos.notebook.live_run import watch
from hishamos.notebook.money_cards import is_spend, spend_card
from hishamos.notebook.run_facts import static_card
from hishamos.records.definitions import WorkflowDefinition
from hishamos.records.runs import Run
from hishamos.workspace import Workspace

HTML, TEXT = "text/html", "text/plain"


def draw_records() -> None:
    """Show records as cards in this kernel, those that need no workspace."""
    shell = _shell()
    if shell is None:
        return
    formatters = shell.display_formatter.formatters
    for kind, draw in CARDS.items():
        formatters[HTML].for_type(kind, draw)
    for kind in WORDS:
        formatters[TEXT].for_type(kind, _printed(plain))
    formatters[HTML].for_type(list, list_card)
    # By name: whoever shows no frame needs no pandas.
    for module in ("pandas", "pandas.core.frame"):
        formatters[HTML].for_type_by_name(module, "DataFrame", _frame)


def install(workspace: Workspace) -> None:
    """Show records as cards in this kernel, and this workspace's runs live while they are waited for."""
    shell = _shell()
    if shell is None:
        return
    draw_records()
    formatters = shell.display_formatter.formatters
    formatters[HTML].for_type(Run, lambda run: static_card(workspace, run))
    formatters[HTML].for_type(WorkflowDefinition, lambda workflow: _drawn(workspace, workflow))
    formatters[HTML].for_type(Workspace, workspace_card)
    formatters[TEXT].for_type(Workspace, _printed(lambda shown: f"workspace {shown.root}"))
    # The hook by which IPython lets an exception describe itself; the cell still fails, so a batch sees it.
    HishamosError._render_traceback_ = _short_traceback  # type: ignore[attr-defined]
    workspace.watch = watch
    Opened.workspace = workspace
    from hishamos.notebook.completing import complete_names
    from hishamos.notebook.magics import register

    register(shell, workspace)
    complete_names(shell, workspace)


def _shell() -> Any | None:
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _drawn(workspace: Workspace, workflow: WorkflowDefinition) -> str:
    """Draw a workflow that the workspace knows in this very version; of any other the card lists the steps."""
    known = {one.name: one.version for one in workspace.workflows.list()}
    drawn = workspace.workflows.picture(workflow.name, format="png") if known.get(workflow.name) == workflow.version else None
    return definition_card(workflow, drawn)


def _frame(frame: Any) -> str | None:
    """Show a frame of spend as its card, any other as pandas does."""
    shown: str | None = spend_card(frame) if is_spend(frame) else frame._repr_html_()
    return shown


def _printed(draw: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
    return lambda value, printer, _cycle: printer.text(draw(value))


def _short_traceback(error: HishamosError) -> list[str]:
    """What IPython prints for a typed error: what, where and what next, without the frames of this package."""
    return [f"{type(error).__name__}: {error}"]
