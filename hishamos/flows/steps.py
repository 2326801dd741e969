"""One method for each type of step: the same names under ``with`` as in YAML, expressions where YAML has templates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Literal, TypedDict, TypeVar, Unpack

from hishamos.flows.expressions import Expression, bare, filled
from hishamos.records.callbacks import MARK
from hishamos.records.definitions import Goto, Retry

M = TypeVar("M")
PREVIOUS = "previous"


class Options(TypedDict, total=False):
    """What every step takes beside its own."""

    description: str
    after: Sequence[Any]
    """Steps, or their ids, that have ended before; those whose output it reads are added."""
    when: Expression | str
    """An expression: where it does not hold the step is skipped."""
    retry: int | Retry | Mapping[str, Any]
    """How often it is tried, the first try counts; or a whole :class:`Retry`."""
    timeout: float
    """Seconds of one try."""
    on_error: Literal["fail", "continue"] | Goto | Mapping[str, Any]
    compensate: Inner
    """The step that takes this one back when the run fails or is cancelled after it: one of ``flow.inner``."""


class Inner:
    """A step inside another, made by ``flow.inner``."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data


Each = Inner | Callable[..., Inner]
"""A step, or a function that makes it of the names that it sees: the item, ``NAME_index``, in loops ``previous``."""


