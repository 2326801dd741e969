"""What agents may look up about bugs that are known already."""

from __future__ import annotations

from typing import Any

from hishamos.errors import InvalidInput
from hishamos.records.results import Issue
from hishamos.records.tools import tool
from hishamos.text.similarity import Vectors, piece_terms, word_terms
from hishamos.workspace import Workspace

NEWEST = 1000
"""So many of a project's issues are compared."""
MOST = 20


@tool
def find_similar_bugs(ws: Workspace, text: str, project: str = "DEMO", limit: int = 5) -> list[dict[str, Any]]:
    """Find the issues of a project that tell of the same fault as a report, most alike first, each with its similarity from 0 to 1.

    ``text``: the report; ``limit``: from 1 to 20. Compares with the newest 1000 issues: the mean of tf-idf cosine over words and over pieces of
    words. Issues that share nothing with the report are left out. Raises :class:`InvalidInput`.
    """
    if not 1 <= limit <= MOST:
        raise InvalidInput(what=f"limit is {limit}", where="find_similar_bugs", next=f"Give a number from 1 to {MOST}.")
    issues = ws.issues.list(project=project, limit=NEWEST)
    texts = [text, *(f"{issue.title}\n{issue.body}" for issue in issues)]
    vectors = Vectors([word_terms(one) for one in texts]), Vectors([piece_terms(one) for one in texts])
    alike = [sum(one.cosine(0, place) for one in vectors) / len(vectors) for place in range(1, len(texts))]
    best = sorted(zip(alike, issues, strict=True), key=lambda pair: -pair[0])[:limit]
    return [_told(issue, share) for share, issue in best if share]


def _told(issue: Issue, similarity: float) -> dict[str, Any]:
    return {"key": issue.key, "title": issue.title, "state": issue.state, "priority": issue.priority, "similarity": round(similarity, 3)}
