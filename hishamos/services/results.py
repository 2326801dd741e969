"""``ws.results``: what came out."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from itertools import islice

from hishamos.contracts.results import Results
from hishamos.errors import InvalidInput
from hishamos.records.record import new_id, now
from hishamos.records.result_comparisons import ResultComparison
from hishamos.records.results import Result, ResultDraft
from hishamos.services.comparing import MOST, compared
from hishamos.services.service import Service, acting_run, implements
from hishamos.text.differences import differences

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
        if not 1 <= rating <= 5:
            raise InvalidInput(what=f"A rating is a whole number from 1 to 5, not {rating}", where=f"result {result}", next="")
        return self.change("results.rate", Result, lambda transaction: self.machinery.work.rate_result(transaction, result, rating))
