"""Where this process's calls come from: the notebook, the cell, the commit, the execution, and the tags that people gave. Costs nothing without these."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hishamos.records import own_tags
from hishamos.records.origins import EXECUTION, NOTEBOOK, Origin, tagged
from hishamos.records.record import new_id
from hishamos.text.commits import commit_of

SUFFIX = ".ipynb"
KNOWN_S = 1.0
"""A commit is looked up again after so many seconds."""
_life: dict[int, str] = {}
"""The execution's id of this very process; a forked one has another."""
_commits: dict[str, tuple[float, str | None]] = {}
kernel_tags: dict[str, str] = {}
"""The tags that this kernel's user gave to all that it asks from now on."""


def whence(root: Path, own: Mapping[str, str]) -> Origin | None:
    """Return where the present call comes from; None for one that no notebook makes and that has no tags.

    ``root``: the workspace's folder; ``own``: the call's tags, which stand over those of the process. Raises :class:`InvalidInput` for what are none.
    """
    return tagged(_place(root), {**tags_of_process(), **own})


def tags_of_process() -> dict[str, str]:
    """Return the tags of all that this process asks: the environment's, and over them those that its user gave to the kernel."""
    told = os.environ.get(own_tags.VARIABLE, "")
    return {**own_tags.from_pairs((pair for pair in told.split(",") if pair.strip()), own_tags.VARIABLE), **kernel_tags}


def _place(root: Path) -> Origin | None:
    shell = _shell()
    given = os.environ.get(EXECUTION)
    if shell is None and not given:
        return None
    path = _notebook(shell)
    folder = path.parent if path is not None else Path.cwd()
    return Origin(
        notebook=None if path is None else _told(path, root),
        cell=None if shell is None else _cell(shell),
        git_commit=_commit(folder),
        execution=given or _life.setdefault(os.getpid(), new_id(16)),
    )


def _shell() -> Any:
    """Return IPython's shell if this process is a kernel."""
    module = sys.modules.get("IPython.core.getipython")
    shell = module.get_ipython() if module is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


def _notebook(shell: Any) -> Path | None:
    """Return the notebook's path: from whoever executes it, VS Code, papermill (``--inject-input-path``) or Jupyter's server."""
    names = getattr(shell, "user_ns", {})
    told = (os.environ.get(NOTEBOOK), names.get("__vsc_ipynb_file__"), names.get("PAPERMILL_INPUT_PATH"), os.environ.get("JPY_SESSION_NAME"))
    found = next((one for one in told if isinstance(one, str) and one.endswith(SUFFIX) and "://" not in one), None)
    return None if found is None else Path(os.path.abspath(found))


def _told(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _cell(shell: Any) -> str:
    """Return the id of the cell that is being executed; where the message names none, its number."""
    parent = shell.kernel.get_parent("shell") or {}
    identity = (parent.get("metadata") or {}).get("cellId")
    if isinstance(identity, str) and identity:
        return identity.rpartition("#")[2][:200]  # VS Code's is an address with the notebook's path in it
    # Not the shell's own counter: whether that counts the present cell already differs between versions of IPython.
    return f"In[{len(shell.history_manager.input_hist_parsed) - 1}]"


def _commit(folder: Path) -> str | None:
    key, moment = str(folder), time.monotonic()
    known = _commits.get(key)
    if known is None or moment - known[0] > KNOWN_S:
        known = _commits[key] = moment, commit_of(folder)
    return known[1]
