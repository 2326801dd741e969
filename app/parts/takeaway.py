"""What a page shows, as a statement and as files."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from hishamos.charts.exports import csv_bytes, parquet_bytes


def downloads(frame: pd.DataFrame | Callable[[], pd.DataFrame], name: str) -> None:
    """Draw the buttons that hand a frame over, each file made when its button is clicked; ``name``: the file's, without its ending."""
    whole = frame if callable(frame) else lambda: frame
    with st.container(horizontal=True):
        st.download_button("CSV", lambda: csv_bytes(whole()), f"{name}.csv", "text/csv", key=f"csv-{name}", on_click="ignore")
        mime = "application/vnd.apache.parquet"
        st.download_button("Parquet", lambda: parquet_bytes(whole()), f"{name}.parquet", mime, key=f"parquet-{name}", on_click="ignore")


def behind(frame: pd.DataFrame, name: str) -> None:
    """Draw what stands behind a chart or a table of spend: the SELECT that gives the same numbers, and its rows as files."""
    with st.popover("SQL and data", type="tertiary"):
        st.caption("This gives the same numbers on the SQL page, in `ws.sql` and in `hishamos sql`. Money is in billionths of a USD.")
        st.code(frame.attrs["sql"], language="sql", height=260)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link("views/sql.py", label="Open on the SQL page", query_params={"statement": frame.attrs["sql"]})
            downloads(frame, name)
