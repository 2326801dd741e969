"""Tab completion of the workspace's names: in the magics, and in the texts that calls of a workspace take."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from hishamos.errors import HishamosError
from hishamos.records.definitions import Parameter
from hishamos.records.own_tags import GROUP
from hishamos.workspace import Workspace

KEPT_S = 5.0
"""Names are asked for anew after so long: a tab is pressed many times in a row."""
SERVICES = {"commands": "command", "agents": "agent", "workflows": "workflow"}
# A call's first text: ws.commands.run("cla|, hishamos.form('cla|, ws.map(frame, "cla|
_FIRST = re.compile(r"""\.\s*(commands|agents|workflows)\s*\.\s*\w+\(\s*(?P<quote>["'])(?P<typed>[\w.-]*)$""")
_MAP = re.compile(r"""(?:\.\s*map\(\s*[^,()"']+,|\.\s*hishamos\s*\.\s*map\()\s*(?P<quote>["'])(?P<typed>[\w.-]*)$""")
_FORM = re.compile(r"""\bform\(\s*(?P<quote>["'])(?P<typed>[\w.-]*)$""")
_MODEL = re.compile(r"""\bmodel\s*=\s*(?P<quote>["'])(?P<typed>[\w./:-]*)$""")
# A name in the braces after a call's first text: ws.commands.run("classify_bug", {"te|
_INPUT = re.compile(r"""\.\s*(commands|workflows)\s*\.\s*\w+\(\s*["'](?P<name>[\w.-]+)["']\s*,\s*\{(?P<before>[^{}]*)(?P<quote>["'])(?P<typed>\w*)$""")
_MAGIC = re.compile(r"^%%(command|agent)\s+(?:(?P<name>[\w.-]+)\s+(?P<rest>.*?))?(?P<typed>[\w./:=-]*)$")
_LINE = re.compile(r"^%hishamos\s+(?P<words>(?:\S+\s+)*)(?P<typed>[\w./:-]*)$")
_GROUP = re.compile(r"""\.\s*spend\([^()]*(?P<quote>["'])(?P<typed>tag:\w*)$""")
WORDS = ("agents", "approvals", "budget", "commands", "models", "results", "runs", "spend", "tag", "use", "workflows")
"""What ``%hishamos`` shows or does."""


class Names:
    """The names that a workspace knows, kept for some seconds."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._kept: dict[str, tuple[float, list[Any]]] = {}

    def of(self, kind: str) -> list[str]:
        """Return the names of all ``command``, ``agent``, ``workflow``, ``model`` or ``tag``, in order."""
        return [one if isinstance(one, str) else one.name for one in self._all(kind)]

    def inputs(self, kind: str, name: str) -> dict[str, Parameter]:
        """Return what a command or workflow takes; nothing for an unknown one."""
        found = next((one for one in self._all(kind) if one.name == name), None)
        taken: dict[str, Parameter] = {} if found is None else found.parameters if kind == "command" else found.inputs
        return taken

    def _all(self, kind: str) -> list[Any]:
        read, found = self._kept.get(kind, (0.0, []))
        if time.monotonic() - read > KEPT_S or not found:
            found = self._asked(kind)
            self._kept[kind] = (time.monotonic(), found)
        return found

    def _asked(self, kind: str) -> list[Any]:
        lists: dict[str, Callable[[], Iterable[Any]]] = {
            "command": self._workspace.commands.list,
            "agent": self._workspace.agents.list,
            "workflow": self._workspace.workflows.list,
            "model": self._models,
            "tag": self._workspace.ledger.tags,
        }
        try:
            return list(lists[kind]())
        except HishamosError:  # a tab that finds no server completes nothing
            return []

    def _models(self) -> list[str]:
        routed = {model for provider in self._workspace.providers.list() for model in provider.models}
        return sorted({"best value", "cheapest", "default", "fastest", "offline/extractive", *routed})


def completions(names: Names, text: str) -> tuple[str, list[str]] | None:
    """Return what was typed so far of a name and what it may become; None where no name of ours is typed. ``text``: all before the cursor."""
    line = text.rpartition("\n")[2]
    if "\n" not in text.strip() and (found := _MAGIC.match(line)):
        return found["typed"], list(_in_magic(names, found[1], found["name"], found["typed"]))
    if found := _LINE.match(line):
        words = found["words"].split()
        return found["typed"], _in_line(names, words, found["typed"])
    if found := _GROUP.search(text):
        return found["typed"], _groups(names)
    return _in_call(names, text)


def _in_line(names: Names, words: list[str], typed: str) -> list[str]:
    match words:
        case []:
            return list(WORDS)
        case ["use"]:
            return names.of("model")
        case ["spend", *_]:
            return _groups(names) if typed.startswith("t") else []
        case ["tag", *_]:
            return [f"{name}=" for name in names.of("tag")] + ["--clear"]
    return []


def _groups(names: Names) -> list[str]:
    return [GROUP + name for name in names.of("tag")]


def _in_call(names: Names, text: str) -> tuple[str, list[str]] | None:
    if found := _MODEL.search(text):
        return found["typed"], names.of("model")
    if found := _INPUT.search(text):
        return found["typed"], list(names.inputs(SERVICES[found[1]], found["name"]))
    if found := _FIRST.search(text):
        return found["typed"], names.of(SERVICES[found[1]])
    if found := _MAP.search(text):
        return found["typed"], names.of("command")
    if found := _FORM.search(text):
        return found["typed"], [name for kind in SERVICES.values() for name in names.of(kind)]
    return None


def _in_magic(names: Names, magic: str, name: str | None, typed: str) -> Iterable[str]:
    if name is None:
        return names.of(magic)
    if typed.startswith("model="):
        return [f"model={one}" for one in names.of("model") if " " not in one]
    taken = names.inputs("command", name) if magic == "command" else {}
    return [f"{one}=" for one in (*taken, "model")]


def complete_names(shell: Any, workspace: Workspace) -> None:
    """Let a tab complete this workspace's names; a workspace that is opened later takes its place."""
    from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

    completer, names = getattr(shell, "Completer", None), Names(workspace)
    if completer is None:
        return

    def matcher(context: CompletionContext) -> SimpleMatcherResult:
        before = "\n".join([*context.full_text.split("\n")[: context.cursor_line], context.text_until_cursor])
        found = completions(names, before)
        if found is None:
            return {"completions": [], "suppress": False}
        typed, candidates = found
        fitting = [SimpleCompletion(name, type="name") for name in candidates if name.startswith(typed)]
        return {"completions": fitting, "matched_fragment": typed, "suppress": bool(fitting)}

    completer.custom_matchers[:] = [one for one in completer.custom_matchers if getattr(one, "matcher_identifier", "") != "hishamos"]
    completer.custom_matchers.append(context_matcher(identifier="hishamos", priority=1000)(matcher))
