"""A map asked and its answers fetched: a run in the server, its rows page by page in the order of the frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from hishamos.contracts.services import MapMode
from hishamos.contracts.shapes import Shape, schema_of
from hishamos.frames.row_pages import Inputs, Rows, Sent, sample, send
from hishamos.frames.typed_columns import KIND_OF_TYPE
from hishamos.records.definitions import CommandDefinition
from hishamos.records.forecasts import Forecast
from hishamos.records.runs import Run
from hishamos.records.workspaces import MapRow

if TYPE_CHECKING:
    from hishamos.workspace import Workspace

PAGE = 1_000


@dataclass(frozen=True)
class Asking:
    """How a map is asked: what all verbs on frames take."""

    model: str | None = None
    concurrency: int = 32
    mode: MapMode = "now"
    budget_usd: str | None = None
    fresh: bool = False
    key: str | None = None


@dataclass(frozen=True)
class Question:
    """What a map asks: a command, parameters that are the same for every row, the shape of the answers."""

    command: CommandDefinition
    inputs: Mapping[str, Any] = field(default_factory=dict)
    output: Shape | None = None

    @property
    def properties(self) -> list[str]:
        """The names of an answer's properties; ``output`` for an answer without."""
        return list(self._schema) or ["output"]

    def kind(self, name: str) -> str:
        """Return the kind of the column of a property when no value comes."""
        declared = self._schema.get(name)
        return KIND_OF_TYPE.get(str(declared.get("type")), "text") if isinstance(declared, Mapping) else "text"

    @property
    def _schema(self) -> Mapping[str, Any]:
        schema = (self.command.output if self.output is None else schema_of(self.output)) or {}
        properties = schema.get("properties")
        return properties if schema.get("type") == "object" and isinstance(properties, Mapping) else {}


class Answers:
    """A map's rows as they are now. ``run``: None where nothing could be, or was, sent."""

    def __init__(self, workspace: Workspace, question: Question, sent: Sent, length: int, run: Run | None, *, interrupted: bool) -> None:
        self._workspace, self._question, self._sent, self._length = workspace, question, sent, length
        self.run = run
        self.interrupted = interrupted
        """Whether somebody stopped waiting: the rest goes on in the server."""

    def pages(self) -> Iterator[list[MapRow]]:
        """Yield every row once, in the order of the frame, page by page."""
        position = 0
        for page in self._fetched():
            found: list[MapRow] = []
            for row in page:
                while position in self._sent.refused:
                    found.append(self._refused(position))
                    position += 1
                found.append(self._shaped(row))
                position += 1
            yield found
        rest = [self._refused(place) if place in self._sent.refused else MapRow(index=place, status="pending") for place in range(position, self._length)]
        yield from (rest[start : start + PAGE] for start in range(0, len(rest), PAGE))

    def _fetched(self) -> Iterator[list[MapRow]]:
        after = -1
        while self.run is not None and (page := self._workspace.commands.map_rows(self.run.id, after=after, limit=PAGE)):
            yield page
            after = page[-1].index

    def _refused(self, position: int) -> MapRow:
        return MapRow(index=position, status="failed", error=self._sent.refused[position])

    def _shaped(self, row: MapRow) -> MapRow:
        """Give the output as the caller's own model reads it; what that refuses is a failed row, though it was paid."""
        shape = self._question.output
        if not (isinstance(shape, type) and issubclass(shape, BaseModel)) or row.status != "succeeded":
            return row
        try:
            return row.model_copy(update={"output": shape.model_validate(row.output).model_dump(by_alias=True)})
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            problem = f"{shape.__name__}: {'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}"
            return row.model_copy(update={"status": "failed", "output": None, "error": f"the answer does not satisfy {problem}"})


def ask(workspace: Workspace, question: Question, rows: Rows, asking: Asking) -> Answers:
    """Start a map, wait for it through the face's watch, and return its answers. An interrupt detaches: what has come is there, the rest goes on."""
    sent, run, interrupted = Sent(), None, False
    try:
        sent = send(workspace, rows)
        if sent.number:
            run = _start(workspace, question, sent, asking)
            run = workspace.watch(workspace, run.id, None)
    except KeyboardInterrupt:
        run, interrupted = run and workspace.runs.get(run.id), True
    return Answers(workspace, question, sent, len(rows), run, interrupted=interrupted)


def forecast(workspace: Workspace, question: Question, rows: Rows, asking: Asking) -> Forecast:
    """Return what :func:`ask` will cost and take. Nothing is sent to a model, nothing is paid."""
    looked = sample(rows)
    given: Sequence[Inputs] = [{**question.inputs, **row} for row in looked.rows]
    of = None if looked.different == len(given) else looked.different
    found = workspace.commands.forecast(
        question.command.name, given, model=asking.model, output=question.output, key=asking.key, concurrency=asking.concurrency, of=of
    )
    return found.model_copy(update={"rows": len(rows)})


def _start(workspace: Workspace, question: Question, sent: Sent, asking: Asking) -> Run:
    return workspace.commands.start_map(
        question.command.name,
        sent.rows,
        inputs=dict(question.inputs),
        output=question.output,
        model=asking.model,
        concurrency=asking.concurrency,
        mode=asking.mode,
        budget_usd=asking.budget_usd,
        fresh=asking.fresh,
        key=asking.key,
    )
