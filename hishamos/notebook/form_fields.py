"""One field of a form: the control that fits a parameter's type, its label, and what is wrong with what stands in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from hishamos.charts.palette import ACCENTS
from hishamos.errors import InvalidInput
from hishamos.notebook import markup
from hishamos.notebook.definition_cards import default_words, kind_words
from hishamos.records.definitions import Parameter
from hishamos.schemas.inputs import from_text, validated

MOST_FILES = 300
HINTS = {"list": "an item on each line", "object": '{"name": "value"}', "file": "a path, from here or from the workspace's folder"}


class Field:
    """A parameter in a form. ``files``: the folders in which relative paths begin; ``names``: what is offered while one types, other values too."""

    def __init__(self, name: str, parameter: Parameter, value: Any = None, *, files: Sequence[Path] = (), names: Sequence[str] = ()) -> None:
        import ipywidgets as widgets

        self.name, self.parameter, self._files = name, parameter, files
        start = parameter.default if value is None else value
        self.control = _control(parameter, start, files, names)
        self._told = widgets.HTML()
        self._told.layout.display = "none"
        self.box = widgets.VBox([widgets.HTML(_label(name, parameter)), self.control, self._told], layout=widgets.Layout(margin="0 0 12px 0"))
        self.control.observe(lambda _: self.problem(), names="value")

    @property
    def given(self) -> Any:
        """What stands in the field, None for nothing."""
        value = self.control.value
        if isinstance(value, str):
            return from_text(self.parameter, value) if value.strip() else None
        return value.isoformat() if isinstance(value, date) else value

    def problem(self, *, complete: bool = False) -> str:
        """Hold what stands in the field against what is declared, and say at the field what is wrong. ``complete``: an empty one is wrong too."""
        given = self.given
        if given is None:
            return self._tell("Needs a value" if complete and self.parameter.required else "")
        try:
            validated({self.name: self.parameter}, {self.name: given}, "this form")
        except InvalidInput as error:
            words = str(error.what).replace(f"the parameter {self.name!r} ", "")
            return self._tell(words[:1].upper() + words[1:])
        if self.parameter.type == "file" and not any((folder / str(given)).is_file() for folder in self._files):
            return self._tell("There is no such file")
        return self._tell("")

    def tell(self, problem: str) -> None:
        """Say at the field what somebody else found wrong."""
        self._tell(problem)

    def _tell(self, problem: str) -> str:
        self._told.value = f'<div role="alert" style="color:{ACCENTS["red"]};font-size:12.5px">{markup.text(problem)}</div>' if problem else ""
        self._told.layout.display = None if problem else "none"
        return problem


def fields_card(title: str, description: str, kind: str, parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> str:
    """Return a form as a table, for whoever can't fill it in."""
    rows = [
        (
            f"<strong>{markup.text(name)}</strong>",
            markup.text(kind_words(one)),
            markup.text(one.description),
            markup.text(_shown(values[name]) if values.get(name) is not None else default_words(one)),
        )
        for name, one in parameters.items()
    ]
    return markup.card(markup.head(title, kind=kind), markup.line(markup.text(description)) + markup.table(("field", "type", "description", "value"), rows))


def _label(name: str, parameter: Parameter) -> str:
    needed = " · required" if parameter.required else ""
    described = f'<div dir="auto" style="opacity:.75;font-size:12.5px">{markup.text(parameter.description)}</div>' if parameter.description else ""
    kind = f'<span style="opacity:.65;font-size:12px">{markup.text(kind_words(parameter))}{needed}</span>'
    return f"<div><strong>{markup.text(name)}</strong> {kind}</div>{described}"


def _control(parameter: Parameter, start: Any, files: Sequence[Path], names: Sequence[str]) -> Any:
    import ipywidgets as widgets

    wide, hint = {"layout": widgets.Layout(width="100%", max_width="640px")}, _hint(parameter)
    match parameter.type:
        case "boolean":
            return widgets.Checkbox(value=bool(start), description="yes", indent=False)
        case "choice":
            nothing = [] if start in parameter.choices else [("choose …", "")]
            options = [*nothing, *((choice, choice) for choice in parameter.choices)]
            return widgets.Dropdown(options=options, value=start if start in parameter.choices else "", **wide)
        case "date":
            return widgets.DatePicker(value=date.fromisoformat(str(start)[:10]) if start else None)
        case "text" | "list" | "object":
            rows = 5 if parameter.type == "text" else max(3, min(8, _shown(start).count("\n") + 1))
            wide["layout"].height = f"{rows * 20 + 14}px"
            return widgets.Textarea(value=_shown(start), placeholder=hint, **wide)
    offered = _files_in(files) if parameter.type == "file" else list(names)
    return widgets.Combobox(value=_shown(start), options=offered, placeholder=hint, **wide)


def _hint(parameter: Parameter) -> str:
    if parameter.example is not None:
        return f"for example {_shown(parameter.example)}"
    return HINTS.get(parameter.type, "")


def _files_in(folders: Sequence[Path]) -> list[str]:
    found = {entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")}
    return sorted(found)[:MOST_FILES]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
