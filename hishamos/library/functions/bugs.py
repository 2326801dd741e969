"""What the workflow ``triage_bugs`` calls: read the reports, find duplicates, score, check the ranking, save.

Plain JSON values in, plain JSON values out, so that every step's output stands in the journal as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hishamos.errors import InvalidInput
from hishamos.library.functions.reports_file import read_table
from hishamos.text.similarity import Vectors, piece_terms, word_terms

ALIKE = 0.21
"""Two reports of one component are taken for the same fault from this similarity on; tuned on the tuning half of the sample."""
ALIKE_ELSEWHERE = 0.3
"""The same for two reports that were put to different components."""
_TITLE_COUNTS = 2
"""How often a title counts in a report's similarity."""

POINTS = {"blocker": 100, "major": 50, "minor": 20, "trivial": 5}
POINTS_PER_FURTHER_REPORT = 15
POINTS_REPRODUCIBLE = 5
_MOST_FURTHER = 4
_UNKNOWN_POINTS = 20
_EXCERPT = 280
_KEY = re.compile(r"[A-Z][A-Z0-9]{1,9}")


def read_reports(file: str, project: str = "") -> dict[str, Any]:
    """Read and check a CSV file of bug reports (``id,title,body``, more columns allowed).

    ``project``: the key that issues will be filed under, checked here so that a wrong one is told before anything is paid.
    Returns ``rows`` (``id, title, body, text, line, more``; ``text`` is title and body), ``count`` and the file's ``name``.
    Raises :class:`InvalidInput`.
    """
    if project and not _KEY.fullmatch(project):
        advice = "A key is 2 to 10 capital letters or digits and begins with a letter, such as DEMO."
        raise InvalidInput(what=f"{project!r} is no project key", where="input project", next=advice)
    rows = read_table(file)
    return {"rows": rows, "count": len(rows), "name": Path(file).name}


