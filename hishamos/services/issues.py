"""``ws.issues``: the work."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Sequence
from typing import get_args

from hishamos.contracts.services import Issues
from hishamos.errors import UnknownName
from hishamos.records.record import now
from hishamos.records.results import Issue, IssueDraft, IssueState
from hishamos.services.service import Service, acting_run, implements

STATES: tuple[str, ...] = get_args(IssueState)


@implements(Issues)
class IssuesService(Service):
    """Issues of one workspace for one actor."""

    def list(self, *, project: str | None = None, state: str | None = None, limit: int = 100) -> List[Issue]:
        if state is not None:
            _known(state)
        return self.machinery.work.issues(project=project, state=state, limit=limit)

    def get(self, key: str) -> Issue:
        return self.machinery.work.issue(key)

    def create(self, project: str, drafts: Sequence[IssueDraft]) -> List[Issue]:
        run = acting_run.get()
        run_id = run.run_id if run else None
        moment = now()
        return self.change(
            "issues.create",
            List[Issue],
            lambda transaction: self.machinery.work.create_issues(transaction, project, drafts, run_id=run_id, created_at=moment),
        )

    def move(self, key: str, state: str, *, version: int) -> Issue:
        _known(state)
        moment = now()
        return self.change(
            "issues.move",
            Issue,
            lambda transaction: self.machinery.work.move_issue(transaction, key, state, version=version, updated_at=moment),
        )


def _known(state: str) -> None:
    if state not in STATES:
        raise UnknownName.among("issue state", state, list(STATES), next=f"An issue is {', '.join(STATES[:-1])} or {STATES[-1]}.")
