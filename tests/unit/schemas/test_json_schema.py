"""jsonschema is loaded without its grammar of international addresses, which is there once it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from hishamos.schemas import json_schema
found = json_schema.load()
assert found is json_schema.load()
checker = found.FormatChecker()
print("lark" in sys.modules, "rfc3987_syntax" in sys.modules)
print(checker.conforms("http://example.org/é", "iri"), checker.conforms("é é", "iri"), checker.conforms("/é", "iri-reference"))
import rfc3987_syntax
print("lark" in sys.modules, rfc3987_syntax.__file__ is not None)
"""


@pytest.mark.long
def test_the_grammar_comes_when_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["False False", "True False True", "True True"], done.stderr
