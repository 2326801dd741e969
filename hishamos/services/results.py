"""``ws.results``: what came out."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from hishamos.contracts.results import Results
from hishamos.errors import InvalidInput
from hishamos.records.record import new_id, now
from hishamos.records.result_comparisons import ResultComparison
from hishamos.records.results import LONGEST_COMMENT, Issue, IssueDraft, Project, Result, ResultComment, ResultDraft
from hishamos.services.comparing import MOST, compared
from hishamos.services.projects import KEY, RULE
from hishamos.services.remarks import check_rating, remark
from hishamos.services.service import Service, acting_run, implements
from hishamos.text.differences import differences

if TYPE_CHECKING:
    from hishamos.store.connectors import Transaction

TITLE = 200
"""Characters of an issue's title."""
SAID = ("title", "summary", "body", "data", "action_items", "rating")
"""What is held against each other of two results."""


@implements(Results)
class ResultsService(Service):
    """Results of one workspace for one actor."""

    def list(self, *, run: str | None = None, project: str | None = None, search: str | None = None, limit: int = 100) -> List[Result]:
        return self.machinery.work.results(run=run, project=project, search=search, limit=limit)

    def get(self, result: str) -> Result:
        return self.machinery.work.result(result)

    def compare(self, result: str, other: str) -> ResultComparison:
        after, before = self.get(result), self.get(other)
        said, now_said = (one.model_dump(mode="json", include=set(SAID)) for one in (before, after))
        runs = None
        pruned = before.run_pruned_at or after.run_pruned_at
        if before.run_id and after.run_id and before.run_id != after.run_id and not pruned:
            history = self.machinery.journal.history
            runs = compared(self.machinery, history.get(before.run_id), history.get(after.run_id))
        return ResultComparison(before=before, after=after, differences=tuple(islice(differences(said, now_said), MOST)), runs=runs)

    def save(self, draft: ResultDraft) -> Result:
        run = acting_run.get()
        result = Result(
            **(draft.model_dump() | {"project": draft.project or (run.project if run else None)}),
            id=new_id(),
            run_id=run.run_id if run else None,
            workflow=(run.workflow or None) if run else None,
            user_name=self.actor.name,
            created_at=now(),
        )
        return self.change("results.save", Result, lambda transaction: self.machinery.work.insert_result(transaction, result))

    def rate(self, result: str, rating: int) -> Result:
        check_rating(rating, f"result {result}")
        return self.change("results.rate", Result, lambda transaction: self.machinery.work.rate_result(transaction, result, rating))

    def comment(self, result: str, text: str) -> ResultComment:
        """See the contract."""
        said = remark(text, f"result {result}", LONGEST_COMMENT)
        if not said:
            raise InvalidInput(what="the comment is empty", where=f"result {result}", next="Write what you want to say of it.")
        made = ResultComment(id=new_id(), result_id=result, user_name=self.actor.name, text=said, created_at=now())
        return self.change("results.comment", ResultComment, lambda transaction: self.machinery.work.insert_comment(transaction, made))

    def comments(self, result: str, *, limit: int = 100) -> List[ResultComment]:
        """See the contract."""
        return self.machinery.work.comments(self.get(result).id, limit=limit)

    def to_issues(self, result: str, *, items: Sequence[int] | None = None, project: str | None = None) -> List[Issue]:
        """See the contract."""
        found, moment = self.get(result), now()
        key = project or found.project
        if key is None:
            raise InvalidInput(what="it belongs to no project", where=f"result {found.id}", next="Name the project that its issues are to stand in.")
        if not KEY.fullmatch(key):
            raise InvalidInput(what=f"{key!r} can't be a project's key", where="project", next=RULE)
        places = range(len(found.action_items)) if items is None else items
        for place in places:
            if not 0 <= place < len(found.action_items):
                what = f"there is no action item {place}"
                raise InvalidInput(what=what, where=f"result {found.id}", next=f"It has {len(found.action_items)}, counted from 0.")
        drafts = [_draft(found, place) for place in places]
        work = self.machinery.work

        def change(transaction: Transaction) -> List[Issue]:
            work.ensure_project(transaction, Project(key=key, name=key, created_at=moment))
            return work.create_issues(transaction, key, drafts, run_id=found.run_id, created_at=moment)

        return self.change("results.to_issues", List[Issue], change)

    def issues(self, result: str) -> List[Issue]:
        """See the contract."""
        found = self.get(result)
        return self.machinery.work.issues_from([found.item_origin(place) for place in range(len(found.action_items))])


def _draft(result: Result, place: int) -> IssueDraft:
    item = result.action_items[place]
    title = " ".join(item.split())
    body = f"{item}\n\nFrom the result {result.title!r} ({result.id})." + (f" Its run: {result.run_id}." if result.run_id else "")
    return IssueDraft(title=title if len(title) <= TITLE else f"{title[: TITLE - 1].rstrip()}…", body=body, kind="task", origin=result.item_origin(place))
