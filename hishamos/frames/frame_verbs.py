"""``ws.map``, ``ws.frame(df)`` and ``df.hishamos``: verbs over the rows of a frame, each with its ``forecast`` first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, overload

from hishamos.contracts.services import MapMode
from hishamos.contracts.shapes import Shape
from hishamos.errors import InvalidInput
from hishamos.frames.filtering import FilterWork, Unjudged, known_unjudged, one_or_many
from hishamos.frames.kinds import Given, given
from hishamos.frames.mapping import FACTS, MapWork, known_columns, plan_map
from hishamos.frames.opened import opened_last
from hishamos.frames.pairing import JoinWork, Keep
from hishamos.frames.row_answers import Asking, Question
from hishamos.frames.row_pages import ColumnRows, RecordRows
from hishamos.frames.summarizing import SummaryWork
from hishamos.records.forecasts import Forecast

if TYPE_CHECKING:
    from hishamos.workspace import Workspace

P = ParamSpec("P")
S = TypeVar("S")


class Work(Protocol):
    """What a verb on a frame comes to: held against the frame, not yet begun."""

    def forecast(self) -> Forecast:
        """Return what it will cost and take."""
        ...

    def do(self) -> Any:
        """Do it."""
        ...


class FrameVerb(Generic[P]):
    """A verb on a frame: called, it does its work; ``forecast(…)`` with the same arguments says what that will cost, and asks nobody."""

    def __init__(self, plan: Callable[P, Work]) -> None:
        self._plan = plan
        functools.update_wrapper(self, plan)

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> Any:
        """Do the work and return the frame."""
        return self._plan(*arguments, **named).do()

    def forecast(self, *arguments: P.args, **named: P.kwargs) -> Forecast:
        """Return what the same call will cost and take, as ranges. Nothing is sent to a model, nothing is paid."""
        return self._plan(*arguments, **named).forecast()

    def __repr__(self) -> str:
        return f"<verb {getattr(self, '__name__', '')}: call it, or .forecast(…) first>"


class verb(Generic[S, P]):  # noqa: N801 - a decorator
    """Make a method that plans work a :class:`FrameVerb` of its object."""

    def __init__(self, plan: Callable[Concatenate[S, P], Work]) -> None:
        self._plan = plan
        self.__doc__ = plan.__doc__

    @overload
    def __get__(self, instance: None, owner: type[S]) -> verb[S, P]: ...
    @overload
    def __get__(self, instance: S, owner: type[S]) -> FrameVerb[P]: ...
    def __get__(self, instance: S | None, owner: type[S]) -> FrameVerb[P] | verb[S, P]:
        """Return the verb of one object."""
        if instance is None:
            return self
        bound: Callable[P, Work] = self._plan.__get__(instance, owner)
        return FrameVerb(bound)


class Options(TypedDict, total=False):
    """What every verb takes beside its own arguments."""

    model: str | None
    """A model, route or policy instead of the command's own."""
    concurrency: int
    mode: MapMode
    budget_usd: str | None
    """A hard limit on the work, a decimal string in USD."""
    fresh: bool
    key: str | None


