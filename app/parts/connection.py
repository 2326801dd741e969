"""The page's way to the workspace: one connection for all sessions, errors as sentences."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import streamlit as st

import hishamos
from hishamos.errors import HishamosError
from hishamos.workspace import Workspace
from parts.plain import plain


@st.cache_resource(show_spinner=False)
def _open(path: str | None) -> Workspace:
    return hishamos.open(path)


def workspace() -> Workspace:
    """Return the workspace that ``hishamos console`` was started in.

    The connection finds a new server by itself when the old one has gone, so one object serves every session.
    """
    found: Workspace = _open(os.environ.get("HISHAMOS_WORKSPACE") or None)
    return found


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Show a typed error as a sentence in the page's place, never a traceback."""
    try:
        yield
    except HishamosError as error:
        st.error(plain(str(error)), icon=":material/error:")
