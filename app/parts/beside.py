"""Two runs side by side."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.comparison_lines import changes, outputs, sides, steps, verdict
from hishamos.charts.formats import clock, state_label
from hishamos.errors import HishamosError
from hishamos.records.runs import Run
from parts.connection import workspace
from parts.plain import plain

LISTED = 20


def choose_other(run: Run) -> None:
    """Draw the runs of the same name to compare with, each a link."""
    others = [one for one in workspace().runs.list(name=run.name, limit=LISTED + 1) if one.id != run.id]
    if run.repeats:
        st.page_link("views/run.py", label=f"{run.repeats[:6]}, which it repeats", query_params={"run": run.id, "with": run.repeats})
    for one in others[:LISTED]:
        words = plain(f"{one.id[:6]} · {state_label(one.state)} · {clock(one.created_at)} UTC")
        st.page_link("views/run.py", label=words, query_params={"run": run.id, "with": one.id})
    if not others and not run.repeats:
        st.caption("There is no other run of this name. Repeat makes one.")


def compared(run: Run, other: str) -> None:
    """Draw how a run compares with an earlier one."""
    try:
        comparison = workspace().runs.compare(run.id, other)
    except HishamosError as error:
        st.warning(plain(str(error)), icon=":material/search_off:")
        return
    st.markdown(f"**{plain(verdict(comparison))}**")
    rows = [{"": name, "Earlier run": before, "This run": now} for name, before, now in sides(comparison)]
    st.dataframe(rows, hide_index=True, alt="Both runs, fact by fact")
    for title, lines in {
        "Given otherwise": changes(comparison),
        "Steps that went otherwise": steps(comparison),
        "Outputs that differ": outputs(comparison),
    }.items():
        told = list(lines)
        if told:
            st.subheader(title, anchor=False)
            st.code("\n".join(told), language=None, wrap_lines=True)
    with st.container(horizontal=True):
        st.page_link("views/run.py", label=f"Open {other[:6]}", query_params={"run": comparison.before.id}, width="content")
        st.page_link("views/run.py", label="Compare no more", query_params={"run": run.id}, width="content")
