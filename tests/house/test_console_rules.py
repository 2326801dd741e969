"""What holds of all pages of the console, and no page shows by itself."""

from __future__ import annotations

import re
from pathlib import Path

APP = Path(__file__).parents[2] / "app"
BOUND = re.compile(r'key="(\w+)",\s*bind="query-params"')
READ = re.compile(r'(?:st\.query_params(?:\.get\(|\[)|one_of\([^"\n]*"[^"\n]*",[^"\n]*|pills_filter\()"(\w+)"')
LISTS = re.compile(r"^(?:NAMES|GROUPS) = .*$", re.MULTILINE)


def test_what_streamlit_binds_to_the_address_means_nothing_on_another_page() -> None:
    """In a window that goes back from the page it is bound on, Streamlit takes it out of the other page's address."""
    texts = {file.relative_to(APP).as_posix(): file.read_text(encoding="utf-8") for file in sorted(APP.rglob("*.py"))}
    pairs = [(name, place) for place, text in texts.items() for name in BOUND.findall(text)]
    bound = dict(pairs)
    assert len(pairs) == len(bound), "two pages bind the same name"
    assert {"span", "search", "show"} <= bound.keys()
    read = {(name, place) for place, text in texts.items() for name in READ.findall(text)}
    assert {("agent", "views/agents.py"), ("agent", "views/chat.py"), ("state", "views/runs.py")} <= read
    filters = {name for place in ("parts/filters.py", "parts/sums.py") for line in LISTS.findall(texts[place]) for name in re.findall(r'"(\w+)"', line)}
    assert {"model", "workflow", "run_id"} <= filters
    assert [name for name, place in read if bound.get(name, place) != place] == []
    assert filters & bound.keys() == set()