def find_duplicates(rows: Sequence[dict[str, Any]], classes: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """Find reports that tell of the same fault: the mean of tf-idf cosine over words and over pieces of words.

    Rows that were classified as no report are left out. Returns ``pairs`` (``first, second, similarity`` 0 to 1, most alike first)
    and ``groups`` (ids of reports of one fault, in the file's order; a report without a duplicate is in none).
    """
    paired = _paired(rows, classes)
    kept = [(row, kind) for row, kind in paired if kind.get("is_report", True)]
    texts = [f"{row['title']}\n" * _TITLE_COUNTS + row["body"] for row, _ in kept]
    by_word = Vectors([word_terms(text) for text in texts])
    by_piece = Vectors([piece_terms(text) for text in texts])
    pairs = []
    for first, second in by_word.candidates(most=max(20, len(kept) // 5)):
        alike = (by_word.cosine(first, second) + by_piece.cosine(first, second)) / 2
        together = kept[first][1].get("component") == kept[second][1].get("component")
        if alike >= (ALIKE if together else ALIKE_ELSEWHERE):
            pairs.append({"first": kept[first][0]["id"], "second": kept[second][0]["id"], "similarity": round(alike, 3)})
    pairs.sort(key=lambda pair: -pair["similarity"])
    return {"pairs": pairs, "groups": _joined([row["id"] for row, _ in kept], pairs)}


def group_and_score(rows: Sequence[dict[str, Any]], classes: Sequence[dict[str, Any] | None], duplicates: dict[str, Any]) -> dict[str, Any]:
    """Put reports of one fault together and score each fault from facts alone.

    The score is the points of the worst severity in the group, 15 for each further report (four at most), 5 where a report says how it
    happens again. Returns ``overview`` (a sentence), ``counts``, ``groups`` (highest score first; ``id`` is the first report's) and ``rejected``
    (``id, title`` of rows that are no report).
    """
    paired = _paired(rows, classes)
    by_id = {row["id"]: (row, kind) for row, kind in paired}
    rejected = [{"id": row["id"], "title": row["title"]} for row, kind in paired if not kind.get("is_report", True)]
    away = {item["id"] for item in rejected}
    member_of = {name: group for group in duplicates["groups"] for name in group}
    groups = []
    for row, _ in paired:
        members = member_of.get(row["id"], [row["id"]])
        if row["id"] not in away and members[0] == row["id"]:
            groups.append(_scored([by_id[name] for name in members]))
    groups.sort(key=lambda group: -group["score"])
    counts = {
        "rows": len(paired),
        "reports": len(paired) - len(rejected),
        "rejected": len(rejected),
        "faults": len(groups),
        "by_severity": dict(Counter(group["severity"] for group in groups)),
        "by_component": dict(Counter(group["component"] for group in groups)),
    }
    return {"overview": _overview(counts), "counts": counts, "groups": groups, "rejected": rejected}


def check_ranking(ranking: dict[str, Any], groups: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Hold a ranking by a model against the facts: a top pick must be a report that exists, each fault once.

    An id that no report has is taken out and told under ``unknown``; places that stay empty are filled by score and say so.
    Returns ``headline``, ``body``, ``top`` (up to three of ``id, title, severity, component, reason, reports, score``) and ``unknown``.
    """
    group_of = {name: group for group in groups for name in group["reports"]}
    picks = [pick for pick in ranking.get("top") or [] if isinstance(pick, dict)]
    named = [str(pick.get("id", "")).strip() for pick in picks]
    top: dict[str, dict[str, Any]] = {}
    for pick, name in zip(picks, named, strict=True):
        group = group_of.get(name)
        if group is not None and group["id"] not in top and len(top) < 3:
            reason = str(pick.get("reason") or "").strip()
            top[group["id"]] = {**_told(group), "reason": reason or "; ".join(group["reasons"]), "picked_by": "model"}
    for group in groups:
        if len(top) >= 3:
            break
        top.setdefault(group["id"], {**_told(group), "reason": "; ".join(group["reasons"]), "picked_by": "score"})
    return {
        "headline": str(ranking.get("headline") or "").strip(),
        "body": str(ranking.get("body") or "").strip(),
        "top": list(top.values()),
        "unknown": [name for name in dict.fromkeys(named) if name not in group_of],
    }


def _paired(rows: Sequence[dict[str, Any]], classes: Sequence[dict[str, Any] | None]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    if len(rows) != len(classes):
        advice = "Give the classes in the rows' order, one for each row."
        raise InvalidInput(what=f"{len(rows)} rows and {len(classes)} classes do not belong together", where="classes", next=advice)
    missing = [row["id"] for row, kind in zip(rows, classes, strict=True) if not isinstance(kind, dict)]
    if missing:
        told = ", ".join(missing[:5])
        raise InvalidInput(what=f"{len(missing)} rows have no class", where=f"rows {told}", next="Resume the run: unfinished rows are classified again.")
    return [(row, kind) for row, kind in zip(rows, classes, strict=True) if kind is not None]


def _joined(names: Sequence[str], pairs: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return groups of names, each in the order of ``names``.

    Two groups become one only where at least half of the pairs between them are alike: one chance likeness does not chain two faults.
    """
    group = {name: [name] for name in names}
    alike = {frozenset((pair["first"], pair["second"])) for pair in pairs}
    for pair in pairs:
        first, second = group[pair["first"]], group[pair["second"]]
        if first is not second:
            linked = sum(frozenset((a, b)) in alike for a in first for b in second)
            if 2 * linked >= len(first) * len(second):
                first.extend(second)
                group.update(dict.fromkeys(second, first))
    place = {name: index for index, name in enumerate(names)}
    found = {id(members): sorted(members, key=lambda name: place[name]) for name in names if len(members := group[name]) > 1}
    return sorted(found.values(), key=lambda members: place[members[0]])


def _scored(members: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    severities = [str(kind.get("severity", "")) for _, kind in members]
    severity = max(severities, key=lambda name: POINTS.get(name, _UNKNOWN_POINTS))
    components = Counter(str(kind.get("component", "")) for _, kind in members)
    first = members[0][0]
    further = min(len(members) - 1, _MOST_FURTHER)
    again = any(kind.get("reproducible") for _, kind in members)
    names = [row["id"] for row, _ in members]
    reasons = [severity]
    if further:
        reasons.append(f"reported {len(members)} times ({', '.join(names)})")
    if again:
        reasons.append("happens again as described")
    score = POINTS.get(severity, _UNKNOWN_POINTS) + POINTS_PER_FURTHER_REPORT * further + POINTS_REPRODUCIBLE * again
    return {
        "id": first["id"],
        "title": first["title"],
        "severity": severity,
        "component": components.most_common(1)[0][0],
        "reports": names,
        "score": score,
        "reasons": reasons,
        "excerpt": _shortened(first["body"]),
    }


def _told(group: dict[str, Any]) -> dict[str, Any]:
    return {key: group[key] for key in ("id", "title", "severity", "component", "reports", "score")}


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _EXCERPT else flat[:_EXCERPT].rsplit(" ", 1)[0] + " …"


def _overview(counts: dict[str, Any]) -> str:
    severities = ", ".join(f"{counts['by_severity'][name]} {name}" for name in POINTS if counts["by_severity"].get(name))
    reports, faults, rejected = counts["reports"], counts["faults"], counts["rejected"]
    told = f"{reports} report{'s tell' if reports != 1 else ' tells'} of {faults} fault{'s' if faults != 1 else ''}"
    told += f" ({severities})" if severities else ""
    return told + (f"; {rejected} of {counts['rows']} rows {'are' if rejected != 1 else 'is'} no report." if rejected else ".")
