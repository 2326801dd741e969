"""The versions of a command: what each cost, how it did, how it was rated, and what was changed since."""

from __future__ import annotations

import difflib
from typing import Any

import streamlit as st

from hishamos.charts.formats import clock, count, money, share
from hishamos.charts.usage import rate
from hishamos.records.command_versions import CommandVersion
from parts.command_opinions import rate as rate_version
from parts.command_opinions import remarks
from parts.connection import workspace
from parts.listings import USD, amount, group_amount, table, taken

EACH = "Mean, USD"


def versions(name: str) -> None:
    """Draw a command's versions of the last 90 days, and the one that is chosen beside the one that is asked now."""
    found, ratings = workspace().commands.versions(name), workspace().commands.ratings(name)
    told = [one for one in found if one.attempts or one.ratings]
    if not told:
        st.caption("Nobody asked it in 90 days, nor rated it as it is now. Each wording that is asked shows here, with what it cost and how it did.")
        return
    right = [USD, EACH, "Attempts", "Failed", "Rating, of 5", "Ratings", "Input tokens", "Output tokens", "p50", "p95"]
    picked = table([_row(one) for one in told], [one.version for one in told], f"versions of {name}", right=right)
    st.caption("Mean and tokens are those of one attempt; half of the answers took at most p50, 95 % of them p95. Offline answers count in no rate.")
    chosen = next((one for one in told if one.version == picked), None)
    if chosen is not None:
        _changed(chosen, next(one for one in found if one.current))
        if not chosen.current:
            rate_version(name, chosen.version, ratings, f"Rate {chosen.version}")
    elif len(told) > 1 or not told[0].current:
        st.caption("Choose an earlier version to see what was changed since.")
    remarks([one for one in ratings if chosen is None or one.version == chosen.version])


def _row(one: CommandVersion) -> dict[str, str]:
    sums: dict[str, Any] = one.model_dump()
    priced = one.attempts - one.unpriced - one.offline - one.cached
    return {
        "Version": one.version + (" (now)" if one.current else ""),
        USD: group_amount(sums),
        EACH: amount(money(one.cost_nanos // priced)) if priced > 0 and one.cost_nanos else "–",
        "Attempts": count(one.attempts),
        "Failed": share(*rate(sums, "failed")),
        "Rating, of 5": "" if one.rating is None else f"{one.rating:.1f}",
        "Ratings": count(one.ratings) if one.ratings else "",
        "Input tokens": count(one.input_tokens / one.attempts if one.attempts else None),
        "Output tokens": count(one.output_tokens / one.attempts if one.attempts else None),
        "p50": taken(one.p50_ms),
        "p95": taken(one.p95_ms),
        "First, UTC": clock(one.first_at),
        "Last, UTC": clock(one.last_at),
    }


def _changed(earlier: CommandVersion, now: CommandVersion) -> None:
    if earlier.current:
        st.caption("This is the version that is asked now. Choose an earlier one to see what was changed since.")
        return
    st.subheader(f"From {earlier.version} to now", anchor=False)
    if earlier.text is None or now.text is None:
        st.caption("No run kept this version: it was asked outside of runs, or its runs were let go.")
        return
    lines = list(difflib.unified_diff(earlier.text.splitlines(), now.text.splitlines(), lineterm=""))
    st.code("\n".join(lines[2:]) or "Nothing was changed.", language="diff", wrap_lines=True)
