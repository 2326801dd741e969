"""Batches: notebooks executed once per row, row by row: what became of each, why one failed, and what is missing again."""

from __future__ import annotations

from pathlib import PurePath

import streamlit as st

from hishamos.charts.formats import clock, count, missing, some, state_label
from hishamos.charts.row_bars import RowBar, row_bars_svg
from hishamos.errors import HishamosError
from hishamos.frames.csv_rows import csv_rows
from hishamos.records.batches import MOST_ROWS, ROW_STATUSES, BatchInfo, BatchRow, RunnableNotebook
from hishamos.records.runs import RUN_ENDED, RunState
from parts.connection import guarded, workspace
from parts.csv_uploads import rows_in, uploaded_rows
from parts.exchanges import exchange
from parts.graphs import drawn_svg
from parts.heads import badge, empty, head, lost
from parts.listings import attempts_table, batches_table, rows_table, seconds_between, spend_words
from parts.notebooks import drawn_notebook
from parts.plain import plain
from parts.states import one_of, pills_filter
from parts.values import value

HELP = """A batch executes a notebook once per row of a table; the columns are the notebook's parameters. A row that fails stops none of the others, and
**Execute what is missing** does only what has not succeeded: what is done is not done, and not paid, again. A row has its parameters, result and executed
notebook, and its attempts with what each was asked and what came back.

Same in a notebook: `ws.batch.run("report.ipynb", rows=frame, jobs=4)`, `ws.batch.rows(run)`. In a terminal:
`hishamos batch report.ipynb --rows rows.csv --jobs 4`, `hishamos resume RUN`."""
FIRST = "hishamos batch notebooks/batch_report.ipynb --rows data/samples/batch_rows.csv --jobs 4"
LISTED, SHOWN, BARS = 50, 200, 400  # batches of the list, rows of one batch, rows that are drawn as bars
LIVE, LINES = "1.5s", "the lines above"


def page() -> None:
    """Draw the page: one batch where the address names one, else all of them."""
    identity = st.query_params.get("batch", "")
    if identity:
        _one(identity)
    else:
        _all()


def _all() -> None:
    head("Batches", help_text=HELP)
    state = pills_filter("state", [state.value for state in RunState])
    st.fragment(_listing, run_every="3s")(RunState(state) if state else None)
    st.subheader("New batch", anchor=False)
    _new()


def _listing(state: RunState | None) -> None:
    with guarded():
        found = workspace().batch.list(state=state, limit=LISTED)
        chosen = batches_table(found, "batches") if found else None
        if found:
            st.caption(some(len(found), "batch").replace("batchs", "batches") + (", the newest" if len(found) == LISTED else ""))
        elif state:
            st.caption("No batch has this state.")
        else:
            empty("No batch yet. Start one below, or in a terminal:", FIRST)
        if chosen is not None:
            st.query_params.clear()
            st.query_params["batch"] = chosen
            st.rerun()


def _one(identity: str) -> None:
    try:
        batch = workspace().batch.get(identity)
    except HishamosError as error:
        head("Batch", help_text=HELP)
        lost(error, "views/batches.py", "All batches")
        return
    head(plain(PurePath(batch.notebook).name), help_text=HELP, above=("views/batches.py", "Batches"), here=batch.run[:6])
    ended, row = batch.state in RUN_ENDED, _named(batch.run)
    st.fragment(_live, run_every=None if ended else LIVE)(batch.run, row, ended=ended)
    _chosen(batch.run, row)


