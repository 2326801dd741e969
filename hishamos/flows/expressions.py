"""Expressions of templates as Python objects: what is written with them becomes the text that YAML would hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from hishamos.errors import InvalidInput

CHOICE, OR, AND, NOT, COMPARED, SUM, PRODUCT, PIPED, WHOLE = range(9)
"""How tightly a piece of an expression holds together, loosest first."""


class Expression:
    """Something a run will know: an input, a step's output, an item. Attributes, items, comparisons and sums of it are expressions again.

    ``&``, ``|`` and ``~`` stand for ``and``, ``or`` and ``not``, which Python does not let anybody redefine. In an f-string it becomes a template.
    """

    __slots__ = ("_holds", "_text")
    __hash__ = None  # type: ignore[assignment]  # two of them are compared by the run, not here

    def __init__(self, text: str, holds: int = WHOLE) -> None:
        self._text, self._holds = text, holds

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):
            raise AttributeError(name)
        return Expression(f"{within(self, WHOLE)}.{name}")

    def __getitem__(self, key: Any) -> Expression:
        if isinstance(key, slice):
            parts = ["" if part is None else literal(part) for part in (key.start, key.stop)]
            return Expression(f"{within(self, WHOLE)}[{':'.join(parts)}]")
        return Expression(f"{within(self, WHOLE)}[{literal(key)}]")

    def piped(self, filter: str, *arguments: Any, **named: Any) -> Expression:
        """Return what a filter of templates makes of it: ``rows.piped("length")``, ``names.piped("join", ", ")``."""
        given = [literal(one) for one in arguments] + [f"{name}={literal(one)}" for name, one in named.items()]
        return Expression(f"{within(self, PIPED)} | {filter}" + (f"({', '.join(given)})" if given else ""), PIPED)

    def __str__(self) -> str:
        return f"{{{{ {self._text} }}}}"

    def __repr__(self) -> str:
        return f"<expression {self._text}>"

    def __format__(self, spec: str) -> str:
        if spec:
            raise TypeError(f"an expression takes no format {spec!r}; its value is known when the workflow runs")
        return str(self)

    def __bool__(self) -> NoReturn:
        raise TypeError("what an expression is is known when the workflow runs: write & for and, | for or, ~ for not, and flow.choose for if")

    def __iter__(self) -> NoReturn:
        raise TypeError("an expression can't be looped over here: its value is known when the workflow runs; use flow.map")

    def __contains__(self, _: object) -> NoReturn:
        raise TypeError("write LIST.contains(VALUE): Python turns what 'in' gives into true or false at once")

    def contains(self, value: Any) -> Expression:
        """Return whether a value is in it."""
        return Expression(f"{_side(value, COMPARED)} in {within(self, SUM)}", COMPARED)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]  # compared by the run
        return _compared(self, "==", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]  # compared by the run
        return _compared(self, "!=", other)

    def __lt__(self, other: Any) -> Expression:
        return _compared(self, "<", other)

    def __le__(self, other: Any) -> Expression:
        return _compared(self, "<=", other)

    def __gt__(self, other: Any) -> Expression:
        return _compared(self, ">", other)

    def __ge__(self, other: Any) -> Expression:
        return _compared(self, ">=", other)

    def __and__(self, other: Any) -> Expression:
        return _joined(self, "and", other)

    def __rand__(self, other: Any) -> Expression:
        return _joined(other, "and", self)

    def __or__(self, other: Any) -> Expression:
        return _joined(self, "or", other)

    def __ror__(self, other: Any) -> Expression:
        return _joined(other, "or", self)

    def __invert__(self) -> Expression:
        return Expression(f"not {within(self, NOT)}", NOT)

    def __add__(self, other: Any) -> Expression:
        return Expression(f"{within(self, SUM)} + {_side(other, PRODUCT)}", SUM)

    def __radd__(self, other: Any) -> Expression:
        return Expression(f"{_side(other, SUM)} + {within(self, PRODUCT)}", SUM)

    def __sub__(self, other: Any) -> Expression:
        return Expression(f"{within(self, SUM)} - {_side(other, PRODUCT)}", SUM)

    def __rsub__(self, other: Any) -> Expression:
        return Expression(f"{_side(other, SUM)} - {within(self, PRODUCT)}", SUM)

    def __mul__(self, other: Any) -> Expression:
        return Expression(f"{within(self, PRODUCT)} * {_side(other, WHOLE)}", PRODUCT)

    def __rmul__(self, other: Any) -> Expression:
        return Expression(f"{_side(other, PRODUCT)} * {within(self, WHOLE)}", PRODUCT)

    def __truediv__(self, other: Any) -> Expression:
        return Expression(f"{within(self, PRODUCT)} / {_side(other, WHOLE)}", PRODUCT)

    def __rtruediv__(self, other: Any) -> Expression:
        return Expression(f"{_side(other, PRODUCT)} / {within(self, WHOLE)}", PRODUCT)


def chosen(condition: Any, then: Any, otherwise: Any) -> Expression:
    """Return the expression that is ``then`` where the condition holds, else ``otherwise``."""
    return Expression(f"{_side(then, OR)} if {_side(condition, OR)} else {_side(otherwise, CHOICE)}", CHOICE)


def bare(value: Expression | str) -> str:
    """Return the text of an expression without braces, as ``when`` takes it."""
    return value._text if isinstance(value, Expression) else value


def within(value: Expression, place: int) -> str:
    """Return an expression's text as a part of another, in brackets where it would fall apart."""
    return value._text if value._holds >= place else f"({value._text})"


def filled(value: Any, where: str) -> Any:
    """Return nested data with its expressions as templates; raises :class:`InvalidInput` for what no definition holds."""
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): filled(inner, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled(inner, f"{where}[{number}]") for number, inner in enumerate(value)]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    for convert in (_moment, _path):
        text = convert(value)
        if text is not None:
            return text
    what = f"a {type(value).__name__} is no plain data"
    raise InvalidInput(what=what, where=where, next="Give text, numbers, lists, mappings, or what a step gives: STEP.output.")


def literal(value: Any) -> str:
    """Return a Python value as an expression's text."""
    if isinstance(value, Expression):
        return value._text
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, (int, float, str)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(one) for one in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(one)}" for key, one in value.items()) + "}"
    raise InvalidInput(what=f"a {type(value).__name__} can't stand in an expression", where="an expression", next="Use text, numbers, lists and mappings.")


def _compared(left: Expression, sign: str, right: Any) -> Expression:
    return Expression(f"{within(left, SUM)} {sign} {_side(right, SUM)}", COMPARED)


def _joined(left: Any, word: str, right: Any) -> Expression:
    """Join two conditions; where ``and`` meets ``or`` brackets stand, though the one binds tighter."""
    own = OR if word == "or" else AND

    def part(value: Any) -> str:
        mixed = isinstance(value, Expression) and value._holds in {OR, AND} and value._holds != own
        return f"({value._text})" if mixed else _side(value, own)

    return Expression(f"{part(left)} {word} {part(right)}", own)


def _side(value: Any, place: int) -> str:
    return within(value, place) if isinstance(value, Expression) else literal(value)


def _moment(value: Any) -> str | None:
    form: Callable[[], str] | None = getattr(value, "isoformat", None)
    return form() if form is not None else None


def _path(value: Any) -> str | None:
    form: Callable[[], str] | None = getattr(value, "__fspath__", None)
    return form() if form is not None else None
