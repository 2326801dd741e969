"""``ws.projects``: they hold issues."""

from __future__ import annotations

import re
from builtins import list as List  # noqa: N812 - every contract has a verb named list

from hishamos.contracts.services import Projects
from hishamos.errors import InvalidInput
from hishamos.records.record import now
from hishamos.records.results import Project
from hishamos.services.service import Service, implements

KEY = re.compile(r"[A-Z][A-Z0-9]{1,9}")
RULE = "Use 2 to 10 capital letters and digits, a letter first, as in DEMO."


@implements(Projects)
class ProjectsService(Service):
    """Projects of one workspace for one actor."""

    def list(self) -> List[Project]:
        return self.machinery.work.projects()

    def get(self, key: str) -> Project:
        return self.machinery.work.project(key)

    def ensure(self, key: str, *, name: str | None = None) -> Project:
        if not KEY.fullmatch(key):
            raise InvalidInput(what=f"{key!r} can't be a project's key", where="project", next=RULE)
        project = Project(key=key, name=name or key, created_at=now())
        return self.change("projects.ensure", Project, lambda transaction: self.machinery.work.ensure_project(transaction, project))
