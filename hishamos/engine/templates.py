"""Templates: text with ``{{ … }}``, a lone expression that keeps its value, and conditions without braces."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jinja2
from jinja2 import meta, nodes

from hishamos.engine.sandbox import Sandbox, metered, plain
from hishamos.errors import TemplateFailed

Scope = Mapping[str, Any]

BRACES = "a condition is an expression without braces"

_environment = Sandbox()


def render(text: str, scope: Scope, where: str) -> str:
    """Return the text with its expressions filled in.

    ``where``: what the text belongs to, for the error. Raises :class:`TemplateFailed`: an undefined name, a syntax error, a limit.
    """
    metered()
    try:
        return str(_environment.concat(_text(text).root_render_func(_text(text).new_context(dict(scope)))))
    except Exception as error:
        raise _failed(error, text, where) from error


def value(text: str, scope: Scope, where: str) -> Any:
    """Return what the text gives: the value itself for a lone ``{{ expression }}``, else rendered text."""
    if "{" not in text:
        return text
    try:
        lone = _lone(text)
    except Exception as error:
        raise _failed(error, text, where) from error
    return render(text, scope, where) if lone is None else _evaluate(lone, scope, text, where)


def condition(expression: str, scope: Scope, where: str) -> bool:
    """Return whether a ``when`` expression (no braces) holds, as Python would see its value."""
    try:
        compiled = _expression(expression)
    except Exception as error:
        raise _failed(error, expression, where) from error
    return bool(_evaluate(compiled, scope, expression, where))


def fill(data: Any, scope: Scope, where: str) -> Any:
    """Return nested data with every text in it given to :func:`value`; keys stay as they are."""
    if isinstance(data, str):
        return value(data, scope, where)
    if isinstance(data, Mapping):
        return {key: fill(inner, scope, f"{where}.{key}") for key, inner in data.items()}
    if isinstance(data, (list, tuple)):
        return [fill(inner, scope, f"{where}[{index}]") for index, inner in enumerate(data)]
    return data


def tree(text: str, where: str, *, bare: bool = False) -> nodes.Template:
    """Parse a template (``bare``: an expression without braces) and return its syntax tree, to be read only; raises :class:`TemplateFailed`."""
    try:
        if bare:
            _expression(text)
            return _parsed("{{ " + text + " }}")
        _text(text)
        return _parsed(text)
    except Exception as error:
        raise _failed(error, text, where) from error


@functools.lru_cache(maxsize=512)
def foreign_names(parsed: nodes.Template) -> frozenset[str]:
    """Return the names that a template takes from its scope."""
    return frozenset(meta.find_undeclared_variables(parsed))


def _evaluate(compiled: jinja2.Template, scope: Scope, text: str, where: str) -> Any:
    metered()
    try:
        context = compiled.new_context(dict(scope))
        for _ in compiled.root_render_func(context):
            pass
        return plain(context.vars["result"])
    except Exception as error:
        raise _failed(error, text, where) from error


@functools.lru_cache(maxsize=512)
def _parsed(text: str) -> nodes.Template:
    return _environment.parse(text)


@functools.lru_cache(maxsize=2048)
def _text(text: str) -> jinja2.Template:
    return _environment.from_string(text)


@functools.lru_cache(maxsize=2048)
def _lone(text: str) -> jinja2.Template | None:
    body = _environment.parse(text.strip()).body
    if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1 and not isinstance(body[0].nodes[0], nodes.TemplateData):
        return _assigned(body[0].nodes[0])
    return None


@functools.lru_cache(maxsize=2048)
def _expression(text: str) -> jinja2.Template:
    if text.strip()[:2] in {"{{", "{%"}:
        raise jinja2.TemplateSyntaxError(BRACES, 1)
    try:
        body = _environment.parse("{{ " + text + " }}").body
    except jinja2.TemplateSyntaxError as error:
        if "{{" in text or "{%" in text:
            raise jinja2.TemplateSyntaxError(BRACES, error.lineno) from None
        raise
    if len(body) != 1 or not isinstance(body[0], nodes.Output) or len(body[0].nodes) != 1:
        raise jinja2.TemplateSyntaxError("it is not one expression", 1)
    return _assigned(body[0].nodes[0])


def _assigned(expression: nodes.Expr) -> jinja2.Template:
    """Compile an expression so that its value is kept, as ``Environment.compile_expression`` does for text."""
    whole = nodes.Template([nodes.Assign(nodes.Name("result", "store"), expression, lineno=1)], lineno=1)
    whole.set_environment(_environment)
    return _environment.from_string(whole)


def _failed(error: Exception, text: str, where: str) -> TemplateFailed:
    if isinstance(error, TemplateFailed):
        return error
    problem, line = str(error) or type(error).__name__, 1
    following = "Check the expression against the inputs and the steps before it."
    if isinstance(error, jinja2.TemplateSyntaxError):
        problem, line, following = f"line {error.lineno}: {error.message}", error.lineno, "Correct the template."
    elif isinstance(error, jinja2.UndefinedError):
        following = "Give it a value, or write: NAME | default(…)."
    elif isinstance(error, RecursionError):
        problem, following = "it is nested too deeply", "Make it simpler."
    shown = text.strip() if len(text) <= 120 else text.strip()[:117] + "…"
    return TemplateFailed(where=where, problem=f"{problem}, in {shown!r}" if "\n" not in shown else problem, line=line, next=following)
