"""Pages of the console, drawn by its router without a browser."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hishamos

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

APP = Path(hishamos.__file__).parents[1] / "app"


def drawn(patch: pytest.MonkeyPatch, folder: Path, view: str, **query: str) -> AppTest:
    """Draw a page for a workspace's folder, as if its address had been opened; a page that breaks fails the test."""
    from streamlit.testing.v1 import AppTest

    _look_for_components_once()
    patch.setenv("HISHAMOS_WORKSPACE", str(folder))
    patch.syspath_prepend(str(APP))
    page = AppTest.from_file(str(APP / "main.py"), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    page.switch_page(f"views/{view}.py").run()
    assert not page.exception, [error.message for error in page.exception]
    return page


@functools.cache
def _look_for_components_once() -> None:
    """Have Streamlit read the facts of all that is installed once, a quarter of a second of a processor, not for each page that is drawn."""
    from streamlit.components.v2 import manifest_scanner

    manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


def words(page: AppTest) -> str:
    """Return what the page says, without the signs that keep it from being read as Markdown."""
    said = "\n".join(str(one.value) for kind in ("markdown", "caption", "text", "code", "error", "warning", "info", "success") for one in page.get(kind))
    said += "\n".join(link.proto.label for link in page.get("page_link"))
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", said)


def press(page: AppTest, label: str) -> AppTest:
    """Press the first button of that label; a page that breaks fails the test."""
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page