def _live(identity: str, chosen: BatchRow | None, *, ended: bool) -> None:
    """Draw the batch; the page is drawn anew once that has begun or ended, or the chosen row, which stands below, is another one than ``chosen``."""
    with guarded():
        batch = workspace().batch.get(identity)
        if (batch.state in RUN_ENDED) != ended or (not ended and _named(identity) != chosen):
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(batch.state, offline=batch.offline)
            kernels = "kept kernels" if batch.reuse else "a fresh kernel for each"
            st.caption(f"started {clock(batch.created_at)} UTC · {some(batch.jobs, 'notebook')} at once · {kernels}")
        _acts(batch)
        _numbers(batch)
        above = st.container()
        rows = _rows(batch)
        if len(rows) == batch.total and 1 < batch.total <= BARS:
            bars = [RowBar(row.index + 1, row.status, row.seconds) for row in rows]
            with above:
                drawn_svg(row_bars_svg(bars, "Time of each row"), "Time of each row; the table says the same in numbers.")
        with st.expander("Where the executed notebooks are"):
            st.code("\n".join(path for path in (batch.folder, batch.summary) if path), language=None, wrap_lines=True)
        if ended and workspace().batch.get(identity).finished_at != batch.finished_at:  # it was resumed while it was read, and nothing looks at it again
            st.rerun()


def _acts(batch: BatchInfo) -> None:
    ws = workspace()
    left = batch.total - batch.rows.get("succeeded", 0)
    with st.container(horizontal=True, vertical_alignment="center"):
        if batch.state == RunState.RUNNING and st.button("Pause batch"):
            ws.runs.pause(batch.run)
            st.rerun()
        if batch.state in {RunState.FAILED, RunState.CANCELLED} and left and st.button(f"Execute what is missing ({count(left)})", type="primary"):
            ws.runs.resume(batch.run)
            st.rerun()
        if batch.state == RunState.PAUSED and st.button("Resume batch", type="primary"):
            ws.runs.resume(batch.run)
            st.rerun()
        if batch.state not in RUN_ENDED and st.button("Cancel batch"):
            ws.runs.cancel(batch.run)
            st.rerun()
        st.page_link("views/run.py", label="Open the run", query_params={"run": batch.run})


def _numbers(batch: BatchInfo) -> None:
    if batch.state not in RUN_ENDED:
        st.progress(batch.ended / batch.total if batch.total else 0.0, text=f"{count(batch.ended)} of {some(batch.total, 'row')} have ended")
    done, failed = batch.rows.get("succeeded", 0), batch.rows.get("failed", 0)
    cells = st.columns(4)
    cells[0].metric("Succeeded", f"{count(done)} of {count(batch.total)}", border=True)
    cells[1].metric("Failed", count(failed), border=True)
    spend = spend_words(batch.cost_nanos, batch.unpriced, offline=batch.offline) if batch.attempts else missing()
    cells[2].metric("Spend", spend, border=True, help=None if batch.attempts else "No model was asked.")
    cells[3].metric("Time", seconds_between(batch.started_at, batch.finished_at), border=True)


def _rows(batch: BatchInfo) -> list[BatchRow]:
    """Draw the rows that the filter lets through, and return them."""
    st.subheader("Rows", anchor=False)
    known = [status for status in ROW_STATUSES if batch.rows.get(status)]

    def counted(status: str) -> str:
        return f"{state_label(status)} {count(batch.rows[status])}"

    chosen = pills_filter("rows", known, label=counted, key=f"rows-{batch.run}")
    rows = workspace().batch.rows(batch.run, status=chosen, limit=BARS)
    clicked = rows_table(rows[:SHOWN], f"rows of {batch.run} {chosen or ''}")
    if len(rows) > SHOWN:
        st.caption(f"The first {SHOWN}. All of them: `hishamos show {batch.run[:6]} --json`, or the summary notebook.")
    if clicked is not None and st.query_params.get("row") != str(clicked.index + 1):
        st.query_params["row"] = str(clicked.index + 1)
        st.rerun()
    return rows


def _named(batch: str) -> BatchRow | None:
    """Return the row that the address names, if there is one."""
    number = st.query_params.get("row", "")
    found = workspace().batch.rows(batch, after=int(number) - 2, limit=1) if number.isdecimal() and 0 < int(number) <= MOST_ROWS else []
    return next(iter(found), None)


