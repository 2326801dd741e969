"""What a page shows, as files."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from hishamos.charts.exports import csv_bytes, parquet_bytes


def downloads(frame: pd.DataFrame, name: str) -> None:
    """Draw the buttons that hand a frame over; ``name``: the file's, without its ending."""
    with st.container(horizontal=True):
        st.download_button("CSV", csv_bytes(frame), f"{name}.csv", "text/csv", key=f"csv-{name}", on_click="ignore")
        st.download_button("Parquet", parquet_bytes(frame), f"{name}.parquet", "application/vnd.apache.parquet", key=f"parquet-{name}", on_click="ignore")
