"""Agents: who works, how each did so far, who fits a task, and a way to try one."""

from __future__ import annotations

import json
from collections.abc import Mapping

import streamlit as st

from hishamos.charts.formats import count, duration, missing, money, share, some
from hishamos.errors import HishamosError
from hishamos.records.definitions import AgentDefinition
from hishamos.records.picking import Candidate, TrackRecord
from parts.connection import workspace
from parts.heads import head, lost
from parts.plain import plain

HELP = """The workspace's own agents and those that ship with HishamOS. An agent's track record is what the ledger and ratings say of its last 90 days;
answers of the offline model and cancelled calls don't count. Say what is to be done, and the agents are ordered by how well they fit, with the reason.
No model is asked for that.

Same in a notebook: `ws.agents.pick("…")`, `ws.agents.record("legal")`, `ws.agents.ask("legal", "…")`. In a terminal: `hishamos pick "…"`, `hishamos agents`,
`hishamos ask legal "…"`."""


def page() -> None:
    """Draw the page: one agent where the address names one, else all of them."""
    name = st.query_params.get("agent", "")
    if name:
        _one(name)
    else:
        _all()


def _all() -> None:
    ws = workspace()
    head("Agents", help_text=HELP)
    task = st.text_input("What is to be done?", key="task", bind="query-params", placeholder="some words, to see who fits it best", max_chars=2000)
    agents = {agent.name: agent for agent in ws.agents.list()}
    candidates: dict[str, Candidate] = {}
    if task.strip():
        found = ws.agents.pick(task)
        candidates = {one.agent: one for one in found.candidates}
        st.caption(plain(found.why) if found.matched else "Nothing in the task matches what an agent can; how they did so far decides.")
    records = {record.agent: record for record in ws.agents.records()}
    names = [name for name in (candidates or agents) if name in agents]
    for place in range(0, len(names), 2):
        for cell, name in zip(st.columns(2), names[place : place + 2], strict=False):
            with cell:
                _card(agents[name], records[name], candidates.get(name), best=bool(candidates) and name == names[0])


def _card(agent: AgentDefinition, record: TrackRecord, candidate: Candidate | None, *, best: bool) -> None:
    with st.container(border=True, height="stretch"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link("views/agents.py", label=f"**{plain(agent.name)}**", query_params={"agent": agent.name})
            if candidate is not None:
                st.badge(f"{'best fit, ' if best else ''}{candidate.score:.2f} of 1", color="green" if best else "gray")
            st.space("stretch")
            st.page_link("views/chat.py", label="Try in Chat", icon=":material/forum:", query_params={"agent": agent.name})
        st.markdown(plain(agent.description))
        st.caption(plain(candidate.why) if candidate is not None else record_words(record))


def _one(name: str) -> None:
    ws = workspace()
    try:
        agent = ws.agents.get(name)
    except HishamosError as error:
        head("Agent", help_text=HELP)
        lost(error, "views/agents.py", "All agents")
        return
    head(plain(agent.name), help_text=HELP, above=("views/agents.py", "Agents"), here=agent.name)
    st.markdown(plain(agent.description))
    source = "ships with HishamOS" if agent.source == "library" else agent.source
    st.caption(plain(" · ".join(part for part in (f"version {agent.version}", source, ", ".join(agent.tags)) if part)))
    if st.button("Try in Chat", type="primary"):
        st.switch_page("views/chat.py", query_params={"agent": agent.name})
    _record(ws.agents.record(agent.name))
    _facts(agent, {command.name: command.description for command in ws.commands.list()})


def _record(record: TrackRecord) -> None:
    st.subheader("Track record, 90 days", anchor=False)
    if not record.calls and not record.ratings:
        st.caption("No call yet. Offline answers don't count.")
        return
    cells = st.columns(5)
    cells[0].metric("Calls", count(record.calls), border=True, help=f"{count(record.under_way)} more are under way." if record.under_way else None)
    cells[1].metric("Answered whole", share(record.answered, record.calls), border=True)
    cells[2].metric("Rating", missing() if record.rating is None else f"{record.rating:.1f} of 5", border=True, help=some(record.ratings, "rated result"))
    cells[3].metric("Median cost", missing() if record.cost_nanos is None else money(record.cost_nanos), border=True)
    cells[4].metric("Median time", duration(None if record.latency_ms is None else record.latency_ms / 1000), border=True)


def _facts(agent: AgentDefinition, commands: Mapping[str, str]) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("What it can", anchor=False)
        st.markdown(plain(", ".join(capability.replace("_", " ") for capability in agent.capabilities)) or missing())
        st.subheader("Tools", anchor=False)
        for tool in agent.tools:
            st.markdown(f"**{plain(tool)}** {plain(commands.get(tool, ''))}")
        if not agent.tools:
            st.caption("It has none: it answers from what it is told.")
    with right:
        st.subheader("Model and limits", anchor=False)
        limits, memory = agent.limits, agent.memory
        bounds = [some(limits.turns, "turn"), *([f"{limits.usd} USD"] if limits.usd is not None else []), duration(limits.seconds)]
        older = "older ones are summed up by a model" if memory.summary else "older ones are left out"
        answer = "text" if agent.output is None else "data by a schema"
        lines = [
            ("Model", plain(agent.model or "the workspace's route")),
            ("A task ends after", ", ".join(bounds)),
            ("An answer has at most", f"{count(agent.max_output_tokens)} tokens" if agent.max_output_tokens else "what its route says"),
            ("Remembers of a chat", f"{count(memory.window)} tokens; {older}"),
            ("Answers", answer),
        ]
        st.markdown("  \n".join(f"**{name}** {value}" for name, value in lines))
    with st.expander("Instructions"):
        st.code(agent.instructions, language=None, wrap_lines=True)
        if agent.output is not None:
            st.code(json.dumps(agent.output, indent=2, ensure_ascii=False), language="json", wrap_lines=True)


def record_words(record: TrackRecord) -> str:
    """Return a track record in a line."""
    if not record.calls:
        return "no call in 90 days"
    parts = [some(record.calls, "call"), f"{share(record.answered, record.calls)} answered whole"]
    parts += [f"rated {record.rating:.1f} of 5"] if record.rating is not None else []
    parts += [f"{money(record.cost_nanos)} a call"] if record.cost_nanos is not None else []
    parts += [duration(record.latency_ms / 1000)] if record.latency_ms is not None else []
    return " · ".join(parts)


page()
