"""HishamOS: a Jupyter-native workbench for durable, accounted AI work.

The names below are the public face. Each is loaded when it is first used, so that ``import hishamos`` stays light.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hishamos.errors import HishamosError as HishamosError
    from hishamos.flows.flow import workflow as workflow
    from hishamos.notebook.declaring import result as result
    from hishamos.notebook.forms import form as form
    from hishamos.opening import open as open  # noqa: A004 - the public verb is hishamos.open
    from hishamos.opening import sample as sample
    from hishamos.proof.proving import prove as prove
    from hishamos.records.callbacks import step as step
    from hishamos.records.definitions import AgentDefinition as Agent
    from hishamos.records.definitions import CommandDefinition as Command
    from hishamos.records.definitions import WorkflowDefinition as Workflow
    from hishamos.records.tools import tool as tool
    from hishamos.workspace import Workspace as Workspace

__version__ = "0.1.0"

_FACE = {
    "Agent": ("hishamos.records.definitions", "AgentDefinition"),
    "Command": ("hishamos.records.definitions", "CommandDefinition"),
    "HishamosError": ("hishamos.errors", "HishamosError"),
    "Workflow": ("hishamos.records.definitions", "WorkflowDefinition"),
    "Workspace": ("hishamos.workspace", "Workspace"),
    "errors": ("hishamos.errors", None),
    "form": ("hishamos.notebook.forms", "form"),
    "open": ("hishamos.opening", "open"),
    "prove": ("hishamos.proof.proving", "prove"),
    "result": ("hishamos.notebook.declaring", "result"),
    "sample": ("hishamos.opening", "sample"),
    "step": ("hishamos.records.callbacks", "step"),
    "tool": ("hishamos.records.tools", "tool"),
    "workflow": ("hishamos.flows.flow", "workflow"),
}

__all__ = ["Agent", "Command", "HishamosError", "Workflow", "Workspace", "errors", "form", "open", "prove", "result", "sample", "step", "tool", "workflow"]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module 'hishamos' has no attribute {name!r}; it offers {', '.join(__all__)}")
    module, attribute = _FACE[name]
    loaded = importlib.import_module(module)
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    if name in {"form", "open", "prove"} and "IPython" in sys.modules:
        _show_in_notebook()
    return value


def _show_in_notebook() -> None:
    """Let records, and workspaces that are opened, show themselves as cards in a kernel (or a terminal IPython)."""
    from IPython.core.getipython import get_ipython

    if get_ipython() is None:
        return
    # By name, as everything in this face: a static import would make every room that imports `hishamos` depend on the notebook's.
    opening, notebook = importlib.import_module("hishamos.opening"), importlib.import_module("hishamos.notebook")
    if notebook.install not in opening.on_open:
        opening.on_open.append(notebook.install)
        notebook.draw_records()


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
