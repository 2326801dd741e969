"""What the theme's settings can't say: rules for elements that Streamlit names for tests, and the mark at the sidebar's head."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from hishamos.charts.formats import STATES, state_label

RULES = """
[data-testid=stMainBlockContainer]{padding:2.2rem 3rem 3rem}
[data-testid=stBottomBlockContainer]{padding-inline:3rem}
[data-testid=stMetricValue],[data-testid=stMetricDelta]{font-variant-numeric:tabular-nums}
/* A paragraph runs in the direction of its own words: Arabic from the right, whatever the page's direction. */
[data-testid=stMainBlockContainer] :is(p,li,h1,h2,h3,td,th),[data-testid=stText],[data-testid=stText] *{unicode-bidi:plaintext;text-align:start}
/* A link to a page is a link, not a tab, and stands where the text around it begins. */
[data-testid=stMainBlockContainer] [data-testid=stPageLink-NavLink]{background:transparent;padding:.1rem 0}
[data-testid=stMainBlockContainer] [data-testid=stPageLink-NavLink] :is(p,span){font-weight:500;color:$link;white-space:normal;overflow-wrap:anywhere}
[data-testid=stMainBlockContainer] [data-testid=stPageLink-NavLink]:hover p{text-decoration:underline}
/* What refreshes by itself does not fade each time that it does. */
[data-testid=stMainBlockContainer] [data-stale=true]{opacity:1!important;transition:none!important}
/* Streamlit's own captions are text that is seen through, too pale on these grounds. */
[data-testid=stCaptionContainer]{opacity:1;color:$muted}
[data-testid=stCaptionContainer] code{font-size:.9em}
/* Streamlit's colours of code can't be read on the light ground; these are those of the family. */
[data-testid=stCode] code .token{color:$text!important;background:transparent!important}
[data-testid=stCode] code .token:is(.keyword,.builtin,.class-name,.function,.property,.tag){color:$link!important}
[data-testid=stCode] code .token:is(.string,.char,.attr-value){color:$string!important}
[data-testid=stCode] code .token:is(.number,.boolean,.parameter,.constant){color:$number!important}
[data-testid=stCode] code .token:is(.comment,.prolog){color:$muted!important}
[data-testid=stCode] code .token.deleted,[data-testid=stCode] code .token.deleted .token{color:$gone!important}
[data-testid=stCode] code .token.inserted,[data-testid=stCode] code .token.inserted .token{color:$added!important}
/* Lines of a definition stand below each other as they are in its file. */
.st-key-definition-text textarea{font-family:monospace;font-size:.9rem;line-height:1.5;white-space:pre;overflow-x:auto}
/* A graph is drawn twice where it is wider than a phone. */
.hish-narrow{display:none}
@media(max-width:640px){
  .hish-narrow{display:block}
  .hish-wide{display:none}
  [data-testid=stMainBlockContainer]{padding:4.2rem 1rem 2rem}
  [data-testid=stBottomBlockContainer]{padding-inline:1rem}
  /* Figures stand in twos on a phone, not one below the other. */
  [data-testid=stColumn]:has(>[data-testid=stVerticalBlock]>[data-testid=stElementContainer]>[data-testid=stMetric]){min-width:calc(50% - 1rem)}
}
"""
DARK = """
/* White on the dark theme's bright teal can't be read. */
[data-testid=stBaseButton-primary],[data-testid=stBaseButton-primaryFormSubmit]{color:#08201C}
"""
MARKED = """
/* The sidebar marks the page that is open where it lists it; this marks the one that an unlisted page belongs to alike. */
[data-testid=stSidebarNavLink][href$="/$page"]{background:$chosen}
[data-testid=stSidebarNavLink][href$="/$page"],[data-testid=stSidebarNavLink][href$="/$page"] :is(span,p){font-weight:600;color:$text}
"""
COUNTED = """<style>[data-testid=stSidebarNavLink][href$="/$page"]::after{content:"$number";margin-left:auto;padding:0 .5em;border-radius:1em;
font-size:.85em;font-variant-numeric:tabular-nums;font-weight:600;color:$waits;background:rgba(178,128,40,.18)}</style><span></span>"""
COLOURS = {
    "light": {
        "$muted": "#5F5C55",
        "$link": "#0F766E",
        "$text": "#1C1B19",
        "$mark": "#0F766E",
        "$lines": "#FFFFFF",
        "$string": "#8A4B08",
        "$number": "#2744B8",
        "$chosen": "rgba(178,169,133,.25)",
        "$waits": "#8A4B08",
        "$gone": "#A61B1B",
        "$added": "#0A6B4B",
    },
    "dark": {
        "$muted": "#9CA39F",
        "$link": "#2DD4BF",
        "$text": "#E9E7E1",
        "$mark": "#2DD4BF",
        "$lines": "#08201C",
        "$string": "#F5B041",
        "$number": "#8FB4FF",
        "$chosen": "rgba(179,194,189,.25)",
        "$waits": "#F5B041",
        "$gone": "#FF8A8A",
        "$added": "#4ADE9C",
    },
}
SIGN = """<rect width="24" height="24" rx="6" fill="$mark"/><g stroke="$lines" stroke-width="2.2" stroke-linecap="round">
<path d="M6 7.5h12M6 12h8M6 16.5h10"/></g>"""
NAME = """<text x="33" y="18" font-family="Source Sans,Source Sans Pro,system-ui,sans-serif" font-size="18" font-weight="650" fill="$text">HishamOS</text>"""


STATES_SEEN = {
    "light": {"green": "#0A6B4B", "red": "#A61B1B", "amber": "#8A4B08", "blue": "#2744B8", "violet": "#6D28D9", "muted": "#6B6860"},
    "dark": {"green": "#4ADE9C", "red": "#FF8A8A", "amber": "#F5B041", "blue": "#8FB4FF", "violet": "#C9A7FF", "muted": "#9CA39F"},
}
"""The colours of states as text, on the grounds of both themes."""


def theme() -> Literal["light", "dark"]:
    """Return which theme the reader sees: ``light`` or ``dark``."""
    return "dark" if st.context.theme.type == "dark" else "light"


def state_colours() -> dict[str, str]:
    """Return the colour of each state, by its label."""
    return {state_label(state): STATES_SEEN[theme()][colour] for state, (_, _, colour) in STATES.items()}


def link_colour() -> str:
    """Return the colour of what leads somewhere."""
    return COLOURS[theme()]["$link"]


def dressed(belongs_to: str) -> None:
    """Give the page its rules and its mark. ``belongs_to``: the address of the page that the sidebar lists instead of this one; empty where it lists it."""
    seen = theme()
    rules = RULES + (DARK if seen == "dark" else "") + (MARKED.replace("$page", belongs_to) if belongs_to else "")
    st.html(f"<style>{_filled(rules, seen)}</style>")
    st.logo(_picture(SIGN + NAME, 150, seen), icon_image=_picture(SIGN, 24, seen), size="large")


def marked(page: str, number: int) -> None:
    """Have the sidebar say at a page's name how many things wait there; nothing where none does."""
    st.html(_filled(COUNTED.replace("$page", page).replace("$number", str(number)), theme()) if number else "<span></span>")


def _picture(inside: str, width: int, seen: str) -> str:
    return _filled(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="24" viewBox="0 0 {width} 24">{inside}</svg>', seen)


def _filled(text: str, seen: str) -> str:
    for name, colour in COLOURS[seen].items():
        text = text.replace(name, colour)
    return text
