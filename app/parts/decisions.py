"""A step that waits for a person: what it asks, a comment, and the two answers."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.formats import clock
from hishamos.records.runs import Approval
from parts.connection import workspace
from parts.plain import plain


def waiting_card(approval: Approval) -> None:
    """Draw whose question it is, since when it waits, and what :func:`decide` draws."""
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link("views/run.py", label=f"**{plain(approval.workflow)}**", query_params={"run": approval.run_id})
            st.caption(plain(f"{approval.path} · since {clock(approval.since)} UTC"), width="content")
        decide(approval)


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
