"""The times of a cron expression in a time zone, by the rules of Debian's cron where clocks are changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from hishamos.errors import InvalidInput
from hishamos.store.schedules import MOST, DueTimes

SHORT = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *"}
FIELDS = 5


def checked_zone(name: str) -> str:
    """Return the name of a time zone that exists; raises :class:`InvalidInput`."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidInput(what=f"{name!r} is no time zone", where="timezone", next='Use a name such as "UTC" or "Europe/Berlin".') from None
    return name


def checked_cron(text: str) -> str:
    """Return a cron expression that has times; raises :class:`InvalidInput`."""
    shown = " ".join(text.split())
    plain = SHORT.get(shown.lower(), shown)
    problem = "" if len(plain.split()) == FIELDS else f"it has {len(plain.split())} fields, not {FIELDS}"
    if not problem:
        try:
            next(CronSim(plain, datetime.now(UTC)))
        except CronSimError as error:
            problem = str(error)
        except StopIteration:
            problem = "it has no time in the next 50 years"
    if problem:
        example = 'Write minute, hour, day, month and weekday: "0 7 * * mon-fri", or @daily.'
        raise InvalidInput(what=f"{text!r} is no cron expression: {problem}", where="cron", next=example)
    return shown


def times_after(cron: str, timezone: str, moment: datetime) -> Iterator[datetime]:
    """Return the times after a moment, in UTC, each once."""
    last = moment
    for local in CronSim(SHORT.get(cron.lower(), cron), moment.astimezone(ZoneInfo(timezone))):
        found = local.astimezone(UTC)
        if found > last:
            yield found
            last = found


def due_times(cron: str, timezone: str, first: datetime | None, moment: datetime) -> DueTimes:
    """Return the times from ``first`` on that are due at ``moment``; of very many the latest, found without going through all of them."""
    following = next(times_after(cron, timezone, moment), None)
    if first is None or first > moment:
        return DueTimes((), more=False, next_at=first)
    times, since = list[datetime](), first
    for window in (timedelta(hours=2), timedelta(days=2), timedelta(days=120), moment - first):
        since = max(first, moment - window)
        times = [time for time in _until(cron, timezone, since - timedelta(seconds=1), moment) if time >= first]
        if since == first or len(times) > MOST:
            break
    return DueTimes(tuple(times[-MOST - 1 :]), more=len(times) > MOST or since > first, next_at=following)


def _until(cron: str, timezone: str, after: datetime, moment: datetime) -> Iterator[datetime]:
    for time in times_after(cron, timezone, after):
        if time > moment:
            return
        yield time
