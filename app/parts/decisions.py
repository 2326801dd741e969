"""A step that waits for a person: what it asks, a comment, and the two answers."""

from __future__ import annotations

import streamlit as st

from hishamos.records.runs import Approval
from parts.connection import workspace


def decide(approval: Approval) -> None:
    """Draw the question with its acts; once it is decided the page is drawn anew."""
    name = f"{approval.run_id}-{approval.path}"
    st.text(approval.message)
    comment = st.text_input("Comment", key=f"comment-{name}", placeholder="why, for whoever reads the run later", max_chars=2000)
    with st.container(horizontal=True):
        approved = st.button("Approve", key=f"approve-{name}", type="primary")
        rejected = st.button("Reject", key=f"reject-{name}")
    if approved or rejected:
        workspace().runs.approve(approval.run_id, approval.path, decision="approve" if approved else "reject", comment=comment.strip())
        st.toast(f"{approval.workflow}, {approval.path}: {'approved' if approved else 'rejected'}")
        st.rerun()
