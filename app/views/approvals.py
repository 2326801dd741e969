"""Approvals: every step that waits for a person, oldest first."""

from __future__ import annotations

import streamlit as st

from parts.connection import guarded, workspace
from parts.decisions import waiting_card
from parts.heads import empty, head
from parts.states import pills_filter

HELP = """Runs that stopped to ask somebody, oldest first. What you write as a comment stands in the run with your answer. A run that waits holds no
server and loses nothing: it may wait for weeks.

Same in a notebook: `ws.runs.approvals()`, `ws.runs.approve(run, step, comment="…")`. In a terminal: `hishamos approve RUN STEP`."""


@st.fragment(run_every="1.5s")
def inbox() -> None:
    """Draw what waits; refreshes by itself."""
    with guarded():
        waiting = workspace().runs.approvals()
        if not waiting:
            empty("Nothing waits for you. A workflow with a step of type `approval` shows here; this one asks before it publishes:", ASKING)
            return
        names = sorted({approval.workflow for approval in waiting})
        chosen = pills_filter("workflow", names, label=str) if len(names) > 1 else None
        shown = [approval for approval in waiting if chosen in (None, approval.workflow)]
        st.caption(f"{len(shown)} {'waits' if len(shown) == 1 else 'wait'} for you")
        for approval in shown:
            waiting_card(approval)


ASKING = "hishamos run triage_bugs -i file=data/samples/bugs.csv --model offline/extractive"

head("Approvals", help_text=HELP)
inbox()
