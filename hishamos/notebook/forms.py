"""Forms from what definitions declare: a command's parameters, a workflow's inputs, an agent's task, with a button that does it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hishamos.errors import HishamosError, InvalidInput, UnknownName
from hishamos.notebook import markup
from hishamos.notebook.completing import Names
from hishamos.notebook.form_fields import Field, fields_card
from hishamos.notebook.front_end import heard_at_once, kernel, somebody_looks
from hishamos.notebook.live_answers import LiveAnswer
from hishamos.notebook.live_controls import STYLE, widget_view
from hishamos.notebook.live_run import LiveRun
from hishamos.notebook.outcome_cards import command_result_card
from hishamos.notebook.run_facts import static_card
from hishamos.records.calls import CommandResult
from hishamos.records.definitions import AgentDefinition, CommandDefinition, Parameter, WorkflowDefinition
from hishamos.records.runs import Run
from hishamos.workspace import Workspace

Definition = CommandDefinition | AgentDefinition | WorkflowDefinition
TASK = {
    "task": Parameter(type="text", description="what the agent shall do"),
    "data": Parameter(type="object", optional=True, description="plain data, shown to the agent as JSON"),
    "files": Parameter(type="list", optional=True, description="paths of images, PDFs and texts, one on each line"),
}
MODEL = Parameter(optional=True, description="a model, route or policy; left out: as defined")
BUDGET = Parameter(type="number", optional=True, min=0, description="a hard limit on this run in USD")
VERBS = {"command": "Run", "agent": "Ask", "workflow": "Start"}


class Opened:
    """The workspace that this process opened last: whose forms are meant where none is named."""

    workspace: Workspace | None = None


def form(what: str | Definition, values: Mapping[str, Any] | None = None, *, workspace: Workspace | None = None) -> Form:
    """Return a form for a command, an agent or a workflow; the last line of a cell shows it.

    ``what``: its name (commands are looked through first, then workflows, then agents) or the definition; ``values``: what stands in the fields
    at first; ``workspace``: left out, the one that was opened last. Raises :class:`UnknownName` with the nearest name.
    """
    import hishamos

    here = workspace or Opened.workspace or hishamos.open()
    return Form(here, _named(here, what) if isinstance(what, str) else what, dict(values or {}))


def _named(workspace: Workspace, name: str) -> Definition:
    names = Names(workspace)
    for kind, service in (("command", workspace.commands), ("workflow", workspace.workflows), ("agent", workspace.agents)):
        if name in names.of(kind):
            found: Definition = service.get(name)
            return found
    known = [one for kind in VERBS for one in names.of(kind)]
    raise UnknownName.among("command, workflow or agent", name, known, "%hishamos commands, workflows and agents show them.")


class Form:
    """A form in a cell. ``values``: what stands in it; ``result``: what its last run gave, an answer or a :class:`Run`."""

    def __init__(self, workspace: Workspace, definition: Definition, values: dict[str, Any]) -> None:
        self.definition = definition
        self.result: CommandResult | Run | None = None
        self._workspace, self._start = workspace, values
        self.kind = type(definition).__name__.removesuffix("Definition").lower()
        self.parameters: dict[str, Parameter] = {**_declared(definition), **_options(definition)}
        unknown = [name for name in values if name not in self.parameters]
        if unknown:
            raise UnknownName.among("field", unknown[0], list(self.parameters), f"{definition.name} takes: {', '.join(self.parameters)}.")
        self._fields: list[Field] = []
        self._handle: Any = None
        self._busy = threading.Lock()

    @property
    def values(self) -> dict[str, Any]:
        """What stands in the fields, those that are empty left out."""
        given = {field.name: field.given for field in self._fields} if self._fields else self._start
        return {name: value for name, value in given.items() if value is not None}

    def run(self) -> CommandResult | Run:
        """Do what the button does, with what stands in the fields, and return what it gave; a workflow is started and not waited for.

        Raises :class:`InvalidInput` for the first field that is wrong, and what the verb itself raises.
        """
        for field in self._fields:
            if problem := field.problem(complete=True):
                raise InvalidInput(what=f"{field.name}: {problem}", where=f"the form of {self.definition.name}", next="Correct the field.")
        self.result = self._done(*self._asked())
        return self.result

    def _asked(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the inputs and the options of the verb."""
        options = _options(self.definition)
        given = self.values
        return {name: value for name, value in given.items() if name not in options}, {name: given[name] for name in options if name in given}

    def _done(self, inputs: dict[str, Any], options: dict[str, Any]) -> CommandResult | Run:
        name = self.definition.name
        if isinstance(self.definition, CommandDefinition):
            return self._workspace.commands.run(name, inputs, **options)
        if isinstance(self.definition, AgentDefinition):
            return self._workspace.agents.ask(name, **inputs, **options)
        if "budget_usd" in options:
            options = {**options, "budget_usd": str(options["budget_usd"])}
        return self._workspace.workflows.start(name, inputs, **options)

    def _repr_html_(self) -> str:
        shown = fields_card(self.definition.name, self.definition.description, f"form of a {self.kind}", self.parameters, self.values)
        if isinstance(self.result, CommandResult):
            return shown + command_result_card(self.result)
        return shown + static_card(self._workspace, self.result) if self.result is not None else shown

    def __repr__(self) -> str:
        return f"form of the {self.kind} {self.definition.name}: {', '.join(self.parameters)}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        bundle: dict[str, Any] = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        if kernel() is not None and somebody_looks():
            bundle |= widget_view(self._made())
        self._handle = display(bundle, raw=True, display_id=True)

    def _made(self) -> Any:
        import ipywidgets as widgets

        names, folders = Names(self._workspace), [Path.cwd(), Path(self._workspace.root)]
        start = self.values
        self._fields = [
            Field(name, one, start.get(name), files=folders, names=names.of("model") if name == "model" and one is MODEL else ())
            for name, one in self.parameters.items()
        ]
        self._button = widgets.Button(description=f"{VERBS[self.kind]} {self.definition.name}", layout=widgets.Layout(width="auto"))
        self._button.add_class("hishamos-primary")
        self._button.on_click(lambda _: self._clicked())
        self._out = widgets.VBox()
        self._out.add_class("hishamos-out")
        head = widgets.HTML(STYLE + markup.head(self.definition.name, kind=self.kind) + markup.line(markup.text(self.definition.description)))
        head.layout.margin = "0 0 10px 0"
        acts = widgets.HBox([self._button], layout=widgets.Layout(overflow="hidden"))
        acts.add_class("hishamos-form-acts")
        frame = {name.replace("-", "_"): value for name, value in markup.FRAME.items() if name != "border-radius"}
        box = widgets.VBox([head, *(field.box for field in self._fields), acts], layout=widgets.Layout(**frame))
        box.add_class("hishamos-live")
        self._box = widgets.VBox([box, self._out])
        heard_at_once(self._button, *(field.control for field in self._fields))
        return self._box

    def _clicked(self) -> None:
        """Hold all fields against what is declared; then do it in a thread of its own, for other clicks must be heard meanwhile."""
        problems = [field.problem(complete=True) for field in self._fields]  # all of them are said at once
        if any(problems) or not self._busy.acquire(blocking=False):
            return
        self._button.disabled = True
        threading.Thread(target=self._work, name="hishamos-form", daemon=True).start()

    def _work(self) -> None:
        inputs, options = self._asked()
        try:
            if isinstance(self.definition, AgentDefinition):
                self._follow_agent(inputs, options)
            elif isinstance(self.definition, WorkflowDefinition):
                self._follow_run(inputs, options)
            else:
                self._show(markup.card(markup.head(self.definition.name, state="running", kind="command")))
                self.result = self._done(inputs, options)
                self._show(command_result_card(self.result))  # type: ignore[arg-type]
        except HishamosError as error:
            self._failed(error)
        finally:
            self._button.disabled = False
            self._busy.release()
        if self._handle is not None:  # what a viewer without widgets shows
            self._handle.update({"text/html": self._repr_html_(), "text/plain": repr(self), **widget_view(self._box)}, raw=True)

    def _follow_agent(self, inputs: dict[str, Any], options: dict[str, Any]) -> None:
        live = LiveAnswer(self.definition.name)
        for event in self._workspace.agents.stream(self.definition.name, **inputs, **options):
            live.take(event)
            self._show(live.card("running"))
        self.result = live.result
        if live.result is not None:
            self._show(command_result_card(live.result))

    def _follow_run(self, inputs: dict[str, Any], options: dict[str, Any]) -> None:
        run = self._done(inputs, options)
        assert isinstance(run, Run)
        self.result = run
        view = LiveRun(self._workspace, run.id, self._put)
        view.show(self._workspace.runs.get(run.id), looked_at=True)
        view.follow()
        self.result = self._workspace.runs.get(run.id)

    def _failed(self, error: HishamosError) -> None:
        """Say what went wrong: at the field that it names, else below the form."""
        words = str(error)
        named = [field for field in self._fields if f"'{field.name}'" in words] if isinstance(error, InvalidInput) else []
        for field in named[:1]:
            field.tell(words)
        self._show(
            "" if named else markup.card(markup.head(self.definition.name, state="failed", kind=self.kind), markup.line(markup.text(words), colour="red"))
        )

    def _put(self, shown: str, _text: str, box: Any) -> None:
        if box is None:
            self._show(shown)
        else:
            self._out.children = (box,)

    def _show(self, shown: str) -> None:
        import ipywidgets as widgets

        self._out.children = (widgets.HTML(shown),) if shown else ()


def _declared(definition: Definition) -> dict[str, Parameter]:
    if isinstance(definition, AgentDefinition):
        return TASK
    return definition.parameters if isinstance(definition, CommandDefinition) else definition.inputs


def _options(definition: Definition) -> dict[str, Parameter]:
    """Return the verb's own options, those whose names the definition does not use itself."""
    options = {"model": MODEL, **({"budget_usd": BUDGET} if isinstance(definition, WorkflowDefinition) else {})}
    return {name: one for name, one in options.items() if name not in _declared(definition)}
