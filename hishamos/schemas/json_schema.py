"""``jsonschema`` without what it loads for nobody: its grammar of international addresses takes most of a second of a processor."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from types import ModuleType

GRAMMAR = "rfc3987_syntax"
_importing = threading.Lock()


def load() -> ModuleType:
    """Import ``jsonschema``, and return it; the grammar is loaded when a text of the format ``iri`` is first checked."""
    with _importing:
        if "jsonschema" in sys.modules or GRAMMAR in sys.modules or importlib.util.find_spec(GRAMMAR) is None:
            return importlib.import_module("jsonschema")
        stand_in = ModuleType(GRAMMAR)
        stand_in.is_valid_syntax = _is_valid  # type: ignore[attr-defined]  # the one name that is imported from it
        sys.modules[GRAMMAR] = stand_in
        try:
            return importlib.import_module("jsonschema")
        finally:
            if sys.modules.get(GRAMMAR) is stand_in:
                del sys.modules[GRAMMAR]


def _is_valid(rule: str, text: str) -> bool:
    return bool(importlib.import_module(GRAMMAR).is_valid_syntax(rule, text))
