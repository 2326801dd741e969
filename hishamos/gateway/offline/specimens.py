"""Plain values that satisfy a schema's limits where nothing could be judged: the number nearest to 0, a text of fit length, a match of a pattern."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from re import _constants as tokens  # type: ignore[attr-defined]  # the parser behind re has no public twin
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from hishamos.gateway.offline.validity import Unresolvable, compiled

NOT_JUDGED = "not judged offline"

FORMATS = {
    "date": "1970-01-01",
    "date-time": "1970-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "not-judged@offline.invalid",
    "idn-email": "not-judged@offline.invalid",
    "hostname": "offline.invalid",
    "idn-hostname": "offline.invalid",
    "ipv4": "0.0.0.0",  # noqa: S104 - a value, no address to bind
    "ipv6": "::",
    "uri": "about:blank",
    "iri": "about:blank",
    "uri-reference": "about:blank",
    "iri-reference": "about:blank",
    "uuid": "00000000-0000-0000-0000-000000000000",
    **{f"uuid{number}": f"00000000-0000-{number}000-8000-000000000000" for number in (1, 3, 4, 5, 6, 7, 8)},
    "multi-host-uri": "offline://offline.invalid",
    **dict.fromkeys(("ipv4network", "ipv4interface", "ipvanyaddress", "ipvanynetwork", "ipvanyinterface"), "0.0.0.0"),  # noqa: S104 - the same
    **dict.fromkeys(("ipv6network", "ipv6interface"), "::"),
    "base64": "",
    "base64url": "",
    "regex": "not judged offline",
    "json-pointer": "",
    "relative-json-pointer": "0",
}
"""A value for each format that says nothing."""


def numbers(schema: Mapping[str, Any], *, integral: bool) -> Iterator[int | float]:
    """Yield numbers within the schema's limits, the nearest to 0 first."""
    unit = Fraction(str(schema["multipleOf"])) if "multipleOf" in schema else None
    if integral:
        unit = Fraction(unit.numerator) if unit else Fraction(1)  # the least integer that is a multiple of a/b is a
    low, high = _limits(schema)
    if unit is None:
        yield from _between(low, high)
        return
    least = math.ceil(low / unit) if low is not None else None
    most = math.floor(high / unit) if high is not None else None
    for step in _near_zero(least, most):
        value = step * unit
        yield int(value) if value.denominator == 1 else float(value)


def _limits(schema: Mapping[str, Any]) -> tuple[Fraction | None, Fraction | None]:
    low = [Fraction(schema[key]) for key in ("minimum", "exclusiveMinimum") if key in schema]
    high = [Fraction(schema[key]) for key in ("maximum", "exclusiveMaximum") if key in schema]
    return (max(low) if low else None), (min(high) if high else None)


def _between(low: Fraction | None, high: Fraction | None) -> Iterator[int | float]:
    yield from _near_zero(math.ceil(low) if low is not None else None, math.floor(high) if high is not None else None, 64)
    if low is not None and high is not None:
        for part in range(1, 64):
            yield float(low + (high - low) * part / 64)
    for end in (low, high):
        if end is not None:
            yield float(end)
            yield math.nextafter(float(end), math.inf if end is low else -math.inf)


def _near_zero(least: int | None, most: int | None, count: int = 4096) -> Iterator[int]:
    start = max(0, least) if least is not None else 0
    start = min(start, most) if most is not None else start
    for distance in range(count):
        for value in {start + distance, start - distance}:
            if (least is None or value >= least) and (most is None or value <= most):
                yield value


def texts(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield texts that fit the schema's length, pattern or format; ``not judged offline`` first where it fits."""
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    if "format" in schema and schema["format"] in FORMATS:
        yield FORMATS[schema["format"]]
    if "pattern" in schema:
        yield NOT_JUDGED
        for extra in range(min(max(least, 1), 512) + 2):
            yield matching(schema["pattern"], extra)
        yield from (matching(schema["pattern"], salt=salt) for salt in range(1, 40))
        return
    plain = NOT_JUDGED
    while len(plain) < least:
        plain += " " + NOT_JUDGED
    room = len(plain) if most is None else int(most)
    yield plain[:room] if len(plain[:room].rstrip()) < least else plain[:room].rstrip()
    for number in range(2, 1000):
        tail = f" ({number})"
        yield plain[: max(0, room - len(tail))] + tail if most is not None else plain + tail
    for code in range(97, 123):
        yield chr(code) * max(least, 1)


def matching(pattern: str, extra: int = 0, salt: int = 0) -> str:
    """Return a text that the regular expression matches; raises :class:`Unresolvable` where none can be made.

    ``extra``: how often open repeats run beyond their least; another ``salt`` takes other characters and branches where there are any.
    """
    compiled(pattern)
    return _match(parser.parse(pattern), extra, salt)


def _match(tree: Any, extra: int, salt: int) -> str:
    return "".join(_token(token, argument, extra, salt) for token, argument in tree)


def _token(token: Any, argument: Any, extra: int, salt: int) -> str:  # noqa: PLR0911 - one line a kind of token
    if token is tokens.LITERAL:
        return chr(argument)
    if token in (tokens.NOT_LITERAL, tokens.ANY):
        return next(c for c in "ab" if token is tokens.ANY or ord(c) != argument)
    if token is tokens.IN:
        return _member(argument, salt)
    if token in (tokens.MAX_REPEAT, tokens.MIN_REPEAT, tokens.POSSESSIVE_REPEAT):
        least, most, inner = argument
        return _match(inner, 0, salt) * min(int(least) + extra, 4096 if most is tokens.MAXREPEAT else int(most))
    if token is tokens.SUBPATTERN:
        return _match(argument[-1], extra, salt)
    if token is tokens.ATOMIC_GROUP:
        return _match(argument, extra, salt)
    if token is tokens.BRANCH:
        return _match(argument[1][salt % len(argument[1])], extra, salt)
    if token in (tokens.AT, tokens.ASSERT, tokens.ASSERT_NOT):
        return ""
    raise Unresolvable(f"no text can be made for {token} in a pattern")


def _member(options: list[tuple[Any, Any]], salt: int) -> str:
    negated = bool(options) and options[0][0] is tokens.NEGATE
    fit = [code for code in _CODES if any(_holds(kind, argument, code) for kind, argument in options if kind is not tokens.NEGATE) != negated]
    if fit:
        return chr(fit[salt % len(fit)])
    kind, argument = options[0]
    if kind is tokens.LITERAL:
        return chr(argument)
    if kind is tokens.RANGE:
        return chr(argument[0])
    raise Unresolvable("no character fits a class in a pattern")


_CODES = [*range(97, 123), *range(48, 58), *range(65, 91), *range(32, 48), *range(58, 65), *range(91, 97), *range(123, 127), *range(0xA1, 0x700)]
"""Characters that are tried for a class, letters first."""


def _holds(kind: Any, argument: Any, code: int) -> bool:
    if kind is tokens.LITERAL:
        return bool(code == argument)
    if kind is tokens.RANGE:
        return bool(argument[0] <= code <= argument[1])
    character = chr(code)
    classes = {
        tokens.CATEGORY_DIGIT: character.isdigit(),
        tokens.CATEGORY_NOT_DIGIT: not character.isdigit(),
        tokens.CATEGORY_SPACE: character.isspace(),
        tokens.CATEGORY_NOT_SPACE: not character.isspace(),
        tokens.CATEGORY_WORD: character.isalnum() or character == "_",
        tokens.CATEGORY_NOT_WORD: not (character.isalnum() or character == "_"),
    }
    return classes.get(argument, False)
