"""Admin: how the workspace is, what it is configured with, what it keeps, what its server says, and what the clock starts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from hishamos.charts.formats import clock, count, missing, money, size_words, some
from hishamos.errors import HishamosError
from hishamos.records.schedules import Schedule
from parts.connection import guarded, workspace
from parts.copies import copies
from parts.fields import fields, model_field
from parts.heads import badge, empty, head
from parts.plain import plain
from parts.retention import retention

HELP = """How the workspace is, what its server has read from `hishamos.toml`, what lies on the disk, the server's log, and the workflows that the clock starts.
Keys are named by where they come from and never shown. **Back up** writes a whole copy of the store while everything goes on. **Go back to a copy** first
says what would be lost, then replaces the store; the one before is kept in `data/local/backups/`, so that there is a way back from that too.
**Prune** lets go of runs that ended long ago, after it has said how many.

Same in a notebook: `ws.health.status()`, `ws.health.settings()`, `ws.health.storage()`, `ws.health.logs()`,
`ws.health.backup(file)`, `ws.health.restore(file, dry_run=True)`, `ws.health.prune(older_than_days=90, dry_run=True)`, `ws.schedules.list()`. In a terminal:
`hishamos doctor --no-network`, `hishamos server status`, `hishamos server logs`, `hishamos backup FILE`, `hishamos restore FILE`,
`hishamos prune --older-than 90d`, `hishamos schedule`."""
FIRST = 'hishamos schedule add nightly triage_bugs "0 2 * * *" -i file=bugs.csv'
SIGNS = {"ok": ":green[✓]", "note": ":gray[·]", "problem": ":red[✕]"}
LINES = (100, 500, 2000)


def health() -> None:
    """Draw the state of server and work, and what the doctor finds without a network."""
    ws = workspace()
    state = ws.health.status()
    cells = st.columns(4)
    cells[0].metric("Running", count(state.running), border=True, help=f"{count(state.queued)} queued")
    cells[1].metric("Waiting", count(state.waiting), border=True, help="for an answer, a time or an event")
    cells[2].metric("Open calls", count(state.open_calls), border=True)
    cells[3].metric("Store", missing() if state.size_bytes is None else size_words(state.size_bytes), border=True)
    server = state.server
    facts = [
        ("Workspace", state.workspace),
        ("Store", f"{state.store}, schema {state.schema_version}"),
        ("Server", f"pid {server.pid} on {server.host}, since {clock(server.started_at)} UTC" if server else "in this process"),
        ("Address", server.address if server else missing()),
        ("Version", state.version),
    ]
    st.markdown("  \n".join(f"**{name}** {plain(str(value))}" for name, value in facts))
    if state.settings_error:
        st.warning(plain(state.settings_error), icon=":material/warning:")
    st.subheader("What was found", anchor=False)
    with st.container(border=True, gap="xsmall"):
        for finding in ws.providers.diagnose(network=False):
            st.markdown(f"{SIGNS[finding.state]} **{plain(finding.subject)}** {plain(finding.found)}")
            if finding.advice:
                st.caption(plain(finding.advice))
    st.caption("Nothing was asked of a provider for this. With the network, at no cost: `hishamos doctor`")


def settings() -> None:
    """Draw what the server is configured with."""
    told = workspace().health.settings()
    file = told.pop("file", None)
    st.caption(plain(f"Read from {file}; it is read again when it changes." if file else "There is no hishamos.toml: these are the defaults."))
    told.pop("root", None)
    for name, table in told.items():
        if not table:
            continue
        st.subheader(name.capitalize(), anchor=False)
        if all(isinstance(one, dict) for one in table.values()):
            st.dataframe(list(_rows(table)), hide_index=True, alt=f"Settings of {name}")
        else:
            st.dataframe([{"Setting": key, "Value": _word(value)} for key, value in table.items()], hide_index=True, alt=f"Settings of {name}")
    if not file:
        empty("A hishamos.toml in which every line is explained is written by:", "hishamos init")


def _rows(table: dict[str, dict[str, Any]]) -> Iterator[dict[str, str]]:
    """Return one row for each entry; what no entry sets is left out."""
    names = [name for name in dict.fromkeys(name for one in table.values() for name in one) if name not in {"name", "model"}]
    used = [name for name in names if any(one.get(name) not in (None, "", [], {}, False) for one in table.values())]
    for key, one in table.items():
        yield {"Name": key, **{name: _word(one.get(name)) for name in used}}


def _word(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return missing()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | bool) else str(value)


def storage() -> None:
    """Draw what lies on the disk, and the ways to a copy of the store and back."""
    ws = workspace()
    parts = ws.health.storage()
    st.caption(plain(f"{size_words(sum(part.size_bytes for part in parts))} in data/local of {ws.root}"))
    rows = [{"Name": part.name, "What it is": part.what or missing(), "Files": count(part.files), "Size": size_words(part.size_bytes)} for part in parts]
    right = {name: st.column_config.TextColumn(name, alignment="right") for name in ("Files", "Size")}
    st.dataframe(rows, hide_index=True, column_config=right, alt="What lies in data/local")
    st.caption(
        "What is kept: ledger, audit, results and paid answers for good, runs until they are pruned. Answers kept for repeated requests and rows handed in "
        "for a map go after a day, those of a run a day after its end; the log begins anew at 5 MB, three old ones are kept."
    )
    copies()
    retention()


def log() -> None:
    """Draw the end of the server's log, filtered."""
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    wanted = left.text_input("Lines with", key="containing", bind="query-params", placeholder="words, whatever their case", max_chars=200)
    lines = right.selectbox("At most", LINES, format_func=lambda number: f"{count(number)} lines", key="lines")
    st.fragment(_log, run_every="3s")(wanted.strip(), lines)


