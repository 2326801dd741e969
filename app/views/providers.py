"""Providers: who answers, how fast, at what cost, and what to do about those who don't."""

from __future__ import annotations

import streamlit as st

from hishamos.charts.formats import count, duration, money, share
from hishamos.errors import HishamosError
from hishamos.records.calls import CommandResult
from hishamos.records.workspaces import ProviderStatus
from parts.connection import guarded, workspace
from parts.heads import badge, empty, head
from parts.listings import taken
from parts.plain import plain

HELP = """Where models are served: the state of each provider, and how it did in the last 24 hours, from the ledger. A model that fails five
times in a row is left alone for a while, and other models of its route are asked; then one call tries it again.

**Test** makes one tiny call. It costs next to nothing, and stands in the ledger like any other.

Same in a notebook: `ws.providers.list()`, `ws.providers.test("openai")`. In a terminal: `hishamos providers`, `hishamos providers --test openai`."""
FIGURES = ("Attempts", "Failed", "p50", "p95", "First token", "Spend")


@st.fragment(run_every="5s")
def listing() -> None:
    """Draw all providers; refreshes by itself."""
    with guarded():
        found = workspace().providers.list()
        st.caption("How each did in the last 24 hours; p50 and p95: half, and 95 %, of its answers took at most this long.")
        for provider in found:
            _card(provider)
        if all(provider.kind == "offline" for provider in found):
            empty(
                "No provider is configured. With a key in the environment, or in hishamos.toml, it shows here; this line says what was found:",
                "hishamos doctor",
            )


def _card(provider: ProviderStatus) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(provider.name)}**", width="content")
            badge(provider.state)
            st.space("stretch")
            pressed = st.button("Test", key=f"test-{provider.name}", disabled=not provider.models, help="Makes one tiny call")
        if provider.attempts:
            _figures(provider)
        else:
            st.caption("No attempt in the last 24 hours.")
        facts = [f"key from `{provider.key}`" if provider.key else "", f"at `{provider.api_base}`" if provider.api_base else ""]
        facts += [", ".join(f"`{model}`" for model in provider.models), f"is not sent: {', '.join(provider.hides)}" if provider.hides else ""]
        st.caption(" · ".join(fact for fact in facts if fact))
        if provider.advice:
            st.warning(plain(provider.advice), icon=":material/build:")
        if provider.last_error:
            with st.expander("Last error"):
                st.text(provider.last_error)
        if pressed:
            _test(provider.name)


def _figures(provider: ProviderStatus) -> None:
    spend = "offline" if provider.kind == "offline" else money(provider.cost_nanos)
    failed = share(provider.failed, provider.attempts)
    values = (count(provider.attempts), failed, taken(provider.p50_ms), taken(provider.p95_ms), taken(provider.ttft_ms), spend)
    for cell, name, value in zip(st.columns(len(FIGURES)), FIGURES, values, strict=True):
        cell.metric(name, value)


def _test(name: str) -> None:
    try:
        answer = workspace().providers.test(name)
    except HishamosError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.success(plain(_said(answer)), icon=":material/check:")


def _said(answer: CommandResult) -> str:
    taken = duration(sum(attempt.latency_ms or 0 for attempt in answer.attempts) / 1000)
    cost = "offline" if answer.offline else money(answer.cost_nanos)
    return f"{answer.model} answered in {taken}, {cost}: {answer.text.strip()[:200] or 'nothing'}"


head("Providers", help_text=HELP)
listing()
