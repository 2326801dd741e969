"""How much of a limit is used, as a bar whose colour and words say whether that is well."""

from __future__ import annotations

import html

import streamlit as st

from hishamos.charts.formats import clock, money, share
from hishamos.records.money import Budget
from parts.plain import plain
from parts.style import STATES_SEEN, link_colour, theme

NEAR = 0.8
"""From this part of a limit on, where the budget names no other, its bar is amber."""


def meter(part: float, *, words: str, near: float = NEAR) -> None:
    """Draw a bar; ``part``: of the limit, 1 where it is reached; ``words``: what it says to those who can't see it."""
    seen = STATES_SEEN[theme()]
    colour = seen["red"] if part >= 1 else seen["amber"] if part >= near else link_colour()
    inner = f'<div style="width:{100 * min(1.0, part):.1f}%;height:100%;border-radius:3px;background:{colour}"></div>'
    said = f'role="img" aria-label="{html.escape(words, quote=True)}"'
    st.html(f'<div {said} style="height:6px;border-radius:3px;background:rgba(128,128,128,.22);overflow:hidden">{inner}</div>')


def budget_meter(budget: Budget) -> None:
    """Draw how much of a budget is spent and reserved, in numbers and as a bar, and the newest of its warnings."""
    held = budget.committed_nanos + budget.reserved_nanos
    part = held / budget.limit_nanos if budget.limit_nanos else 1.0
    words = f"{money(budget.committed_nanos)} of {money(budget.limit_nanos)} spent ({share(budget.committed_nanos, budget.limit_nanos)})"
    if budget.reserved_nanos:
        words += f", {money(budget.reserved_nanos)} reserved by calls under way"
    with st.container(gap="xsmall"):
        st.markdown(plain(words))
        meter(part, words=f"{budget.name}: {words}", near=float(min(budget.warn_at, default=NEAR)))
        if budget.warnings:
            st.caption(plain(warned(budget)))


def warned(budget: Budget) -> str:
    """Return the newest of a budget's warnings in a sentence."""
    newest = budget.warnings[-1]
    goes_on = "New calls that do not fit are refused." if budget.hard else "It only warns: calls go on."
    return f"Passed {100 * newest.share:.0f} % on {clock(newest.passed_at)} UTC. {goes_on}"
