"""Chat: a conversation with an agent or a model, as it comes, with what it costs."""

from __future__ import annotations

import base64
import json
from typing import TypeGuard

import streamlit as st

from hishamos.charts.formats import clock, count, duration, money, some, state_label
from hishamos.errors import HishamosError, UnknownName
from hishamos.records.calls import CommandResult
from hishamos.records.conversations import Conversation, Said
from parts.connection import guarded, workspace
from parts.fields import OFFLINE
from parts.heads import head, lost, section
from parts.listings import conversations_table, spend_words
from parts.plain import plain, readable
from parts.states import one_of
from parts.talks import Talk, say, talk_of

HELP = """A conversation with an agent, which remembers what was said; **assistant** is the model without a role. Each message is kept before it is answered: a
page that is closed loses nothing, and finds the answer when it is opened again. **Stop** ends an answer; what was asked till then is paid. In what a model
writes nothing is executed, loaded or linked. Files: images, PDFs and texts.

Same in a notebook: `talk = ws.conversations.start("assistant")`, `talk.say("…")`. In a terminal: `hishamos chat assistant`, `hishamos chats`."""
FIRST, MODEL = "assistant", "offline/extractive"
SHOWN, LISTED, MOST_FILE_MB = 50, 30, 20
KINDS = ["png", "jpg", "jpeg", "gif", "webp", "pdf", "txt", "md", "csv", "json", "yaml", "toml", "py", "sql", "log", "xml", "html"]
LIVE = "0.4s"


def page() -> None:
    """Draw the page: the conversation that the address names, else a new one."""
    identity = st.query_params.get("conversation", "")
    if identity:
        _one(identity)
    else:
        _new()


def _new() -> None:
    ws = workspace()
    head("Chat", help_text=HELP)
    agents = {agent.name: agent for agent in ws.agents.list()}
    models = [MODEL, *(name for name in ws.providers.models() if name != MODEL)]
    alone = all(provider.kind == "offline" or provider.state == "no key" for provider in ws.providers.list())
    left, right = st.columns(2)
    with left:
        agent = one_of("With", list(agents), "agent", first=FIRST, labelled=True)
    model = right.selectbox(
        "Model",
        models,
        index=0 if alone else None,
        placeholder="as the agent says",
        accept_new_options=True,
        key="model",
        help=f"A model, route or policy. {OFFLINE}",
    )
    if agent is None:
        st.caption("There is no agent.")
        return
    st.caption(plain(agents[agent].description))
    with st.container():  # in its place on the page: what stands at the window's foot scrolls the page there
        _ask(None, agent, model)
    _listing()


def _listing() -> None:
    found = workspace().conversations.list(limit=LISTED)
    section("Your conversations")
    if not found:
        st.caption("None yet. Write a message above; the conversation stays, and its address opens it again.")
        return
    chosen = conversations_table(found, "conversations")
    if len(found) == LISTED:
        st.caption(f"The newest {LISTED}. All of them: `hishamos chats`")
    if chosen is not None:
        st.switch_page("views/chat.py", query_params={"conversation": chosen})


def _one(identity: str) -> None:
    ws = workspace()
    try:
        talk = ws.conversations.get(identity)
        mine = talk_of(talk.id)
        speaking = mine is not None and not mine.ended  # asked before its answer is looked for: one that comes in between is found by `_live`
        talk, said = _read(talk)
    except HishamosError as error:
        head("Chat", help_text=HELP)
        lost(error, "views/chat.py", "New conversation")
        return
    head(plain(talk.title), help_text=HELP, above=("views/chat.py", "Chat"), here=talk.id[:6])
    with st.container(horizontal=True, vertical_alignment="center"):
        _facts(talk, offline=any(one.answer is not None and one.answer.offline for one in said))
        st.space("stretch")
        st.page_link("views/chat.py", label="New conversation", icon=":material/add:", query_params={"agent": talk.agent})
        with st.popover("Delete", type="tertiary"):
            st.markdown("Delete this conversation with all that was said in it? What it cost stays in the ledger.")
            if st.button("Delete for good"):
                ws.conversations.delete(talk.id)
                st.switch_page("views/chat.py")
    if talk.messages > SHOWN:
        st.caption(f"The last {SHOWN} of {count(talk.messages)} messages. All of them: `hishamos chats {talk.id[:6]}`")
    for one in said:
        if one.state != "open":
            _exchange(one)
    waiting = [one.number for one in said if one.state == "open"]
    under_way = bool(waiting) or (speaking and _waits(mine, said))
    if under_way:
        st.fragment(_live, run_every=LIVE)(talk.id, min(waiting, default=talk.messages + 1) - 1)
    elif mine is not None and mine.refused and all(one.id != mine.message for one in said):
        st.error(plain(mine.refused), icon=":material/error:")
    _ask(talk, talk.agent, talk.model, busy=under_way)


