"""The records of decisions: numbered once, complete, linked."""

import pathlib
import re

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "data" / "decisions"
RECORDS = sorted(FOLDER.glob("*.md"))
SECTIONS = ["Context", "Decision", "Rationale", "Consequences", "Alternatives considered", "Follow-up"]
STATUSES = {"PROPOSED", "ACCEPTED", "REJECTED", "DEPRECATED"}


def status(text: str) -> str:
    found = re.search(r"^- Status: (\w+)$", text, re.MULTILINE)
    return found[1] if found else ""


def test_numbers_are_unique_and_without_gaps() -> None:
    numbers = [int(path.name[4:7]) for path in RECORDS]
    assert numbers == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_record_is_complete(path: pathlib.Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.fullmatch(r"ADR-\d{3}-[a-z0-9-]+\.md", path.name)
    assert text.startswith(f"# {path.name[:7]}: ")
    assert re.search(r"^- Date: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert status(text) in STATUSES
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert all(f"\n{part}:\n" in text for part in ("Positive", "Negative", "Mitigation"))
    bodies = re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    assert all(len(body.split()) >= 5 for body in bodies)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_links_resolve_and_a_deprecated_record_names_its_successor(path: pathlib.Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert all((FOLDER / link).is_file() for link in links)
    if status(text) == "DEPRECATED":
        successor = re.search(r"Replaced by \[ADR-\d{3}\]\(([^)]+)\)", text)
        assert successor
        after = (FOLDER / successor[1]).read_text(encoding="utf-8")
        assert status(after) == "ACCEPTED"
        assert path.stem in after
