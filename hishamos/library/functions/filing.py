"""Filing what a triage found: one result with the report, one issue per accepted fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hishamos.records.results import IssueDraft, ResultDraft
from hishamos.workspace import Workspace

Priority = Literal["highest", "high", "medium", "low"]
PRIORITY: dict[str, Priority] = {"blocker": "highest", "major": "high", "minor": "medium", "trivial": "low"}

OFFLINE = "⌁ Judged by the offline model, not a real answer.\n\n"


def save(ws: Workspace, *, report: Mapping[str, Any], facts: Mapping[str, Any], project: str, name: str = "", run: str = "") -> dict[str, Any]:
    """Save the report as a result and every fault as an issue of the project; entered again, it finds what it wrote.

    ``report``: what ``check_ranking`` returned; ``facts``: what ``group_and_score`` returned; ``name``: the file's name; ``run``: the run's id,
    by which the result knows whether the offline model answered.
    Returns ``result`` (its id) and ``issues`` (their keys, highest score first).
    """
    groups: Sequence[Mapping[str, Any]] = facts["groups"]
    ws.projects.ensure(project)
    issues = ws.issues.create(project, [_draft(group, name) for group in groups]) if groups else []
    keys = {str(group["id"]): issue.key for group, issue in zip(groups, issues, strict=True)}
    offline = bool(run) and ws.runs.get(run).offline
    draft = ResultDraft(
        title=f"Bug triage of {name}" if name else "Bug triage",
        summary=str(report.get("headline") or facts["overview"]),
        body=(OFFLINE if offline else "") + markdown(report, facts, keys),
        data={"top": list(report["top"]), "counts": facts["counts"], "rejected": facts["rejected"], "issues": keys},
        action_items=tuple(f"{keys[pick['id']]}: {pick['title']}" for pick in report["top"] if pick["id"] in keys),
        project=project,
        offline=offline,
    )
    return {"result": ws.results.save(draft).id, "issues": [issue.key for issue in issues]}


def markdown(report: Mapping[str, Any], facts: Mapping[str, Any], keys: Mapping[str, str]) -> str:
    """Return the release report: overview, first picks with reasons, the model's text, all faults as a table, what was set aside."""
    rows = ["| id | issue | severity | component | reports | score | title |", "|---|---|---|---|---:|---:|---|"]
    for group in facts["groups"]:
        cells = (group["id"], keys.get(group["id"], ""), group["severity"], group["component"], len(group["reports"]), group["score"], group["title"])
        rows.append("| " + " | ".join(_cell(value) for value in cells) + " |")
    parts = [facts["overview"], "", "## Fix first", ""]
    parts += [f"{place}. **{_cell(pick['id'])}** {_cell(pick['title'])}: {_cell(pick['reason'])}" for place, pick in enumerate(report["top"], 1)]
    if report.get("unknown"):
        parts += ["", f"The ranking also named {', '.join(map(_cell, report['unknown']))}; no report has such an id."]
    if report.get("body"):
        parts += ["", "## Report", "", str(report["body"])]
    parts += ["", "## All faults", "", *rows]
    if facts["rejected"]:
        parts += ["", "## Set aside as no report", "", *(f"- {_cell(item['id'])}: {_cell(item['title'])}" for item in facts["rejected"])]
    return "\n".join(parts) + "\n"


def _draft(group: Mapping[str, Any], name: str) -> IssueDraft:
    reports = list(group["reports"])
    told = [str(group["excerpt"]), "", f"Reports: {', '.join(reports)}", f"Why: {'; '.join(group['reasons'])}"]
    return IssueDraft(
        title=str(group["title"]) or str(group["excerpt"])[:80],
        body="\n".join(told),
        kind="bug",
        priority=PRIORITY.get(str(group["severity"]), "medium"),
        labels=tuple(label for label in (str(group["component"]), str(group["severity"])) if label),
        origin=f"{name}#{group['id']}",  # two files may use the same ids
    )


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
