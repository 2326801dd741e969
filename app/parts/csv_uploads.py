"""Uploaded CSV files: their rows, and how many these are, for which a file is read once, not each time that its form is drawn."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from hishamos.errors import InvalidInput
from hishamos.frames.csv_rows import csv_rows

COUNTED = 64
"""Files whose number of rows is remembered; the rows are not, they may be 20 MB."""


def uploaded_rows(file: UploadedFile, most: int) -> list[dict[str, str]]:
    """Return a file's rows, at most so many; raises :class:`InvalidInput`, which says where it is no CSV."""
    _, rows = csv_rows(_text(file.getvalue(), file.name), file.name, most)
    return [row for _, row in rows]


@st.cache_data(max_entries=COUNTED, show_spinner=False, hash_funcs={UploadedFile: lambda file: file.file_id})
def rows_in(file: UploadedFile, most: int) -> int:
    """Return how many rows a file has; raises what :func:`uploaded_rows` raises."""
    return len(uploaded_rows(file, most))


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(what=f"byte {error.start} is not UTF-8", where=name, next="Save the file as CSV in UTF-8.") from None
