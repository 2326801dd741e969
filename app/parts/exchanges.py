"""One attempt at a provider: what it was asked, what came back, what that cost and why this model was asked."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.formats import clock, count, missing, money
from hishamos.errors import HishamosError
from hishamos.records.calls import Attempt
from hishamos.records.exchanges import Exchange
from parts.connection import workspace
from parts.filters import tag_links
from parts.heads import badge
from parts.listings import taken
from parts.plain import plain
from parts.values import value, words

ROLES = {"system": "Instructions", "user": "Question", "assistant": "Answer before", "tool": "Result of a tool"}


def exchange(attempt: str, *, run: str | None = None) -> None:
    """Draw an attempt, if it is there. ``run``: only one of this run."""
    try:
        found = workspace().ledger.exchange(attempt)
    except HishamosError as error:
        st.warning(plain(str(error)), icon=":material/search_off:")
        return
    one = found.attempt
    if run is not None and one.run_id != run:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"Attempt {one.id[:6]}", anchor=False, width="content")
        badge("offline" if one.offline else one.status)
        st.caption(plain(" · ".join(part for part in (one.model, one.step_id) if part)), width="content")
    if one.error:
        st.error(plain(f"{one.cause}: {one.error}" if one.cause else one.error), icon=":material/error:")
    if one.why:
        st.text(one.why)
    tag_links(one.own_tags)
    _numbers(one)
    left, right = st.columns(2)
    with left:
        _asked(found)
    with right:
        _came_back(found)
    with st.expander("All that the ledger holds of it"):
        value("Record", one.model_dump(mode="json"))


def _numbers(attempt: Attempt) -> None:
    kinds = {"cached": attempt.cached_tokens, "written to the provider's cache": attempt.cache_write_tokens, "for reasoning": attempt.reasoning_tokens}
    more = ", ".join(f"{count(number)} {kind}" for kind, number in kinds.items() if number)
    facts = {
        "Cost": "offline" if attempt.offline else money(attempt.cost_nanos),
        "Time": taken(attempt.latency_ms),
        "First token after": taken(attempt.ttft_ms),
        "Input tokens": count(attempt.input_tokens),
        "Output tokens": count(attempt.output_tokens) + (f" (of all: {more})" if more else ""),
        "Sent": f"{clock(attempt.started_at)} UTC",
    }
    st.markdown(" · ".join(f"{name} **{plain(fact)}**" for name, fact in facts.items() if fact != missing()))


def _asked(found: Exchange) -> None:
    st.markdown("**What it was asked**")
    for message in found.messages:
        st.caption(ROLES[message.role])
        words(message.content)
        for file in message.files:
            st.caption(plain(file.name))
    if found.messages and found.call > 1:
        st.caption(f"This is call {found.call} of its step: what came before it was sent along.")
    if not found.messages and found.step is not None:
        st.caption("Its step puts its own questions. What it was given:")
        value("Inputs", found.step.inputs)
    if found.step is None:
        st.caption("Questions are kept with runs. This call belongs to none, or its run was let go.")


def _came_back(found: Exchange) -> None:
    st.markdown("**What came back**")
    if found.answer:
        words(found.answer)
    for tool in found.tools:
        st.caption("It asks for a tool:")
        words(f"{tool.name} {tool.arguments}")
    if found.answer is not None or found.tools:
        return
    if found.attempt.error:
        st.caption("No answer: the error above.")
    elif found.step is not None and found.step.output is not None and found.attempt.usage is not None:
        st.caption("Its answer was not kept. This is what its step gave:")
        value("Output", found.step.output)
    else:
        st.caption("Nothing is kept of it.")
