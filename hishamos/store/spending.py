"""Questions to the ledger that are asked by groups: spend, and the attempts that stand behind a sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hishamos.errors import InvalidInput, UnknownName, nearest_hint
from hishamos.records.calls import Attempt
from hishamos.records.own_tags import GROUP, check_name
from hishamos.records.record import canonical
from hishamos.records.spans import BEGINNING, END
from hishamos.store.ledger import attempt_of
from hishamos.store.statements import statements

if TYPE_CHECKING:
    import pyarrow

    from hishamos.store.connectors import Connector, Row

SQL = statements("spending")
COLUMNS = (
    "model", "provider", "status", "cause", "run_id", "step_id", "workflow", "command", "agent", "project", "user_name", "key_prefix",
    "usage_source", "call_id", "notebook", "cell", "git_commit",
)  # fmt: skip
TIMES = {"day": (10, "", "%Y-%m-%d"), "hour": (13, ":00", "%Y-%m-%d %H:00"), "month": (7, "", "%Y-%m")}
"""What is shown of a time's text, what follows it, and how one is written; they are those of the workspace's timezone."""
GROUPS = (*TIMES, *COLUMNS)
"""What spend can be grouped by, and attempts chosen by."""
ALIASES = {"run": "run_id", "step": "step_id", "user": "user_name", "key": "key_prefix", "commit": "git_commit"}
LONGEST_VALUE = 1000
MOST_SPANS = 400
"""Days, hours or months that are told by their ends; what comes after them is looked up in the calendar."""
Only = Mapping[str, str | None]
"""The value that each group is to have; None where it has none."""


@dataclass(frozen=True)
class Chosen:
    """Which attempts are asked for: those of a span of time whose groups have certain values."""

    since: datetime
    until: datetime
    values: dict[str, str | None]

    def condition(self) -> str:
        """Return the SQL of the values, each after an ``and``; where a tag's can't stand, no JSON is read."""
        maybe = "".join(f" and tags like ${_parameter(name)}_text" for name in self._tags())
        return maybe + self._told(lambda name, _: f"${_parameter(name)}")

    def parameters(self) -> dict[str, Any]:
        """Return what the statements' parameters stand for."""
        texts = {f"{_parameter(name)}_text": _pattern(name, value) for name, value in self._tags().items()}
        return {"since": self.since, "until": self.until, **{_parameter(name): value for name, value in self.values.items()}, **texts}

    def literal(self, sql: str) -> str:
        """Return a statement with all that was chosen written into it, as people would write it."""
        filled = sql.replace("{since}", _literal(self.since.isoformat())).replace("{until}", _literal(self.until.isoformat()))
        return filled.replace("{only}", self._told(lambda _, value: _literal(value)))

    def _tags(self) -> dict[str, str]:
        return {name: value for name, value in self.values.items() if value is not None and name.startswith(GROUP)}

    def _told(self, said: Callable[[str, str], str]) -> str:
        return "".join(
            f" and {_expression(name)} is null" if value is None else f" and {_expression(name)} = {said(name, value)}" for name, value in self.values.items()
        )


def chosen(timezone: str, *, since: datetime | None, until: datetime | None, only: Only) -> Chosen:
    """Return a choice; a day, hour or month in it narrows the span. Raises :class:`UnknownName`, :class:`InvalidInput`."""
    starts, ends = since or BEGINNING, until or END
    values: dict[str, str | None] = {}
    for name, value in only.items():
        group = group_of(name)
        if value is not None and len(value) > LONGEST_VALUE:
            raise InvalidInput(
                what=f"the value of {name} is longer than {LONGEST_VALUE} characters", where="only", next="Give a value that stands in the ledger."
            )
        if group in TIMES:
            first, last = _bounds(group, value, timezone)
            starts, ends = max(starts, first), min(ends, last)
        else:
            values[group] = value
    return Chosen(since=starts, until=max(starts, ends), values=values)


def attempt(store: Connector, identity: str) -> Attempt | None:
    """Return one attempt by its id."""
    begun = store.fetch_one(SQL["attempt_begun"], {"id": identity})
    if begun is None:
        return None
    rows = store.fetch(SQL["attempts_named"], {"ids": [identity], "first": begun["started_at"], "last": begun["started_at"]})
    return attempt_of(rows[0]) if rows else None


