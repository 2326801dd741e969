"""The environment in which templates run: nothing but plain data, counted work, bounded sizes.

Jinja's immutable sandbox keeps templates away from Python's inside; it does not bound time or memory. Here every loop body, call
and filter counts a tick, every growing operation is measured before it is done, and only methods and filters that are known to
be harmless exist. Rendering depends on nothing but its scope, so that a step that is entered again sends the same request.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

MAX_TEXT = 4_000_000
"""Characters of any text that a template makes."""
MAX_TEMPLATE = 200_000
"""Characters of a template."""
MAX_NODES = 1_000_000
"""Values inside one list or dict that a template makes, counted as often as they are reached."""
MAX_TICKS = 1_000_000
MAX_SECONDS = 2.0
MAX_BITS = 4096


def _words(text: str) -> list[str]:
    return text.split()


_TEXT_METHODS = frozenset(
    _words(
        "capitalize casefold count endswith find index isalnum isalpha isdecimal isdigit islower isnumeric isspace istitle "
        "isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip split "
        "splitlines startswith strip swapcase title upper"
    )
)
_METHODS: dict[type, frozenset[str]] = {
    str: _TEXT_METHODS,
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
}
_OPEN: tuple[type, ...] = (LoopContext, Namespace, Cycler, Joiner, Macro)
_FILTERS = frozenset(
    _words(
        "abs capitalize count d default dictsort first float groupby int items join last length list lower map max min reject "
        "rejectattr replace reverse round select selectattr sort title trim truncate unique upper urlencode wordcount"
    )
)
_WIDE = re.compile(r"\d{4,}|\*")
_REFUSED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block, nodes.ScopedEvalContextModifier)


class TemplateLimit(SecurityError):
    """A template that needs more time or memory than templates may have."""


class Meter:
    """The work that one rendering may do."""

    def __init__(self) -> None:
        self.ticks = 0
        self.end = time.monotonic() + MAX_SECONDS

    def tick(self, cost: int = 1) -> None:
        """Count work; raises when it is too much."""
        self.ticks += cost
        if self.ticks > MAX_TICKS:
            raise TemplateLimit(f"it takes more than {MAX_TICKS:,} steps")
        if time.monotonic() > self.end:
            raise TemplateLimit(f"it takes longer than {MAX_SECONDS:g} s")


_running = threading.local()


def metered() -> Meter:
    """Begin the work of one rendering in this thread."""
    meter = Meter()
    _running.meter = meter
    return meter


def _tick(cost: int = 1) -> None:
    meter: Meter | None = getattr(_running, "meter", None)
    if meter is not None:
        meter.tick(cost)


def fits(length: int) -> None:
    """Refuse a text of more characters than a template may make."""
    if length > MAX_TEXT:
        raise TemplateLimit(f"it makes a text of more than {MAX_TEXT:,} characters")
    _tick(length // 4096)


def measured(value: Any) -> Any:
    """Return ``value`` if it holds no more than templates may make, however its parts are shared."""
    left = MAX_NODES
    open_values = [value]
    while open_values:
        inner = open_values.pop()
        left -= 1
        if isinstance(inner, dict):
            left -= len(inner)
            open_values.extend(inner.values())
        elif isinstance(inner, (list, tuple)):
            open_values.extend(inner)
        if left < len(open_values):
            raise TemplateLimit(f"it makes a list of more than {MAX_NODES:,} values")
    _tick((MAX_NODES - left) // 256)
    return value


def text_of(value: Any) -> str:
    """Return how a value looks inside a text: None is nothing, true and false are small, data is JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    made = json.dumps(plain(measured(value)), ensure_ascii=False)
    fits(len(made))
    return made


def joined(parts: Iterable[Any]) -> str:
    """Join texts, never to more than a template may make."""
    taken = []
    length = 0
    for part in parts:
        piece = text_of(part)
        length += len(piece)
        fits(length)
        taken.append(piece)
    return "".join(taken)