def _log(wanted: str, lines: int) -> None:
    with guarded():
        found = workspace().health.logs(lines=lines, containing=wanted)
        if found:
            st.code("\n".join(found), language=None, wrap_lines=True)
            st.caption(some(len(found), "line") + ", the newest last")
        else:
            st.caption("No line has these words." if wanted else "The server has said nothing yet.")


def schedules() -> None:
    """Draw what the clock starts, and a form for another."""
    found = workspace().schedules.list()
    for schedule in found:
        _schedule(schedule)
    if not found:
        empty("The clock starts nothing yet. Set a schedule below, or in a terminal:", 'hishamos schedule add nightly triage_bugs "0 2 * * *" -i file=bugs.csv')
    st.subheader("New schedule", anchor=False)
    _new_schedule()
    st.caption("Schedules run while the server runs. To keep it up, also after a restart of the machine: `hishamos serve --install`")


def _schedule(schedule: Schedule) -> None:
    ws, name = workspace(), schedule.name
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(name)}**", width="content")
            badge("ready" if schedule.enabled else "paused")
            st.space("stretch")
            paused = schedule.enabled and st.button("Pause", key=f"pause {name}")
            resumed = not schedule.enabled and st.button("Resume", key=f"resume {name}", type="primary")
            started = st.button("Run now", key=f"run {name}")
            with st.popover("Remove", type="tertiary", key=f"ask {name}"):
                st.markdown("Remove this schedule? Its runs stay.")
                removed = st.button("Remove for good", key=f"remove {name}")
        due = ", ".join(_when(moment, schedule.timezone) for moment in schedule.upcoming) or "nothing is due"
        st.markdown(f"{plain(schedule.workflow)} · `{schedule.cron}` {plain(schedule.timezone)} · next: {plain(due)}")
        budget = "" if schedule.budget_nanos is None else f"at most {money(schedule.budget_nanos)} a run"
        inputs = ", ".join(f"{key}={value}" for key, value in schedule.inputs.items())
        st.caption(
            plain(" · ".join(part for part in (inputs, schedule.model or "", budget, f"missed: {schedule.missed}", f"overlap: {schedule.overlap}") if part))
        )
        if schedule.problem:
            st.warning(plain(schedule.problem), icon=":material/warning:")
        with st.expander("Its last times"):
            times = ws.schedules.times(name, limit=20)
            rows = [{"Due": f"{clock(one.due_at)} UTC", "Outcome": one.outcome, "Run": (one.run_id or "")[:6], "Note": one.note} for one in times]
            st.dataframe(rows, hide_index=True, alt=f"Times of {name}") if rows else st.caption("None was due yet.")
            if schedule.last_run:
                st.page_link("views/run.py", label="Open its last run", query_params={"run": schedule.last_run})
        if started:
            run = ws.schedules.run(name)
            st.switch_page("views/run.py", query_params={"run": run.id})
        for asked, act in ((paused, ws.schedules.pause), (resumed, ws.schedules.resume), (removed, ws.schedules.remove)):
            if asked:
                act(name)
                st.rerun()


def _new_schedule() -> None:
    ws = workspace()
    known = {workflow.name: workflow for workflow in ws.workflows.list()}
    with st.container(border=True):
        left, middle, right = st.columns(3)
        name = left.text_input("Name", placeholder="nightly-triage", max_chars=100)
        workflow = middle.selectbox("Workflow", list(known))
        cron = right.text_input(
            "Times", placeholder="0 2 * * mon-fri", help="Minute, hour, day of month, month, day of week; or `@hourly`, `@daily`, `@weekly`"
        )
        if workflow is None:
            st.caption("There is no workflow.")
            return
        try:
            given = fields(known[workflow].inputs, f"schedule {workflow}")
            model = model_field(f"schedule {workflow}")
            budget = st.text_input("At most, USD a run (optional)", placeholder="no limit of its own")
            if st.button("Set schedule", type="primary"):
                ws.schedules.create(name.strip(), workflow, cron.strip(), inputs=given, model=model, budget_usd=budget.strip() or None)
                st.rerun()
        except HishamosError as error:  # the form stays as it was filled in
            st.error(plain(str(error)), icon=":material/error:")


def _when(moment: datetime, timezone: str) -> str:
    return clock(moment.astimezone(ZoneInfo(timezone)))


TOPICS: dict[str, Callable[[], None]] = {"Health": health, "Settings": settings, "Storage": storage, "Log": log, "Schedules": schedules}

head("Admin", help_text=HELP)
TOPICS[st.segmented_control("Topic", list(TOPICS), default="Health", required=True, key="show", bind="query-params", label_visibility="collapsed")]()