def versions(store: Connector, command: str, since: datetime) -> list[Row]:
    """Return the sums over the attempts of each version of a command since a moment, the one that was asked last first."""
    sql = SQL["versions_of_command"].replace("{measures}", SQL["measures"]).replace("{times}", SQL["times"])
    return store.fetch(sql, {"prefix": f"{command}@", "since": since})


def outcome(store: Connector, attempt: Attempt) -> str | None:
    """Return what is kept of what came back from an attempt that answered, as it was written; None where nothing is."""
    row = store.fetch_one(SQL["outcome_of_attempt"], {"id": attempt.id})
    return None if row is None else row["outcome"]


def attempts(store: Connector, choice: Chosen, *, after: str | None = None, limit: int = 100) -> list[Attempt]:
    """Return attempts, newest first; ``after``: those that stand behind this one."""
    begun = None if after is None else store.fetch_one(SQL["attempt_begun"], {"id": after})
    if after is not None and begun is None:
        raise UnknownName(kind="attempt", name=after, hint="", next="Leave it out to begin with the newest.")
    place = {"after_id": after or "", "after": begun["started_at"] if begun else END, "limit": limit}
    found = store.fetch(SQL["attempts_found"].replace("{only}", choice.condition()), choice.parameters() | place)
    if not found:
        return []
    # A page's rows are fetched by themselves: to sort all that fit, with every column, takes many times as long.
    page = {"ids": [row["id"] for row in found], "first": found[-1]["started_at"], "last": found[0]["started_at"]}
    return [attempt_of(row) for row in store.fetch(SQL["attempts_named"], page)]


def version(store: Connector) -> str:
    """Return a text that is another one as soon as an attempt begins, ends, or costs something else."""
    row = store.fetch_one(SQL["version"]) or {}
    return "-".join(str(row[name]) for name in ("attempts", "under_way", "corrections", "corrected"))


def spend(
    store: Connector,
    by: str | Sequence[str],
    timezone: str,
    choice: Chosen | None = None,
    *,
    sums_only: bool = False,
) -> pyarrow.Table:
    """Return the spend by groups, the dearest first; the schema's metadata holds in ``sql`` the SELECT over ``attempts`` that gives the same.

    ``sums_only``: calls and times, which take longest, are left out. See ``ws.ledger.spend``.
    """
    groups = _groups([by] if isinstance(by, str) else by)
    if len(set(groups)) != len(groups):
        raise InvalidInput(what=f"by names a group twice: {', '.join(groups)}", where="ws.ledger.spend", next="Name each group once.")
    choice = choice or chosen(timezone, since=None, until=None, only={})
    measures = SQL["measures"] if sums_only else f"{SQL['calls']},\n{SQL['measures']},\n{SQL['times']}"
    text = (
        _filled(SQL["spend"], groups, measures, {name: _by_bounds(store, name, timezone, choice) for name in groups if name in TIMES})
        .replace("{calls}", SQL["calls_counted_by_their_first_attempts"])
        .replace("{again}", "" if sums_only else SQL["sent_again"])
        .replace("{only}", choice.condition())
    )
    by_hand = _filled(SQL["spend_by_hand"], groups, measures, {name: _written(name, timezone) for name in groups if name in TIMES})
    by_hand = choice.literal(by_hand.replace("{calls}", "cast(count(distinct call_id) as bigint)"))
    return store.arrow(text, choice.parameters()).replace_schema_metadata({"sql": by_hand})


def _filled(sql: str, groups: Sequence[str], measures: str, times: Mapping[str, str]) -> str:
    places = range(1, len(groups) + 1)
    return (
        sql.replace("{groups}", "".join(f"{times.get(name) or _expression(name)} as {_column(name)}, " for name in groups))
        .replace("{measures}", measures)
        .replace("{grouping}", f"group by {', '.join(map(str, places))}" if groups else "")
        .replace("{ordering}", "".join(f", {place}" for place in places))
    )


