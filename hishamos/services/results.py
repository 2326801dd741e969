"""``ws.results``: what came out."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list

from hishamos.contracts.services import Results
from hishamos.errors import InvalidInput
from hishamos.records.record import new_id, now
from hishamos.records.results import Result, ResultDraft
from hishamos.services.service import Service, acting_run, implements


@implements(Results)
class ResultsService(Service):
    """Results of one workspace for one actor."""

    def list(self, *, run: str | None = None, project: str | None = None, search: str | None = None, limit: int = 100) -> List[Result]:
        return self.machinery.work.results(run=run, project=project, search=search, limit=limit)

    def get(self, result: str) -> Result:
        return self.machinery.work.result(result)

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