class _CountedCode(CodeGenerator):
    """Compiles templates so that loops, literals and ``~`` report what they do."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        tick = nodes.ExprStmt(nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None), lineno=node.lineno)
        tick.set_environment(self.environment)
        node.body.insert(0, tick)
        super().visit_For(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.join((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self.write("environment.measure(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx != "load":
            super().visit_Tuple(node, frame)
            return
        self.write("environment.measure(")
        super().visit_Tuple(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self.write("environment.measure(")
        super().visit_Dict(node, frame)
        self.write(")")


def _replace(value: Any, old: str, new: str, count: int | None = None) -> str:
    text, old, new = text_of(value), text_of(old), text_of(new)
    found = text.count(old) if count is None else min(count, text.count(old))
    fits(len(text) + found * max(0, len(new) - len(old)))
    return text.replace(old, new, -1 if count is None else count)


def _join(value: Iterable[Any], separator: str = "", attribute: str | int | None = None) -> str:
    parts = [item if attribute is None else _part(item, attribute) for item in value]
    fits(len(text_of(separator)) * max(0, len(parts) - 1) + sum(len(part) if isinstance(part, str) else 1 for part in parts))
    return text_of(separator).join(text_of(part) for part in measured(parts))


def _part(item: Any, attribute: str | int) -> Any:
    for name in str(attribute).split("."):
        item = item[int(name) if name.isdigit() and isinstance(item, (list, tuple)) else name]
    return item


def _tojson(value: Any, indent: int | None = None) -> str:
    made = json.dumps(plain(measured(value)), ensure_ascii=False, indent=None if indent is None else min(int(indent), 8))
    fits(len(made))
    return made


def _format(text: Any, *values: Any, **named: Any) -> str:
    if _WIDE.search(str(text)):
        raise TemplateLimit("a format's width has at most three digits")
    return str(text) % (named or values)


def _batch(values: Iterable[Any], size: int, filling: Any = None) -> list[list[Any]]:
    items = list(values)
    width = min(max(1, int(size)), MAX_NODES if filling is not None else max(1, len(items)))
    rows = [items[start : start + width] for start in range(0, len(items), width)]
    if filling is not None and rows:
        rows[-1] += [filling] * (width - len(rows[-1]))
    measured(rows)
    return rows


def _sum(values: Iterable[Any], attribute: str | int | None = None, start: float = 0) -> Any:
    total: Any = start
    for item in values:
        number = item if attribute is None else _part(item, attribute)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise TypeError(f"sum adds numbers, not {type(number).__name__}")
        total += number
    return total


def _counted(filter_: Callable[..., Any]) -> Callable[..., Any]:
    def count(*arguments: Any, **named: Any) -> Any:
        _tick()
        result = filter_(*arguments, **named)
        if isinstance(result, str):
            fits(len(result))
        elif isinstance(result, (list, tuple, dict)):
            _tick(len(result) // 64)
        return result

    if hasattr(filter_, "jinja_pass_arg"):
        count.jinja_pass_arg = filter_.jinja_pass_arg  # type: ignore[attr-defined]  # how Jinja marks what a filter is given
    return count


@jinja2.pass_context
def _finalize(_context: Any, value: Any) -> Any:
    return text_of(value) if not isinstance(value, jinja2.Undefined) else value


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox with strict undefined names, without a loader, with everything counted."""

    code_generator_class = _CountedCode
    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, optimized=False, autoescape=False, finalize=_finalize, keep_trailing_newline=False)
        own = {"batch": _batch, "format": _format, "replace": _replace, "join": _join, "tojson": _tojson, "sum": _sum, "string": text_of}
        shipped = {name: function for name, function in self.filters.items() if name in _FILTERS}
        self.filters = {name: _counted(function) for name, function in {**shipped, **own}.items()}
        self.globals = {"range": self.globals["range"], "dict": dict, "namespace": Namespace, "cycler": Cycler, "joiner": Joiner}
        self.tick = _tick
        self.measure = measured
        self.join = joined
        self.concat = joined  # type: ignore[method-assign]  # Jinja joins block sets and macros with it

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MAX_TEMPLATE:
            raise TemplateLimit(f"it is longer than {MAX_TEMPLATE:,} characters")
        tree = super()._parse(source, name, filename)
        for refused in tree.find_all(_REFUSED):
            raise jinja2.TemplateSyntaxError(f"{type(refused).__name__.lower()} is not available in templates", refused.lineno)
        return tree

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002 - Jinja passes it
        """Allow what plain data needs, and nothing else."""
        if attr.startswith("_"):
            return False
        return isinstance(obj, _OPEN) or attr in _METHODS.get(type(obj), ())

    def is_safe_callable(self, _obj: Any) -> bool:
        """Allow the globals, macros and the methods that :meth:`is_safe_attribute` let through."""
        return True

    def wrap_str_format(self, _value: Any) -> None:
        """Never: ``format`` can make any amount of text, so it is refused like every method not on the list."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of a dict comes before a method of the same name."""
        if isinstance(obj, dict):
            if attribute in obj:
                return obj[attribute]
            if attribute not in _METHODS[dict]:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call(self, context: Any, func: Any, /, *arguments: Any, **named: Any) -> Any:
        """Count the call and measure what text methods would make."""
        _tick()
        owner = getattr(func, "__self__", None)
        if isinstance(owner, str):
            if func.__name__ == "replace":
                return _replace(owner, *arguments, **named)
            if func.__name__ == "join":
                return _join(arguments[0], owner)
        return measured(super().call(context, func, *arguments, **named))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Measure what ``+``, ``*``, ``**`` and ``%`` would make before making it."""
        if operator == "%" and isinstance(left, str):
            raise TemplateLimit("formatting with % is not available; write the values between the texts")
        if operator == "**":
            _bounded_power(left, right)
        for one, other in ((left, right), (right, left)):
            if isinstance(one, (str, list, tuple)):
                _bounded_repeat(operator, one, other)
        if operator == "*" and isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
            raise TemplateLimit("it makes a number of more than 1,000 digits")
        return super().call_binop(context, operator, left, right)


def _bounded_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_BITS:
        raise TemplateLimit("it makes a number of more than 1,000 digits")


def _bounded_repeat(operator: str, one: Any, other: Any) -> None:
    length = len(one)
    if operator == "*" and isinstance(other, int):
        length *= max(0, other)
    elif operator == "+" and isinstance(other, (str, list, tuple)):
        length += len(other)
    if isinstance(one, str):
        fits(length)
    elif length > MAX_NODES:
        raise TemplateLimit(f"it makes a list of more than {MAX_NODES:,} values")
    else:
        _tick(length // 64)


def plain(value: Any) -> Any:
    """Return a template's value as plain data: text, numbers, true, false, null, lists and objects."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # StrictUndefined says which name is missing
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {text_of(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, _OPEN):
        items = []
        for item in value:
            _tick()
            items.append(plain(item))
        return items
    raise TypeError(f"it gives a {type(value).__name__}, which is no plain data")
