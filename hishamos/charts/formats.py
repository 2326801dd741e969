"""How every face writes money, time, counts and states. One family of words and signs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

NANOS = Decimal(1_000_000_000)

STATES: dict[str, tuple[str, str, str]] = {
    "queued": ("·", "queued", "muted"),
    "pending": ("·", "pending", "muted"),
    "running": ("●", "running", "blue"),
    "sent": ("●", "sent", "blue"),
    "waiting": ("◷", "waiting", "amber"),
    "paused": ("‖", "paused", "amber"),
    "succeeded": ("✓", "succeeded", "green"),
    "cached": ("✓", "cached", "green"),
    "failed": ("✕", "failed", "red"),
    "timed_out": ("✕", "timed out", "red"),
    "refused": ("✕", "refused by a budget", "red"),
    "incomplete": ("✂", "cut off", "red"),
    "cancelled": ("○", "cancelled", "muted"),
    "skipped": ("○", "skipped", "muted"),
    "orphaned": ("⚠", "orphaned, may be billed twice", "violet"),
    "offline": ("⌁", "offline model, not a real answer", "muted"),
    "unpriced": ("?", "unpriced", "muted"),
    "reused": ("↺", "reused", "muted"),
    "ready": ("✓", "ready", "green"),
    "failing": ("⚠", "failing, left alone for a while", "amber"),
    "no key": ("·", "no key", "muted"),
    "misconfigured": ("✕", "misconfigured", "red"),
    "unreachable": ("✕", "unreachable", "red"),
}
"""State to sign, word and colour; never colour alone."""


def missing() -> str:
    """Return the sign for a missing value: never None or NaN."""
    return "–"


def money(nanos: int | None) -> str:
    """Return nano-dollars in words: ``0.0412 USD``, three significant digits below 1, two decimals above; None is ``unpriced``."""
    if nanos is None:
        return "unpriced"
    amount = Decimal(nanos) / NANOS
    if amount == 0:
        return "0 USD"
    small = amount.quantize(Decimal(1).scaleb(amount.adjusted() - 2), ROUND_HALF_EVEN)
    if abs(small) < 1:
        return f"{small:f} USD"
    return f"{amount.quantize(Decimal('0.01'), ROUND_HALF_EVEN):,} USD"


def exact_usd(nanos: int | None) -> str | None:
    """Return nano-dollars as the exact decimal text for exports, without an exponent; None stays None."""
    if nanos is None:
        return None
    text = f"{Decimal(nanos) / NANOS:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float | None) -> str:
    """Return seconds in words: ``340 ms``, ``33.2 s``, ``4 min 10 s``, ``2 h 5 min``."""
    if seconds is None or seconds != seconds:  # noqa: PLR0124 - NaN is the number that differs from itself
        return missing()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def count(number: float | None) -> str:
    """Return a count with separators: ``18,204``."""
    return missing() if number is None or number != number else f"{number:,.0f}"  # noqa: PLR0124 - NaN


def some(number: int, thing: str) -> str:
    """Return a count with its noun: ``1 attempt``, ``18,204 attempts``."""
    return f"{count(number)} {thing}" if number == 1 else f"{count(number)} {thing}s"


def size_words(size: float) -> str:
    """Return bytes in words: ``340 B``, ``12.5 MB``."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def share(part: float, whole: float) -> str:
    """Return a part of a whole in percent: ``3.1 %``; missing where there is no whole."""
    return missing() if not whole else f"{100 * part / whole:.1f} %"


def ahead(instant: datetime, since: datetime | None = None) -> str:
    """Return how long it is until an instant: ``in 3 d``, ``in 4 h``, ``in 5 min``; ``now`` for one that has come. ``since``: left out, now."""
    seconds = (instant - (since or datetime.now(UTC))).total_seconds()
    if seconds <= 0:
        return "now"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"in {seconds // size:,.0f} {unit}"
    return f"in {seconds:.0f} s"


def clock(instant: datetime | None) -> str:
    """Return an instant as ``23 Nov 14:05`` by the clock it carries; the store's are UTC."""
    return missing() if instant is None else f"{instant.day} {instant:%b %H:%M}"


def waiting_words(text: str) -> str:
    """Return what something waits for, with its time as people read it: ``until 14:05:30 UTC``, ``until 24 Nov 14:05 UTC``."""

    def read(found: re.Match[str]) -> str:
        instant = datetime.fromisoformat(found[0]).astimezone(UTC)
        return f"{instant:%H:%M:%S} UTC" if instant.date() == datetime.now(UTC).date() else f"{clock(instant)} UTC"

    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", read, text)


def state_label(state: str) -> str:
    """Return a state's sign and word."""
    sign, word, _ = STATES.get(str(state), ("·", str(state).replace("_", " "), "muted"))
    return f"{sign} {word}"


def state_colour(state: str) -> str:
    """Return a state's colour: muted, blue, amber, green, red, violet."""
    return STATES.get(str(state), ("", "", "muted"))[2]


def outlook(progress: float | None, left_s: float | None, left_nanos: int | None) -> str:
    """Return how far a run is and what is left: ``62 %, about 40.0 s and 0.02 USD left``; what nobody can tell is left out."""
    left = [] if left_s is None else [duration(left_s)]
    left += [money(left_nanos)] if left_nanos else []
    parts = [] if progress is None else [f"{100 * progress:.0f} %"]
    return ", ".join([*parts, *([f"about {' and '.join(left)} left"] if left else [])])
