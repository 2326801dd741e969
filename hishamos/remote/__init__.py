"""The same :class:`hishamos.Workspace` from another process: every verb is a request to the workspace's server."""

from __future__ import annotations

from hishamos.remote.proxies import connect

__all__ = ["connect"]
