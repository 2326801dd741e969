"""Functions that are not the library's: where they stand and what they take, read from their source. Nothing of theirs is imported here."""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import inspect
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hishamos.engine.functions import plugged
from hishamos.engine.places import inside
from hishamos.errors import InvalidInput, UnknownName

STEPS = "steps"
WHERE = "a python step"
FRESH_S = 1.0
"""An installed package's files are looked at again after so many seconds."""
Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Foreign:
    """A function that runs in a child process."""

    name: str
    module: str
    attribute: str
    stamp: str
    """What changes with the source from which the module is loaded."""
    signature: inspect.Signature | None
    """None where the source does not tell."""


def foreign(name: str, root: Path) -> Foreign:
    """Return the function that a step names as ``steps.MODULE:FUNCTION`` or by an entry point.

    ``root``: the workspace's folder. Raises :class:`InvalidInput` for a name that no step may use, :class:`UnknownName` for what is not there.
    """
    address = plugged().get(name)
    if address is not None:
        return _installed(name, address)
    module, _, attribute = name.partition(":")
    parts = module.split(".")
    if parts[0] != STEPS:
        raise _no_name(name)
    if len(parts) < 2 or not all(_plain(part) for part in (*parts[1:], attribute)):
        hint = "" if "/" not in name and "\\" not in name else f" Write {_dotted(name)}."
        what = f"{name!r} is no function of the workspace"
        raise InvalidInput(what=what, where=WHERE, next=f"Name one as steps.MODULE:FUNCTION, without leading underscores.{hint}")
    file = inside(root, f"{'/'.join(parts)}.py", WHERE)
    folder = inside(root, STEPS, WHERE)
    if not file.is_file():
        known = [".".join((STEPS, *one.relative_to(folder).with_suffix("").parts)) for one in _sources(folder)]
        there = f"There are: {', '.join(known)}." if known else f"There is no file in {folder}."
        raise UnknownName.among("module", module, known, there)
    return Foreign(name, module, attribute, content_stamp(folder), _signature(_read(file), attribute, module))


def _installed(name: str, address: str) -> Foreign:
    module, _, attribute = address.partition(":")
    file = _file_of(module)
    if file is None:
        raise UnknownName(kind="module", name=module, hint="", next=f"The package that offers {name!r} is broken: install it again.")
    if file.suffix != ".py":
        return Foreign(name, module, attribute, str(file.stat().st_mtime_ns), None)
    top = _file_of(module.partition(".")[0]) or file
    return Foreign(name, module, attribute, _installed_stamp(str(top), int(time.monotonic() / FRESH_S)), _signature(_read(file), attribute, module))


def content_stamp(folder: Path) -> str:
    """Return the hash of all modules of a folder."""
    digest = hashlib.sha256()
    for file in _sources(folder):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


@lru_cache(maxsize=32)
def _installed_stamp(top: str, moment: int) -> str:  # noqa: ARG001 - it is read again in the next moment
    begin = Path(top)
    files = _sources(begin.parent) if begin.name == "__init__.py" else [begin]
    facts = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    yield from sorted(file for file in folder.rglob("*.py") if file.is_file())


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(what=f"it can't be read: {error}", where=str(file), next="Save it as UTF-8 text.") from None


def _file_of(module: str) -> Path | None:
    """Return a module's file as Python's own search finds it, without importing anything."""
    path: list[str] | None = None
    spec = None
    parts = module.split(".")
    for number in range(1, len(parts) + 1):
        spec = importlib.machinery.PathFinder.find_spec(".".join(parts[:number]), path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return Path(spec.origin) if spec is not None and spec.origin is not None else None


@lru_cache(maxsize=256)
def _signature(text: str, attribute: str, module: str) -> inspect.Signature | None:
    """Return a function's signature from its module's source; raises :class:`UnknownName` for one that is not in it, :class:`InvalidInput`."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        place = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise InvalidInput(what=f"{module} is no Python: {error.args[0]}{place}", where=WHERE, next="Correct it.") from None
    functions = {node.name: node for node in tree.body if isinstance(node, Definition)}
    found = functions.get(attribute)
    if found is None:
        if attribute in set(_bound(tree)):
            return None
        own = [name for name in functions if _plain(name)]
        raise UnknownName.among("function", attribute, own, f"{module} has: {', '.join(own) or 'none'}.")
    if isinstance(found, ast.AsyncFunctionDef) or any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(found)):
        raise InvalidInput(what=f"{attribute} is no plain function: it is asynchronous, or yields", where=module, next="Return a value; begin it with def.")
    marks = {"step", "tool", "hishamos.step", "hishamos.tool"}
    return _of(found.args) if all(ast.unparse(one) in marks for one in found.decorator_list) else None


def _of(given: ast.arguments) -> inspect.Signature:
    kinds = inspect.Parameter
    positional = [*((one, kinds.POSITIONAL_ONLY) for one in given.posonlyargs), *((one, kinds.POSITIONAL_OR_KEYWORD) for one in given.args)]
    optional = len(positional) - len(given.defaults)
    found = [_parameter(one.arg, kind, has_default=number >= optional) for number, (one, kind) in enumerate(positional)]
    if given.vararg is not None:
        found.append(_parameter(given.vararg.arg, kinds.VAR_POSITIONAL))
    defaults = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    found += [_parameter(one.arg, kinds.KEYWORD_ONLY, has_default=default is not None) for one, default in defaults]
    if given.kwarg is not None:
        found.append(_parameter(given.kwarg.arg, kinds.VAR_KEYWORD))
    return inspect.Signature(found)


def _parameter(name: str, kind: inspect._ParameterKind, *, has_default: bool = False) -> inspect.Parameter:
    return inspect.Parameter(name, kind, default=... if has_default else inspect.Parameter.empty)


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, Definition | ast.Lambda | ast.ClassDef):
            left += ast.iter_child_nodes(node)


def _bound(tree: ast.Module) -> Iterator[str]:
    """Give the names that a module's own lines bind beside its functions: what it imports and assigns."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (one.asname or one.name for one in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _plain(part: str) -> bool:
    return part.isidentifier() and not part.startswith("_")


def _dotted(name: str) -> str:
    path, _, attribute = name.partition(":")
    return ".".join(part for part in path.removesuffix(".py").replace("\\", "/").split("/") if part not in {"", ".", ".."}) + f":{attribute or 'FUNCTION'}"


def _no_name(name: str) -> InvalidInput:
    following = (
        "Name one of the workspace as steps.MODULE:FUNCTION (the file steps/MODULE.py), one of the library as hishamos.library.functions.MODULE:FUNCTION, "
        f"or an entry point: {', '.join(plugged()) or 'none is installed'}."
    )
    return InvalidInput(what=f"{name!r} is no function that a step may name", where=WHERE, next=following)