class Steps(Generic[M]):
    """Makes steps. ``made``: what becomes of one: a step of the flow with an id, or one inside another without."""

    def __init__(self, made: Callable[[str, dict[str, Any]], M]) -> None:
        self._made = made

    def command(
        self,
        id: str = "",
        *,
        command: str,
        inputs: Mapping[str, Any] | None = None,
        model: str | Expression | None = None,
        agent: str | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Run a command once; its output is the command's."""
        return self._step(id, "command", {"command": command, "inputs": inputs, "model": model, "agent": agent}, options)

    def agent(
        self,
        id: str = "",
        *,
        agent: str,
        task: str | Expression,
        data: Any = None,
        files: Sequence[Any] | Expression | None = None,
        output: dict[str, Any] | None = None,
        model: str | Expression | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Give an agent one task; its output is text, or data by the schema ``output``."""
        own = {"agent": agent, "task": task, "data": data, "files": files, "output": output, "model": model}
        return self._step(id, "agent", own, options)

    def python(
        self,
        id: str = "",
        *,
        function: str | Callable[..., Any],
        arguments: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Call a function, named as in YAML or given itself; its output is what it returns, as plain data."""
        name = function if isinstance(function, str) else named(function)
        return self._step(id, "python", {"function": name, **(arguments or {})}, options)

    def map(
        self,
        id: str = "",
        *,
        over: Any,
        step: Each,
        as_: str | None = None,
        concurrency: int | Expression | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Do a step for each item of a list; its output is the list of outputs, in order.

        ``step``: ``lambda row: flow.inner.command(…)``; the item's name is the function's own, ``as_`` where it is another.
        """
        name, inner = _each(step, as_)
        own = {"over": over, "as": None if name == "item" else name, "concurrency": concurrency, "step": inner}
        return self._step(id, "map", own, options)

    def loop(
        self,
        id: str = "",
        *,
        step: Each,
        for_: Any = None,
        until: Callable[..., Expression] | Expression | str | None = None,
        at_most: int | None = None,
        at_bound: Literal["fail", "continue"] | None = None,
        as_: str | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Do a step again and again, for each item of ``for_`` or ``until`` an expression holds; output ``{output, outputs, iterations, ended}``.

        ``step``: ``lambda item, previous: flow.inner.command(…)``; ``until``: an expression, or ``lambda previous: previous.ok``.
        """
        name, inner = _each(step, as_)
        ends = _called(until, name) if callable(until) and not isinstance(until, Expression) else until
        own = {
            "for": for_,
            "until": None if ends is None else bare(ends),
            "at_most": at_most,
            "at_bound": at_bound,
            "as": None if name == "item" else name,
            "step": inner,
        }
        return self._step(id, "loop", own, options)

    def switch(
        self,
        id: str = "",
        *,
        on: Any,
        cases: Mapping[str, Inner],
        default: Inner | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Do the one step whose case equals a value, compared as text; its output is that step's."""
        own = {"on": on, "cases": {str(case): inner.data for case, inner in cases.items()}, "default": default.data if default else None}
        return self._step(id, "switch", own, options)

    def workflow(
        self,
        id: str = "",
        *,
        workflow: str,
        inputs: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Run another workflow as a run of its own; output ``{run, outputs}``."""
        return self._step(id, "workflow", {"workflow": workflow, "inputs": inputs}, options)

    def approval(
        self,
        id: str = "",
        *,
        message: str | Expression,
        on_reject: Literal["fail", "continue"] | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Wait for a person; output ``{decision, comment, by}``."""
        return self._step(id, "approval", {"message": message, "on_reject": on_reject}, options)

    def wait(
        self,
        id: str = "",
        *,
        seconds: float | Expression | None = None,
        until: datetime | str | Expression | None = None,
        event: str | Expression | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Wait for a time, or for an event; output ``{event, data, by, timed_out}``."""
        return self._step(id, "wait", {"seconds": seconds, "until": until, "event": event}, options)

    def sql(
        self,
        id: str = "",
        *,
        query: str | None = None,
        file: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        limit: int | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Ask the workspace's views one SELECT; output ``{rows, truncated}``."""
        return self._step(id, "sql", {"query": query, "file": file, "parameters": parameters, "limit": limit}, options)

    def http(
        self,
        id: str = "",
        *,
        url: str | Expression,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        body: str | Expression | None = None,
        timeout_s: float | None = None,
        limit: int | None = None,
        ok: Sequence[int] | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Send one request to a host on the allow-list; output ``{status, headers, body, json, url}``."""
        own = {"url": url, "method": method, "headers": headers, "json": json, "body": body, "timeout_s": timeout_s, "limit": limit, "ok": ok}
        return self._step(id, "http", own, options)

    def shell(
        self,
        id: str = "",
        *,
        program: str,
        args: Sequence[Any] | Expression | None = None,
        folder: str | None = None,
        input: str | Expression | None = None,
        ok_codes: Sequence[int] | None = None,
        limit: int | None = None,
        memory_mb: int | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Run one program of the allow-list; output ``{code, stdout, stderr}``."""
        own = {"program": program, "args": args, "folder": folder, "input": input, "ok_codes": ok_codes, "limit": limit, "memory_mb": memory_mb}
        return self._step(id, "shell", own, options)

    def notebook(
        self,
        id: str = "",
        *,
        notebook: str,
        parameters: Mapping[str, Any] | None = None,
        output: str | Expression | None = None,
        reuse: bool | None = None,
        kernel: str | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Execute a notebook of the workspace; output ``{output, seconds, result}``: the executed one's path, and what ``hishamos.result`` gave back.

        ``reuse``: a kernel may execute it that has executed others; ``kernel``: which one, left out the notebook's own.
        """
        given = {"notebook": notebook, "parameters": parameters, "output": output, "reuse": reuse, "kernel": kernel}
        return self._step(id, "notebook", given, options)

    def cell(
        self,
        id: str = "",
        *,
        code: str,
        place: str | None = None,
        setup: Sequence[Mapping[str, str]] | None = None,
        values: Mapping[str, Any] | None = None,
        gives: Sequence[str] | None = None,
        **options: Unpack[Options],
    ) -> M:
        """Run a cell's code with the variables ``values``; output: the variables that it ``gives``, by name."""
        return self._step(id, "cell", {"code": code, "place": place, "setup": setup, "values": values, "gives": gives}, options)

    def step(self, id: str = "", *, type: str, with_: Mapping[str, Any] | None = None, **options: Unpack[Options]) -> M:
        """Make a step of any type, one of another package too."""
        return self._step(id, type, dict(with_ or {}), options)

    def _step(self, id: str, type: str, own: Mapping[str, Any], options: Options) -> M:
        where = f"step {id}" if id else f"a step of type {type}"
        data: dict[str, Any] = {"type": type, "with": {key: filled(value, f"{where}, {key}") for key, value in own.items() if value is not None}}
        for key, value in options.items():
            if value is not None:
                data[key] = _option(key, value, where)
        return self._made(id, data)


def _with_options() -> None:
    """Have help() and completion in notebooks show the options of every step by name."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [inspect.Parameter(name, keyword, default=None, annotation=hint) for name, hint in Options.__annotations__.items()]
    for method in vars(Steps).values():
        if inspect.isfunction(method) and not method.__name__.startswith("_"):
            signature = inspect.signature(method)
            own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
            method.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]  # what inspect looks for


_with_options()


def named(function: Callable[..., Any]) -> str:
    """Return the name by which a step calls a function: what it was registered as, else where it stands."""
    registered = getattr(function, MARK, None)
    return registered if isinstance(registered, str) else f"{function.__module__}:{function.__qualname__}"


def _option(key: str, value: Any, where: str) -> Any:
    if key == "when":
        return bare(value)
    if key == "retry":
        return {"attempts": value} if isinstance(value, int) else _plain(value)
    if key == "compensate":
        return value.data
    if key == "after":
        return [one if isinstance(one, str) else one.id for one in value]
    return filled(_plain(value), f"{where}, {key}")


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_unset=True) if hasattr(value, "model_dump") else value


def _each(step: Each, as_: str | None) -> tuple[str, dict[str, Any]]:
    """Return the item's name and the step for one item."""
    if isinstance(step, Inner):
        return as_ or "item", step.data
    names = [name for name in inspect.signature(step).parameters if name != PREVIOUS and not name.endswith("_index")]
    name = as_ or (names[0] if names else "item")
    return name, _called(step, name).data


def _called(function: Callable[..., Any], item: str) -> Any:
    """Call a function with what it names: the item, its index, what came before."""
    parameters = inspect.signature(function).parameters
    known = {name: Expression(f"{item}_index" if name.endswith("_index") else PREVIOUS if name == PREVIOUS else item) for name in parameters}
    return function(**known)