def _chosen(batch: str, row: BatchRow | None) -> None:
    """Draw a row: why it failed, what it was given and gave, its notebook, its attempts."""
    number = st.query_params.get("row", "")
    if not number:
        st.caption("Choose a row to see its parameters, its result, its executed notebook and its attempts.")
        return
    if row is None:
        st.warning(plain(f"Row {number[:40]}: this batch has no such row. Choose one above."), icon=":material/search_off:")
        return
    st.subheader(f"Row {number}", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        badge("reused" if row.reused else row.status)
    if row.reason:
        place = "" if row.cell is None else f"Cell {row.cell}: "
        st.error(plain(place + row.reason), icon=":material/error:")
    values, notebook, attempts = st.tabs(["Parameters and result", "Executed notebook", "Attempts"])
    with values:
        left, right = st.columns(2)
        with left:
            value("Parameters", row.parameters)
        with right:
            value("Result", "It gave nothing back by hishamos.result." if row.result is None else row.result)
    with notebook:
        _executed(batch, row)
    with attempts:
        calls = workspace().runs.calls(batch, step=row.step, limit=SHOWN)
        if not calls:
            st.caption("No model was asked.")
            return
        attempt = attempts_table(calls, f"attempts of row {number}")
        if attempt is None:
            st.caption("Choose an attempt to see what was asked and what came back.")
        else:
            exchange(attempt.id, run=batch)


def _executed(batch: str, row: BatchRow) -> None:
    try:
        text = workspace().batch.executed(batch, row.index)
    except HishamosError as error:
        st.caption(plain(str(error)))
        return
    st.download_button("Download notebook", text, PurePath(row.output_path or "row.ipynb").name, "application/x-ipynb+json", on_click="ignore")
    drawn_notebook(text)


def _new() -> None:
    known = {one.path: one for one in workspace().batch.notebooks()}
    if not known:
        st.caption("A notebook in which a cell is tagged `parameters` can be executed for each row of a table. The workspace has none; these lines bring one:")
        st.code("hishamos lab", language="bash", wrap_lines=True)
        return
    with st.container(border=True):
        path = one_of("Notebook", list(known), "notebook", labelled=True)
        if path is None:
            return
        notebook = known[path]
        st.caption("Columns: " + ", ".join(_parameter(name, kind) for name, kind in notebook.parameters.items()) + ". One that is left out keeps its default.")
        file = st.file_uploader("Rows, a CSV file", type="csv", max_upload_size=20)
        pasted = st.text_area("Or its lines", placeholder=_example(notebook), height=100, key=f"lines of {path}")
        told = st.container()
        left, middle, right = st.columns(3, vertical_alignment="bottom")
        jobs = left.number_input("Notebooks at once", 1, 64, 2)
        reuse = middle.toggle("Keep kernels", help="Quicker: a kernel is reset and used for the next row, instead of a fresh one for each.")
        fresh = right.toggle("Execute all anew", help="Also rows that an earlier batch has executed. What they ask is paid again.")
        wanted = st.button("Start batch", type="primary")
        if not (wanted or file or pasted):
            return
        try:
            written = [] if file else _written(pasted)
            number = rows_in(file, MOST_ROWS) if file else len(written)
            told.caption(plain(f"{some(number, 'row')} in {file.name if file else LINES}"))
            rows = uploaded_rows(file, MOST_ROWS) if file and wanted else written
            run = workspace().batch.start(path, rows, jobs=int(jobs), reuse=reuse, fresh=fresh, cells=True) if wanted else None
        except HishamosError as error:  # the form stays as it was filled in
            st.error(plain(str(error)), icon=":material/error:")
            return
        if run is not None:
            st.switch_page("views/batches.py", query_params={"batch": run.id})


def _parameter(name: str, kind: str) -> str:
    return f"`{name}`" + (f" ({kind})" if kind else "")


def _example(notebook: RunnableNotebook) -> str:
    return ",".join(notebook.parameters) + "\n…"


def _written(lines: str) -> list[dict[str, str]]:
    return [row for _, row in csv_rows(lines, LINES, MOST_ROWS)[1]]


page()
