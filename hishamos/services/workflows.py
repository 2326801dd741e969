"""``ws.workflows``: durable graphs of steps."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Mapping
from typing import Any

from hishamos.charts.pictures import graph_picture
from hishamos.contracts.journal import Pinned
from hishamos.contracts.services import Workflows
from hishamos.engine.inputs import file_facts, validated
from hishamos.records.definitions import WorkflowDefinition
from hishamos.records.pictures import Ground, Picture, PictureFormat
from hishamos.records.runs import Run
from hishamos.services.graphs import workflow_graph
from hishamos.services.saving import may_code, save
from hishamos.services.service import Service, implements
from hishamos.services.starting import start_run


@implements(Workflows)
class WorkflowsService(Service):
    """The workflows of one workspace for one actor."""

    def list(self) -> List[WorkflowDefinition]:
        """See the contract."""
        return self.machinery.catalog.workflows()

    def get(self, name: str) -> WorkflowDefinition:
        """See the contract."""
        return self.machinery.catalog.workflow(name)

    def start(
        self,
        name: str | WorkflowDefinition,
        inputs: Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
        project: str | None = None,
        budget_usd: str | None = None,
    ) -> Run:
        """See the contract. Raises before anything is stored: unknown name or parameter, wrong value, unknown model, no provider."""
        workflow, pinned = self._pinned(name)
        values = validated(workflow.inputs, inputs or {}, f"workflow {workflow.name}", self.root)
        route = self.machinery.settings().workspace.route
        if model is None:
            targets = [one.model for one in pinned.commands.values()] + [one.model for one in pinned.agents.values()]
            for target in sorted({one or route for one in targets}):
                self.machinery.models.check(target)
        return start_run(
            self,
            workflow,
            values,
            verb="workflows.start",
            model=model,
            project=project or _project(workflow, values),
            budget_usd=budget_usd,
            pinned=pinned,
            files=file_facts(workflow.inputs, values),
        )

    def check(self, text: str | WorkflowDefinition, *, file: str = "<text>") -> WorkflowDefinition:
        """See the contract."""
        found: WorkflowDefinition = self.machinery.catalog.accepted("workflow", text, file)[0]
        return found

    def save(self, definition: str | WorkflowDefinition, *, version: str | None = None) -> WorkflowDefinition:
        """See the contract."""
        return save(self, "workflow", definition, version)

    def picture(self, name: str, *, format: PictureFormat = "svg", ground: Ground = "light") -> Picture:
        """See the contract."""
        return graph_picture(workflow_graph(self.get(name)), format, ground)

    def _pinned(self, given: str | WorkflowDefinition) -> tuple[WorkflowDefinition, Pinned]:
        if isinstance(given, str):
            workflow = self.get(given)
            return workflow, self.machinery.catalog.pin(workflow)
        workflow, catalog = self.machinery.catalog.accepted("workflow", given)
        may_code(self, workflow)
        return workflow, catalog.pin(workflow)


def _project(workflow: WorkflowDefinition, values: Mapping[str, Any]) -> str | None:
    """A workflow that takes a project works for it."""
    found = values.get("project") if "project" in workflow.inputs else None
    return found if isinstance(found, str) and found else None
