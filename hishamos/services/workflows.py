"""``ws.workflows``: durable graphs of steps."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Mapping
from typing import Any

from hishamos.charts.pictures import graph_picture
from hishamos.contracts.journal import Pinned
from hishamos.contracts.services import Workflows
from hishamos.records.callbacks import Offer
from hishamos.records.definitions import WorkflowDefinition
from hishamos.records.forecasts import Forecast
from hishamos.records.pictures import Ground, Picture, PictureFormat
from hishamos.records.runs import Run
from hishamos.services.forecasting import Forecaster, keep_forecast
from hishamos.services.graphs import workflow_graph
from hishamos.services.notebook_flows import workflow_of
from hishamos.services.saving import may_code, save
from hishamos.services.service import Service, implements
from hishamos.services.starting import NORMAL, prepared, start_run


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
        priority: int = NORMAL,
        deadline_s: float | None = None,
        functions: Offer | None = None,
    ) -> Run:
        """See the contract. Raises before anything is stored: unknown name or parameter, wrong value, unknown model, no provider."""
        workflow, pinned = self._pinned(name)
        ready = prepared(self.machinery, workflow, inputs, pinned=pinned, model=model, project=project, functions=functions)
        run = start_run(
            self,
            ready.workflow,
            ready.values,
            verb="workflows.start",
            model=model,
            project=ready.project,
            budget_usd=budget_usd,
            pinned=ready.pinned,
            files=ready.files,
            priority=priority,
            deadline_s=deadline_s,
        )
        if ready.pinned.commands or ready.pinned.agents:
            keep_forecast(
                self.machinery, run.id, lambda: Forecaster(self.machinery, model, run.created_at).workflow(ready.workflow, ready.pinned, ready.values)
            )
        return run

    def forecast(self, name: str, inputs: Mapping[str, Any] | None = None, *, model: str | None = None) -> Forecast:
        """See the contract."""
        ready = prepared(self.machinery, self.get(name), inputs, model=model)
        return Forecaster(self.machinery, model).workflow(ready.workflow, ready.pinned, ready.values)

    def from_notebook(self, notebook: str) -> WorkflowDefinition:
        """See the contract."""
        found: WorkflowDefinition = self.machinery.catalog.accepted("workflow", workflow_of(self.root / notebook))[0]
        return found

    def check(self, text: str | WorkflowDefinition, *, file: str = "<text>") -> WorkflowDefinition:
        """See the contract."""
        found: WorkflowDefinition = self.machinery.catalog.accepted("workflow", text, file)[0]
        return found

    def save(self, definition: str | WorkflowDefinition, *, version: str | None = None) -> WorkflowDefinition:
        """See the contract."""
        return save(self, "workflow", definition, version)

    def picture(self, name: str | WorkflowDefinition, *, format: PictureFormat = "svg", ground: Ground = "light", narrow: bool = False) -> Picture:
        """See the contract."""
        workflow = self.get(name) if isinstance(name, str) else self.machinery.catalog.accepted("workflow", name)[0]
        return graph_picture(workflow_graph(workflow), format, ground, narrow=narrow)

    def _pinned(self, given: str | WorkflowDefinition) -> tuple[WorkflowDefinition, Pinned]:
        if isinstance(given, str):
            workflow = self.get(given)
            return workflow, self.machinery.catalog.pin(workflow)
        workflow, catalog = self.machinery.catalog.accepted("workflow", given)
        may_code(self, workflow)
        return workflow, catalog.pin(workflow)
