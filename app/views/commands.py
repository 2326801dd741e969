"""Commands: typed, versioned prompts; what each asks for, how it is worded and rated, and a form that runs it."""

from __future__ import annotations

import json

import streamlit as st

from hishamos.charts.formats import duration, money
from hishamos.errors import HishamosError
from hishamos.records.calls import CommandResult
from hishamos.records.definitions import CommandDefinition
from parts.command_opinions import marked, opinions
from parts.command_versions import versions
from parts.connection import workspace
from parts.fields import fields, model_field
from parts.heads import badge, head
from parts.plain import plain
from parts.states import one_of

HELP = """The workspace's own commands and those that ship with HishamOS. **Run** asks a model once; the answer, what it cost and who gave it stand in the
ledger like those of any other face.

**Versions** holds what each wording cost, how fast it was answered, how often it failed in 90 days and how people rated it; a click on one shows what was
changed since. Your own **favourites** stand first in the choice. Each person's rating of a version counts once, the latest.

Same in a notebook: `ws.commands.run("classify_bug", {"text": "…"})`, `ws.commands.versions("classify_bug")`, `ws.commands.rate("classify_bug", 4)`,
`ws.commands.favour("classify_bug")`. In a terminal: `hishamos command classify_bug -i text=…`, `hishamos commands classify_bug --rate 4 --favour`."""
VERSIONS = "Versions"


def page() -> None:
    """Draw the page."""
    head("Commands", help_text=HELP)
    found = {command.name: command for command in workspace().commands.list()}
    favourites = workspace().commands.favourites()
    names = [*favourites, *(name for name in found if name not in favourites)]
    name = one_of("Command", names, "command", told=lambda name: marked(name) if name in favourites else name, key=" ".join(favourites))
    if name is None:
        st.caption("There is no command.")
        return
    command = found[name]
    st.markdown(plain(command.description))
    facts = [f"version {command.version}", command.category, ", ".join(command.tags), f"cache {command.cache}"]
    opinions(command, facts, favourite=name in favourites)
    form, words, history = st.tabs(["Run", "Template and answer", VERSIONS], key=f"tabs of {name}", on_change="rerun")
    with form:
        _run(command)
    with words:
        st.markdown("**Template**")
        st.code(command.template, language="jinja2", wrap_lines=True)
        st.markdown("**Answer**")
        st.code("plain text" if command.output is None else json.dumps(command.output, indent=2, ensure_ascii=False), language="json", wrap_lines=True)
    if history.open:
        with history:
            versions(command.name)


def _run(command: CommandDefinition) -> None:
    try:
        given = fields(command.parameters, command.name)
        model = model_field(command.name)
        if st.button(f"Run {command.name}", type="primary"):
            with st.spinner("Waiting for the answer"):
                _answer(workspace().commands.run(command.name, given, model=model))
    except HishamosError as error:  # the form stays as it was filled in
        st.error(plain(str(error)), icon=":material/error:")


def _answer(result: CommandResult) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(result.status, offline=result.offline)
            cost = "offline" if result.offline else "from the cache" if result.cached else money(result.cost_nanos)
            st.caption(f"{result.model} · {cost} · {duration(sum(attempt.latency_ms or 0 for attempt in result.attempts) / 1000)}")
        # A model's words are shown as they are, never rendered as markup.
        answer = result.output if isinstance(result.output, str) else json.dumps(result.output, indent=2, ensure_ascii=False)
        st.code(answer, language=None, wrap_lines=True)
        if result.not_judged:
            st.caption("Not judged by the offline model: " + ", ".join(result.not_judged))
        for attempt in result.attempts:
            if attempt.why or attempt.cause:
                st.caption(plain(f"{attempt.model}: {attempt.why or attempt.cause}"))


page()