def _groups(names: Sequence[str]) -> list[str]:
    """Return the groups by the names of their columns. A cell says nothing without its notebook, which is therefore put before it."""
    groups = [group_of(name) for name in names]
    if "cell" in groups and "notebook" not in groups:
        groups.insert(groups.index("cell"), "notebook")
    return groups


def group_of(name: str) -> str:
    """Return a group's column; raises :class:`UnknownName` with the nearest name, :class:`InvalidInput` for what can't be a tag's."""
    if name.startswith(GROUP):
        return GROUP + check_name(name.removeprefix(GROUP))
    group = ALIASES.get(name, name)
    if group not in GROUPS:
        known = ", ".join([*GROUPS, f"{GROUP}NAME"])
        raise UnknownName(kind="group", name=name, hint=nearest_hint(name, [*GROUPS, *ALIASES]), next=f"Spend is grouped by: {known}.")
    return group


def _expression(group: str) -> str:
    """Return the SQL of a group that is no time."""
    return f"(cast(tags as json) -> 'own' ->> '{group.removeprefix(GROUP)}')" if group.startswith(GROUP) else group


def _column(group: str) -> str:
    """Return how a group's column is called, as SQL."""
    return f'"{group}"' if group.startswith(GROUP) else group


def _parameter(group: str) -> str:
    return group.replace(":", "_")


def _pattern(group: str, value: str) -> str:
    """Return the pattern of a tag in the canonical JSON of an attempt's tags. It may fit more: a backslash means something else to each engine."""
    return f'%"{group.removeprefix(GROUP)}":{canonical(value)}%'.replace("\\", "_")


def _written(name: str, timezone: str) -> str:
    """Return the SQL of the day, hour or month that an attempt began in."""
    length, rest, _ = TIMES[name]
    return f"substr(cast(timezone({_literal(timezone)}, started_at) as text), 1, {length})" + (f" || '{rest}'" if rest else "")


def _by_bounds(store: Connector, name: str, timezone: str, choice: Chosen) -> str:
    """Return the same, told by when each of them ends: a tenth of what it takes to ask the calendar for every attempt."""
    row = store.fetch_one(SQL["span"].replace("{only}", choice.condition()), choice.parameters())
    if row is None or row["first"] is None:
        return _written(name, timezone)
    zone, form = ZoneInfo(timezone), TIMES[name][2]
    moment: datetime = row["first"]
    spans: list[tuple[str, datetime]] = []
    while moment <= row["last"] and len(spans) < MOST_SPANS:
        label = f"{moment.astimezone(zone):{form}}"
        moment = _bounds(name, label, timezone)[1]
        spans.append((_literal(label), moment))
    return _tree([*spans, (_written(name, timezone), END)])


def _tree(spans: Sequence[tuple[str, datetime]]) -> str:
    """Return the SQL of the span that an attempt began in, halved as often as it takes; ``spans``: what each is called and when it ends, in order."""
    if len(spans) == 1:
        return spans[0][0]
    half = len(spans) // 2
    return f"case when started_at < timestamptz '{spans[half - 1][1].isoformat()}' then {_tree(spans[:half])} else {_tree(spans[half:])} end"


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _bounds(group: str, value: str | None, timezone: str) -> tuple[datetime, datetime]:
    """Return from when until when, in UTC, a day, hour or month of a timezone lasts; an hour that comes twice lasts two."""
    form = TIMES[group][2]
    try:
        local = datetime.strptime(value or "", form)  # noqa: DTZ007 - the timezone is given below
    except ValueError:
        example = datetime.now(UTC).strftime(form)
        raise InvalidInput(what=f"{value!r} is no {group}", where="only", next=f"Write it as {example}.") from None
    following = {
        "day": local + timedelta(days=1),
        "hour": local + timedelta(hours=1),
        "month": datetime(local.year + local.month // 12, local.month % 12 + 1, 1),  # noqa: DTZ001
    }[group]
    zone = ZoneInfo(timezone)
    last = (following - timedelta(seconds=1)).replace(tzinfo=zone, fold=1).astimezone(UTC) + timedelta(seconds=1)
    return local.replace(tzinfo=zone).astimezone(UTC), last
