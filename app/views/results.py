"""Results: what runs brought out, searched, read, rated, discussed, compared, taken along."""

from __future__ import annotations

from typing import Any

import streamlit as st

from hishamos.charts.comparison_lines import differences_told
from hishamos.charts.formats import clock, some, state_label
from hishamos.errors import HishamosError
from hishamos.records.results import LONGEST_COMMENT, Result
from parts.connection import workspace
from parts.heads import badge, empty, head
from parts.pages import MOST, PAGE, shown
from parts.plain import plain, readable

HELP = """What came out, newest first, of all projects or of one. A result knows the run that it came out of, and with it every model call and cost. An
action item becomes an issue of a project with one click, once. In what a model wrote nothing is executed, loaded or linked.

Same in a notebook: `ws.results.list(search="…")`, `ws.results.compare(a, b)`, `ws.results.to_issues(result)`, `ws.results.comment(result, "…")`. In a
terminal: `hishamos results`, `hishamos results RESULT --comment "…"`, `hishamos sql "select * from results"`."""
SAID = 100
"""Comments that are shown."""


def page() -> None:
    """Draw the page: one result where the address names one, else all that fit the search."""
    identity = st.query_params.get("result", "")
    if not identity:
        _listing()
        return
    try:
        result = workspace().results.get(identity)
    except HishamosError as error:
        head("Result", help_text=HELP, above=("views/results.py", "Results"), here=identity[:6])
        st.warning(plain(str(error)), icon=":material/search_off:")
        return
    head(plain(result.title), help_text=HELP, above=("views/results.py", "Results"), here=identity[:6])
    _reading(result)


