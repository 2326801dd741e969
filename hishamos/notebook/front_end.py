"""Who looks at this kernel: a person, a batch, or a terminal; and how a click reaches a kernel whose cell still runs."""

from __future__ import annotations

from typing import Any

REPLY_S = 5.0


def kernel() -> Any | None:
    """Return this process's Jupyter kernel; None in a terminal IPython, and outside of IPython."""
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None)


def somebody_looks() -> bool:
    """Return whether a person may click in this cell's output.

    A front end says with each cell whether it can ask its user (``allow_stdin`` of the messaging protocol): JupyterLab and VS Code can, and
    whatever executes a notebook on its own (papermill, nbclient, nbconvert) can't.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    parent = shell.get_parent() if kernel() is not None else None
    return bool(parent and parent.get("content", {}).get("allow_stdin"))


class _Subshell:
    """The subshell in which this kernel handles clicks, made at first use."""

    identity: str | None = None
    asked = False


def heard_at_once(*widgets: Any) -> None:
    """Have what a front end says to these widgets handled at once, in a thread of the kernel's, though a cell runs.

    A kernel handles messages one after the other, those to widgets too, unless they are sent to a subshell (JEP 91). JupyterLab sends them to
    one, but ipykernel 7.4 sends them on to whoever spoke to the widget last, which is the running cell; other front ends know no subshells.
    """
    subshell = _subshell()
    for widget in widgets:
        if subshell is not None and widget.comm is not None:
            # Asked by the kernel for where a widget's message goes; a kernel that asks nothing follows the front end, as JupyterLab would have it.
            widget.comm._reply_subshell_for = lambda _data, _default: subshell


def _subshell() -> str | None:
    if not _Subshell.asked:
        _Subshell.asked = True
        _Subshell.identity = _made()
    return _Subshell.identity


def _made() -> str | None:
    """Ask this kernel for a subshell, by the message that any client would send; None where it has none to give."""
    from ipykernel.connect import get_connection_info
    from jupyter_client.blocking.client import BlockingKernelClient

    here = kernel()
    if here is None or "kernel subshells" not in here.kernel_info.get("supported_features", ()):
        return None
    client = BlockingKernelClient()
    client.load_connection_info(get_connection_info(unpack=True))
    channel = client.control_channel
    channel.start()
    try:
        channel.send(client.session.msg("create_subshell_request"))
        reply: dict[str, Any] = client.get_control_msg(timeout=REPLY_S)
        made: str | None = reply["content"].get("subshell_id")
        return made
    finally:
        client.stop_channels()