class FrameVerbs:
    """Verbs over the rows of one frame, each durable row by row, resumable, paid once, and with ``.forecast(…)`` first.

    All take ``model, concurrency, mode, budget_usd, fresh, key`` as ``ws.map`` does. ``workspace``: left out, the one opened last in this program.
    """

    def __init__(self, frame: Any, workspace: Workspace | None = None) -> None:
        self._frame = frame
        self._chosen = workspace

    def using(self, workspace: Workspace) -> FrameVerbs:
        """Return the same verbs in another workspace."""
        return FrameVerbs(self._frame, workspace)

    @verb
    def map(
        self,
        command: str,
        *,
        columns: Mapping[str, Hashable] | None = None,
        inputs: Mapping[str, Any] | None = None,
        output: Shape | None = None,
        prefix: str = "",
        **options: Unpack[Options],
    ) -> MapWork:
        """Run a command on each row; see :meth:`hishamos.Workspace.map`."""
        return plan_map(self._workspace, self._frame, command, columns=columns, inputs=inputs, output=output, prefix=prefix, asking=Asking(**options))

    @verb
    def classify(
        self, column: Hashable, labels: Sequence[str] | Mapping[str, str], *, question: str = "", prefix: str = "", **options: Unpack[Options]
    ) -> MapWork:
        """Give each row's text one of several labels, in the new column ``label`` (command ``classify_text``).

        ``labels``: the labels, or each with what it means; ``question``: what the labels tell of the text. A label that the offline model can't
        tell is missing.
        """
        return self._over_text("classify_text", column, {"labels": _meanings(labels), "question": question}, None, prefix, Asking(**options))

    @verb
    def extract(self, column: Hashable, fields: Shape | Mapping[str, str], *, prefix: str = "", **options: Unpack[Options]) -> MapWork:
        """Take fields out of each row's text, a new column each (command ``extract_fields``).

        ``fields``: names with what they are (texts, missing where the text does not tell), a JSON Schema, or a pydantic model: then a row whose
        answer the model's own validators refuse has failed, and says why.
        """
        shape, told = _fields(fields)
        return self._over_text("extract_fields", column, {"fields": told}, shape, prefix, Asking(**options))

    @verb
    def judge(self, criterion: str, columns: Hashable | Sequence[Hashable] | None = None, *, prefix: str = "", **options: Unpack[Options]) -> MapWork:
        """Say of each row whether a criterion holds, and why, in the new columns ``holds`` and ``reason`` (command ``judge_row``).

        ``columns``: what of the row is shown to the model; left out, all but those that verbs have added. A row that could not be judged has a
        missing value in ``holds``.
        """
        return self._judging(criterion, columns, prefix, Asking(**options))

    @verb
    def filter(
        self, criterion: str, columns: Hashable | Sequence[Hashable] | None = None, *, unjudged: Unjudged = "raise", **options: Unpack[Options]
    ) -> FilterWork:
        """Return the rows for which a criterion holds, as they are (command ``judge_row``; ``judge`` shows why, and pays nothing again).

        ``unjudged``: what becomes of rows that failed, were refused, have not come, or that the offline model can't tell: ``raise``
        :class:`RowsNotJudged`, ``drop`` or ``keep`` them.
        """
        known_unjudged(unjudged)
        return FilterWork(self._judging(criterion, columns, "", Asking(**options), adds=False), unjudged)

    @verb
    def summarize(
        self,
        column: Hashable,
        *,
        by: Hashable | Sequence[Hashable] | None = None,
        focus: str = "",
        words: int = 120,
        prefix: str = "",
        **options: Unpack[Options],
    ) -> SummaryWork:
        """Fold a column's texts into one summary, or one for each group (command ``summarize_texts``).

        Texts are taken in parts that the model can take, then their summaries, until one is left. ``by``: the columns of the groups; ``focus``: what
        the summary is to tell; ``words``: at most about so many. Returns a frame with a row for each group: its columns, ``rows``, ``summary`` and
        the facts of its calls. A group of which a part failed has no summary, and says why; equal parts are paid once.
        """
        taken = self._given("summarize")
        groups = [] if by is None else one_or_many(by, taken.names)
        known_columns(taken, [column, *groups], "summarize")
        question = Question(self._workspace.commands.get("summarize_texts"), {"focus": focus, "max_words": words})
        return SummaryWork(self._workspace, taken, column, groups, question, Asking(**options), prefix)

    @verb
    def join(
        self,
        other: Any,
        criterion: str,
        *,
        on: Hashable | Sequence[Hashable] | None = None,
        left_on: Hashable | Sequence[Hashable] | None = None,
        right_on: Hashable | Sequence[Hashable] | None = None,
        how: Keep = "inner",
        max_pairs: int = 2_000,
        suffix: str = "_right",
        unjudged: Unjudged = "raise",
        prefix: str = "",
        **options: Unpack[Options],
    ) -> JoinWork:
        """Join two frames where a criterion holds for a row of each, with the reason in the column ``reason`` (command ``match_pair``).

        ``on``, ``left_on``, ``right_on``: the columns that are shown and compared; left out, all. ``how``: ``inner`` or ``left`` as in
        ``DataFrame.merge``, or ``asked``: every pair that was asked, with ``match``. At most ``max_pairs`` pairs are asked: all where they are no
        more, else for each row its nearest ones by tf-idf; ``forecast`` says how many of how many. ``unjudged``: as in ``filter``, for pairs.
        """
        known_unjudged(unjudged)
        left, right = self._given("join"), given(other, "join")
        sides = _side(left, on if left_on is None else left_on), _side(right, on if right_on is None else right_on)
        question = Question(self._workspace.commands.get("match_pair"), {"criterion": _criterion(criterion)})
        return JoinWork(self._workspace, left, right, sides, question, Asking(**options), how, max_pairs, suffix, unjudged, prefix)

    def __repr__(self) -> str:
        return "<hishamos: map, classify, extract, judge, filter, summarize, join; each with .forecast(…)>"

    @property
    def _workspace(self) -> Workspace:
        return opened_last() if self._chosen is None else self._chosen

    def _given(self, where: str) -> Given:
        return given(self._frame, where)

    def _over_text(self, command: str, column: Hashable, inputs: Mapping[str, Any], shape: Shape | None, prefix: str, asking: Asking) -> MapWork:
        taken = self._given(command)
        known_columns(taken, [column], command)
        question = Question(self._workspace.commands.get(command), inputs, shape)
        return MapWork(self._workspace, taken, question, ColumnRows(taken, {"text": column}), asking, prefix, judged=True)

    def _judging(self, criterion: str, columns: Any, prefix: str, asking: Asking, *, adds: bool = True) -> MapWork:
        taken = self._given("filter")
        question = Question(self._workspace.commands.get("judge_row"), {"criterion": _criterion(criterion)})
        return MapWork(self._workspace, taken, question, RecordRows(taken, "row", _side(taken, columns)), asking, prefix, judged=True, adds=adds)


