"""A step that waits for a person: what it asks, whose run it is and what that cost, what came before it, a comment, and the two answers."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.formats import clock
from hishamos.records.runs import Approval, StepState
from parts.connection import workspace
from parts.heads import badge
from parts.listings import spend_words
from parts.plain import plain
from parts.values import value

BEFORE, LOOKED_AT = 3, 200
"""Steps whose outputs are shown, and among how many they are looked for."""


def waiting_card(approval: Approval) -> None:
    """Draw whose question it is, since when it waits, what :func:`decide` draws, and what its run cost and gave so far."""
    spent = spend_words(approval.cost_nanos, approval.unpriced, offline=False)
    facts = (
        f"started by {approval.user_name}" if approval.user_name else "",
        f"project {approval.project}" if approval.project else "",
        "" if approval.offline and not approval.cost_nanos else f"{spent} so far",
    )
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link("views/run.py", label=f"**{plain(approval.workflow)}**", query_params={"run": approval.run_id})
            st.caption(plain(f"{approval.path} · since {clock(approval.since)} UTC"), width="content")
            if approval.offline:
                badge("offline")
        decide(approval)
        with st.container(horizontal=True, vertical_alignment="center"):
            _before(approval)
            st.caption(plain(" · ".join(fact for fact in facts if fact)), width="content")


def decide(approval: Approval) -> None:
    """Draw the question with its acts; once it is decided the page is drawn anew."""
    name = f"{approval.run_id}-{approval.path}"
    st.text(approval.message)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        comment = st.text_input("Comment", key=f"comment-{name}", placeholder="Comment (optional)", max_chars=2000, label_visibility="collapsed")
        approved = st.button("Approve", key=f"approve-{name}", type="primary")
        rejected = st.button("Reject", key=f"reject-{name}")
    if approved or rejected:
        workspace().runs.approve(approval.run_id, approval.path, decision="approve" if approved else "reject", comment=comment.strip())
        st.toast(f"{approval.workflow}, {approval.path}: {'approved' if approved else 'rejected'}")
        st.rerun()


def _before(approval: Approval) -> None:
    """Draw what the newest steps before the question gave, for whoever wants to read it first."""
    with st.popover("What came before", type="tertiary", key=f"before-{approval.run_id}-{approval.path}", on_change="rerun") as popover:
        if not popover.open:
            return
        steps = workspace().runs.steps(approval.run_id, under="", state=StepState.SUCCEEDED, limit=LOOKED_AT)
        given = sorted((step for step in steps if step.output is not None and step.finished_at), key=lambda step: str(step.finished_at), reverse=True)
        for step in given[:BEFORE]:
            value(plain(step.path), step.output)
        if not given:
            st.caption("No step before it gave anything.")
