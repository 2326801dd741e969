"""Calls: the attempts behind a sum, newest first, as many filters as stand in the address; a click leads to the run's trace."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from hishamos.charts.formats import clock, count, money, some
from hishamos.errors import HishamosError, InvalidInput
from hishamos.records.calls import AttemptStatus
from parts.connection import workspace
from parts.exchanges import exchange
from parts.filters import chips, is_filter, only
from parts.heads import head
from parts.listings import attempts_table
from parts.plain import plain
from parts.states import pills_filter
from parts.sums import spend

HELP = """Attempts at providers, newest first: those behind a bar or a row of Costs. Each filter is in the address: copy it to share the list, take one away
to see more. A click on its model opens the trace of an attempt's run.

Same in a notebook: `ws.ledger.calls(only={"model": "openai/gpt-4.1-mini", "day": "2026-11-28"})`. In a terminal: `hishamos sql "select * from attempts"`."""
PAGE = 50


def page() -> None:
    """Draw the page."""
    head("Calls", help_text=HELP, above=("views/costs.py", "Costs"), here="Calls")
    asked = {name: value for name, value in st.query_params.items() if is_filter(name) or name in {"since", "until"}}
    with st.container(horizontal=True):
        chips("views/calls.py", asked, {})
    status = pills_filter("status", [one.value for one in AttemptStatus])
    try:
        since, until = _moment(asked, "since"), _moment(asked, "until")
        _listing(only() | ({"status": status} if status else {}), since, until)
    except HishamosError as error:
        st.warning(plain(str(error)), icon=":material/search_off:")


def _listing(chosen: dict[str, str | None], since: datetime | None, until: datetime | None) -> None:
    after = st.query_params.get("after") or None
    found = workspace().ledger.calls(only=chosen, since=since, until=until, after=after, limit=PAGE + 1)
    total = spend([], since, until, chosen, sums_only=True).to_dict("records")[0]
    unpriced = f" + {count(total['unpriced'])} unpriced" if total["unpriced"] else ""
    said = "offline" if total["attempts"] and total["offline"] == total["attempts"] else money(int(total["cost_nanos"])) + unpriced
    st.markdown(f"**{some(int(total['attempts']), 'attempt')}** · {said}")
    shown = found[:PAGE]
    if not shown:
        st.caption("No attempt has all of this. Take a filter away.")
        return
    picked = attempts_table(shown, "calls", apart=True)
    with st.container(horizontal=True):
        here = {name: value for name, value in st.query_params.items() if name != "after"}
        if after:
            st.page_link("views/calls.py", label="Newest", icon=":material/first_page:", query_params=here, width="content")
        if len(found) > PAGE:
            st.page_link("views/calls.py", label="Older", icon=":material/chevron_right:", query_params=here | {"after": shown[-1].id}, width="content")
        st.caption(f"{clock(shown[-1].started_at)} to {clock(shown[0].started_at)} UTC")
    if picked is not None and picked.run_id:
        st.switch_page("views/run.py", query_params={"run": picked.run_id, "attempt": picked.id})
    if picked is not None:
        exchange(picked.id)


def _moment(asked: dict[str, str], name: str) -> datetime | None:
    text = asked.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(what=f"{text[:80]!r} is no time", where=name, next="Write it as 2026-11-28T00:00:00+00:00, or leave it out.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


page()