def mapper(workspace: Workspace) -> FrameVerb[...]:
    """Return ``ws.map``."""

    def map(  # noqa: A001 - ws.map is the public verb
        frame: Any,
        command: str,
        *,
        columns: Mapping[str, Hashable] | None = None,
        inputs: Mapping[str, Any] | None = None,
        output: Shape | None = None,
        model: str | None = None,
        concurrency: int = 32,
        mode: MapMode = "now",
        budget_usd: str | None = None,
        prefix: str = "",
        fresh: bool = False,
        key: str | None = None,
    ) -> MapWork:
        asking = Asking(model, concurrency, mode, budget_usd, fresh, key)
        return plan_map(workspace, frame, command, columns=columns, inputs=inputs, output=output, prefix=prefix, asking=asking)

    map.__doc__ = type(workspace).map.__doc__
    return FrameVerb(map)


def _side(frame: Given, columns: Any) -> list[Hashable]:
    found = [name for name in frame.names if not str(name).endswith(FACTS)] if columns is None else one_or_many(columns, frame.names)
    known_columns(frame, found, "columns")
    if not found:
        raise InvalidInput(what="there is no column to look at", where="columns", next="Name at least one.")
    return found


def _criterion(text: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput(what="the criterion is empty", where="criterion", next='Write a sentence, such as "the customer asks for a refund".')
    return text


def _meanings(labels: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    found = dict(labels) if isinstance(labels, Mapping) else {} if isinstance(labels, str) else dict.fromkeys(labels, "")
    if len(found) < 2 or not all(isinstance(label, str) and label.strip() for label in found):
        raise InvalidInput(
            what="labels have to be two texts or more", where="labels", next='Such as labels=["praise", "complaint"], or {"praise": "what it means", …}.'
        )
    return {label: str(meaning or "") for label, meaning in found.items()}


def _fields(fields: Shape | Mapping[str, str]) -> tuple[Shape, dict[str, str]]:
    """Return the shape of the answers, and each field with what it is."""
    if not isinstance(fields, Mapping):
        properties: Mapping[str, Any] = fields.model_json_schema().get("properties", {}) if hasattr(fields, "model_json_schema") else {}
        return fields, _described(properties)
    if isinstance(fields.get("properties"), Mapping):
        return dict(fields), _described(fields["properties"])  # type: ignore[arg-type]  # it is a mapping, as was just seen
    told = {str(name): meaning for name, meaning in fields.items()}
    if not told or not all(isinstance(meaning, str) for meaning in told.values()):
        raise InvalidInput(what="fields is no shape", where="extract", next='Give {"name": "what it is"}, a JSON Schema with properties, or a pydantic model.')
    properties = {name: {"type": ["string", "null"], **({"description": meaning} if meaning else {})} for name, meaning in told.items()}
    return {"type": "object", "additionalProperties": False, "required": list(told), "properties": properties}, told


def _described(properties: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(one.get("description", "")) if isinstance(one, Mapping) else "" for name, one in properties.items()}
