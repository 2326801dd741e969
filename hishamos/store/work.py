"""Results, projects and issues in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hishamos.errors import StaleWrite, UnknownName
from hishamos.records.record import canonical
from hishamos.records.results import Issue, IssueDraft, Project, Result, ResultComment
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("work")


class StoreWork:
    """What came out, and the work it is about. Methods that change something take the transaction they are part of."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    # results

    def insert_result(self, transaction: Transaction, result: Result) -> Result:
        """Insert a result that has its id."""
        values = {
            **result.model_dump(exclude={"data", "action_items"}),
            "data": None if result.data is None else canonical(result.data),
            "action_items": canonical(list(result.action_items)),
        }
        transaction.insert_later(SQL["insert_result"], values)
        return result

    def result(self, identity: str) -> Result:
        """Return one result; raises :class:`UnknownName`."""
        row = self._connector.fetch_one(SQL["result_by_id"], {"id": identity})
        if row is None:
            known = [found["id"] for found in self._connector.fetch(SQL["result_ids"])]
            raise UnknownName.among("result", identity, known)
        return _result(row)

    def results(self, *, run: str | None, project: str | None, search: str | None, limit: int) -> list[Result]:
        """Return results, newest first."""
        values = {"run": run, "project": project, "search": search, "limit": limit}
        return [_result(row) for row in self._connector.fetch(SQL["results_found"], values)]

    def rate_result(self, transaction: Transaction, identity: str, rating: int) -> Result:
        """Set a result's rating; raises :class:`UnknownName`."""
        transaction.execute(SQL["rate_result"], {"id": identity, "rating": rating})
        return _known_result(transaction, identity)

    def insert_comment(self, transaction: Transaction, comment: ResultComment) -> ResultComment:
        """Insert a comment that has its id; raises :class:`UnknownName` where its result is not there."""
        _known_result(transaction, comment.result_id)
        transaction.insert(SQL["insert_comment"], comment.model_dump())
        return comment

    def comments(self, result: str, *, limit: int) -> list[ResultComment]:
        """Return the newest comments on a result, the newest last."""
        rows = self._connector.fetch(SQL["comments_on_result"], {"result": result, "limit": limit})
        return [ResultComment(**row) for row in reversed(rows)]

    # projects

    def projects(self) -> list[Project]:
        """Return all projects by key."""
        return [Project(**row) for row in self._connector.fetch(SQL["all_projects"])]

    def project(self, key: str) -> Project:
        """Return one project; raises :class:`UnknownName`."""
        row = self._connector.fetch_one(SQL["project_by_key"], {"key": key})
        if row is None:
            raise UnknownName.among("project", key, [project.key for project in self.projects()])
        return _project(row)

    def ensure_project(self, transaction: Transaction, project: Project) -> Project:
        """Return the project as it stands under this key, made if there is none."""
        transaction.execute(SQL["insert_project"], project.model_dump())
        row = transaction.fetch_one(SQL["project_by_key"], {"key": project.key})
        assert row is not None, "the row was inserted in this transaction"
        return _project(row)

    # issues

    def create_issues(self, transaction: Transaction, project: str, drafts: Sequence[IssueDraft], *, run_id: str | None, created_at: datetime) -> list[Issue]:
        """Create issues under the project's next numbers; a draft whose origin is known there gives the existing issue.

        The lock makes reading the counter and writing it one step, so that numbers have no gaps and none is used twice.
        """
        transaction.lock(f"issues:{project}")
        row = transaction.fetch_one(SQL["project_by_key"], {"key": project})
        if row is None:
            raise UnknownName.among("project", project, [found["key"] for found in transaction.fetch(SQL["all_projects"])])
        made: int = row["issues_made"]
        issues = []
        for draft in drafts:
            known = _by_origin(transaction, project, draft.origin)
            if known is not None:
                issues.append(known)
                continue
            made += 1
            issue = Issue(**draft.model_dump(), key=f"{project}-{made}", project=project, run_id=run_id, created_at=created_at, updated_at=created_at)
            values = issue.model_dump(exclude={"state", "version", "updated_at"}) | {"number": made, "labels": canonical(list(issue.labels))}
            transaction.execute(SQL["insert_issue"], values)
            issues.append(issue)
        if made != row["issues_made"]:
            transaction.execute(SQL["count_issues"], {"key": project, "issues_made": made})
        return issues

    def issue(self, key: str) -> Issue:
        """Return one issue; raises :class:`UnknownName`."""
        row = self._connector.fetch_one(SQL["issue_by_key"], {"key": key})
        if row is None:
            raise UnknownName.among("issue", key, [found["key"] for found in self._connector.fetch(SQL["issue_keys"])])
        return _issue(row)

    def issues(self, *, project: str | None, state: str | None, limit: int) -> list[Issue]:
        """Return issues, newest first."""
        rows = self._connector.fetch(SQL["issues_found"], {"project": project, "state": state, "limit": limit})
        return [_issue(row) for row in rows]

    def issues_from(self, origins: Sequence[str]) -> list[Issue]:
        """Return the issues that came from any of these origins, oldest first."""
        return [_issue(row) for row in self._connector.fetch(SQL["issues_from"], {"origins": list(origins)})]

    def move_issue(self, transaction: Transaction, key: str, state: str, *, version: int, updated_at: datetime) -> Issue:
        """Change an issue's state; raises :class:`StaleWrite` when ``version`` is not the current one."""
        transaction.lock(f"issue:{key}")
        row = transaction.fetch_one(SQL["issue_by_key"], {"key": key})
        if row is None:
            raise UnknownName.among("issue", key, [found["key"] for found in transaction.fetch(SQL["issue_keys"])])
        if row["version"] != version:
            raise StaleWrite(kind="Issue", name=key, yours=version, current=row["version"])
        transaction.execute(SQL["move_issue"], {"key": key, "state": state, "version": version, "updated_at": updated_at})
        moved = transaction.fetch_one(SQL["issue_by_key"], {"key": key})
        assert moved is not None, "the row was read in this transaction"
        return _issue(moved)


def _known_result(transaction: Transaction, identity: str) -> Result:
    row = transaction.fetch_one(SQL["result_by_id"], {"id": identity})
    if row is None:
        raise UnknownName.among("result", identity, [found["id"] for found in transaction.fetch(SQL["result_ids"])])
    return _result(row)


def _by_origin(transaction: Transaction, project: str, origin: str | None) -> Issue | None:
    if origin is None:
        return None
    row = transaction.fetch_one(SQL["issue_by_origin"], {"project": project, "origin": origin})
    return None if row is None else _issue(row)


def _result(row: Mapping[str, Any]) -> Result:
    values = dict(row)
    values["data"] = None if row["data"] is None else json.loads(row["data"])
    values["action_items"] = tuple(json.loads(row["action_items"]))
    return Result(**values)


def _project(row: Mapping[str, Any]) -> Project:
    return Project(key=row["key"], name=row["name"], created_at=row["created_at"])


def _issue(row: Mapping[str, Any]) -> Issue:
    values = {name: value for name, value in row.items() if name != "number"}
    return Issue(**{**values, "labels": tuple(json.loads(row["labels"]))})