def _listing() -> None:
    head("Results", help_text=HELP)
    with st.container(horizontal=True):
        search = st.text_input("Search", key="search", bind="query-params", placeholder="words in title, summary or body", label_visibility="collapsed")
        projects = _projects()
        project = None
        if projects:
            told = {"key": "project", "bind": "query-params", "label_visibility": "collapsed"}
            project = st.selectbox("Project", projects, index=None, placeholder="Project", width=168, **told)
    limit = shown(st.query_params.get("shown", ""))
    found = workspace().results.list(search=search.strip() or None, project=project, limit=limit + 1)
    more, found = len(found) > limit, found[:limit]
    if not found and not search.strip() and project is None:
        empty("No result yet. A workflow that saves a result shows it here; this one does, with the offline model:", "hishamos demo")
    st.caption(some(len(found), "result") + (", the newest" if more else ""))
    for result in found:
        with st.container(border=True, gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link("views/results.py", label=f"**{plain(result.title)}**", query_params={"result": result.id})
                _labels(result)
            st.text(result.summary[:500])
            st.caption(plain(_facts(result)))
    if more and limit < MOST and st.button("Show more", type="tertiary", icon=":material/expand_more:"):
        st.query_params["shown"] = str(limit + PAGE)
        st.rerun()


def _reading(result: Result) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        _labels(result)
        st.caption(plain(_facts(result)))
        st.space("stretch")
        if result.run_pruned_at:
            st.caption(f"Its run {(result.run_id or '')[:6]} was pruned on {clock(result.run_pruned_at)}")
        elif result.run_id:
            st.page_link("views/run.py", label=f"Open run {result.run_id[:6]}", query_params={"run": result.run_id})
    _rating(result)
    st.text(result.summary)
    if result.body:
        with st.container(border=True):
            st.markdown(readable(result.body))
    if result.action_items:
        _items(result)
    with st.container(horizontal=True):
        st.download_button("Markdown", _markdown(result), f"{result.id}.md", "text/markdown", on_click="ignore")
        st.download_button("JSON", result.model_dump_json(indent=2), f"{result.id}.json", "application/json", on_click="ignore")
    _beside(result)
    _comments(result)


def _projects() -> list[str]:
    """Return the keys of projects, those that runs alone name too."""
    ws = workspace()
    return sorted({project.key for project in ws.projects.list()} | {key for key in ws.runs.counts("project") if key})


def _items(result: Result) -> None:
    """Draw the action items, each with its issue or a way to one."""
    ws = workspace()
    st.subheader("Action items", anchor=False)
    made = {issue.origin: issue for issue in ws.results.issues(result.id)}
    origins = [result.item_origin(place) for place in range(len(result.action_items))]
    keys = sorted({*_projects(), *([result.project] if result.project else [])})
    project = None
    if any(origin not in made for origin in origins):
        index = keys.index(result.project) if result.project else 0 if keys else None
        words, told = "Project of the issues", "A key of capital letters; a new one makes the project."
        project = st.selectbox(
            words, keys, index=index, key=f"project of {result.id}", placeholder="a key, such as DEMO", accept_new_options=True, help=told, width=260
        )
    for place, (item, origin) in enumerate(zip(result.action_items, origins, strict=True)):
        with st.container(horizontal=True, vertical_alignment="center"):
            issue = made.get(origin)
            if issue is not None:
                st.badge(issue.key, color="green", icon=":material/task_alt:")
                st.caption(issue.state, width="content")
            elif st.button("Make an issue", key=f"issue {place} of {result.id}", disabled=not project):
                _make(result, place, str(project))
            st.text(item)
    if made:
        st.caption(f"In a terminal: `hishamos issues {next(iter(made.values())).key}`")


def _make(result: Result, place: int, project: str) -> None:
    try:
        workspace().results.to_issues(result.id, items=[place], project=project)
    except HishamosError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.rerun()


def _rating(result: Result) -> None:
    given = st.feedback("stars", key=f"stars-{result.id}", default=None if result.rating is None else result.rating - 1)
    if given is not None and given + 1 != result.rating:
        workspace().results.rate(result.id, given + 1)
        st.rerun()


def _beside(result: Result) -> None:
    """Draw how it compares with another result of the same workflow."""
    compare = st.expander("Compare", key="compare", on_change="rerun")
    if not compare.open:
        return
    with compare:
        others = {one.id: one for one in workspace().results.list(limit=PAGE) if one.id != result.id and one.workflow == result.workflow}
        if not others:
            st.caption("There is no other result of this workflow.")
            return
        chosen = st.selectbox("with", list(others), index=None, format_func=lambda name: f"{others[name].title} · {_facts(others[name])}", key="other")
        if chosen is None:
            st.caption("Choose the result to compare with.")
            return
        comparison = workspace().results.compare(result.id, chosen)
        if comparison.same:
            st.caption("They say the same.")
        for line in differences_told(comparison.differences):
            st.text(line)


def _comments(result: Result) -> None:
    """Draw what people said of it, the newest last, and a field to say more; what could not be kept stays in the field."""
    st.subheader("Comments", anchor=False)
    found = workspace().results.comments(result.id, limit=SAID + 1)
    if not found:
        st.caption("Nobody has said anything of it yet.")
    elif len(found) > SAID:
        st.caption(f"The newest {SAID}.")
    for one in found[-SAID:]:
        with st.container(border=True, gap="xxsmall"):
            st.caption(plain(f"{one.user_name} · {clock(one.created_at)} UTC"))
            st.text(one.text)
    field, kept = f"comment on {result.id}", f"comment kept on {result.id}"
    if st.session_state.pop(kept, False):
        st.session_state[field] = ""
    told = {"placeholder": "What is right, wrong or missing", "label_visibility": "collapsed", "height": 100}
    text = st.text_area("Comment", key=field, max_chars=LONGEST_COMMENT, **told)
    if st.button("Add comment", key=f"say on {result.id}"):
        try:
            workspace().results.comment(result.id, text)
        except HishamosError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        st.session_state[kept] = True
        st.rerun()


def _labels(result: Result) -> None:
    if result.offline:
        badge("offline")


def _facts(result: Result) -> str:
    stars = f"{result.rating} of 5" if result.rating else ""
    return " · ".join(part for part in (clock(result.created_at) + " UTC", result.workflow, result.project, result.user_name, stars) if part)


def _markdown(result: Result) -> str:
    items = [f"- {item}" for item in result.action_items]
    parts: list[Any] = [f"# {result.title}", state_label("offline") if result.offline else "", result.summary, result.body, "\n".join(items)]
    return "\n\n".join(part for part in parts if part) + "\n"


page()