def _read(talk: Conversation) -> tuple[Conversation, list[Said]]:
    """Return a conversation and its last messages, of one moment: what is said or answered in between would be shown, but not counted, and stay so."""
    ws = workspace()
    while True:
        known = talk.model_dump()  # records of two answers are never equal: each knows its way to the workspace
        said = ws.conversations.messages(talk.id, after=max(0, talk.messages - SHOWN))
        talk = ws.conversations.get(talk.id)
        if talk.model_dump() == known:
            return talk, said


def _facts(talk: Conversation, *, offline: bool) -> None:
    spend = spend_words(talk.cost_nanos, talk.unpriced, offline=offline) if talk.messages else "nothing spent"
    asked = talk.model or "the agent's own model"
    st.caption(plain(f"with {talk.agent} · {asked} · {some(talk.messages, 'message')} · {spend} in all"), width="content")


def _waits(mine: Talk | None, said: list[Said]) -> TypeGuard[Talk]:
    """Return whether a message of this console still waits for its answer; its thread may hear of a stop later than the store tells of it."""
    return mine is not None and not any(one.id == mine.message and one.state != "open" for one in said)


def _live(identity: str, after: int) -> None:
    """Draw the message that is being answered; it is numbered above ``after``."""
    with guarded():
        ws, mine = workspace(), talk_of(identity)
        try:
            recent = ws.conversations.messages(identity, after=after)
        except UnknownName:  # it was deleted meanwhile: the page says so, once
            st.rerun()
        heard = mine if _waits(mine, recent) and not mine.ended else None
        asked = [heard.text] if heard is not None else [one.text for one in recent if one.state == "open"]
        if not asked:
            st.rerun()
        with st.chat_message("user", avatar=":material/person:"):
            st.markdown(plain(asked[0]))
        with st.chat_message("assistant", avatar=":material/forum:"):
            if heard is not None and heard.heard:
                st.markdown(readable(heard.heard))
            with st.container(horizontal=True, vertical_alignment="center"):
                if st.button("Stop", icon=":material/stop:"):
                    ws.conversations.stop(identity)
                works = heard.works if heard is not None else "is asked; the answer is shown once it is whole"
                st.caption(plain(f"{state_label('running')} {works}"))


def _exchange(said: Said) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        st.markdown(plain(said.text))
        for file in said.files:
            st.caption(plain(f"{file.name}, {file.word}, {count(-(-file.size // 1000))} kB"))
        if said.data is not None:
            st.code(json.dumps(said.data, ensure_ascii=False, indent=2), language="json", wrap_lines=True)
    with st.chat_message("assistant", avatar=":material/forum:"):
        if said.answer is not None:
            _answer(said.answer)
            st.caption(plain(_told(said, said.answer)))
        elif said.error is not None:
            stopped = said.error.type == "Cancelled"
            if said.error.facts.get("text"):
                st.markdown(readable(str(said.error.facts["text"])))
            if not stopped:
                st.error(plain(said.error.message), icon=":material/error:")
            words = state_label("cancelled").replace("cancelled", "stopped") if stopped else state_label("failed")
            st.caption(plain(f"{words} · {money(said.cost_nanos)} · {clock(said.asked_at)} UTC"))


def _answer(answer: CommandResult) -> None:
    if isinstance(answer.output, str):
        st.markdown(readable(answer.output))
    else:
        st.code(json.dumps(answer.output, ensure_ascii=False, indent=2), language="json", wrap_lines=True)


def _told(said: Said, answer: CommandResult) -> str:
    taken = [attempt.latency_ms for attempt in answer.attempts if attempt.latency_ms is not None]
    cost = state_label("offline") if answer.offline else money(said.cost_nanos)
    tools = f"used {', '.join(dict.fromkeys(use.name for use in answer.tools))}" if answer.tools else ""
    cut = state_label(answer.status) if answer.status != "succeeded" else ""
    older = f"{some(said.left_out, 'earlier message')} not sent in full" if said.left_out else ""
    parts = (cut, answer.model or "", cost, duration(sum(taken) / 1000) if taken else "", tools, older, f"{clock(said.asked_at)} UTC")
    return " · ".join(part for part in parts if part)


def _ask(talk: Conversation | None, agent: str, model: str | None, *, busy: bool = False) -> None:
    """Draw the field for the next message, and send what it holds."""
    prompt = "Stop the answer, or wait for it" if busy else f"Message to {agent}"
    given = st.chat_input(prompt, accept_file="multiple", file_type=KINDS, max_upload_size=MOST_FILE_MB, max_chars=100_000, disabled=busy, key="message")
    if given is None:
        return
    files = list(given.files) if not isinstance(given, str) else []
    text = (given if isinstance(given, str) else given.text).strip() or ("Look at this." if files else "")
    if not text:
        return
    ws = workspace()
    try:
        spoken = talk or ws.conversations.start(agent, title=text, model=model)
        paths = [ws.conversations.attach(spoken.id, file.name, base64.b64encode(file.getvalue()).decode()).path for file in files]
    except HishamosError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    say(ws, spoken.id, text, paths)
    if talk is None:
        st.switch_page("views/chat.py", query_params={"conversation": spoken.id})
    st.rerun()


page()
