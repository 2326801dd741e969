"""Tools of MCP servers: how a server is reached, and what its user approved of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from hishamos.records.record import Record, content_hash
from hishamos.records.tools import Tool

KIND = "mcp"
_STRANGE = re.compile(r"[^A-Za-z0-9_-]")
_REFERENCE = re.compile(r"\benv:([A-Za-z_][A-Za-z0-9_]*)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SECRET = re.compile(r"token|secret|key|password|passwd|auth|credential", re.IGNORECASE)
SHORTEST = 8
"""Characters of a secret; in place of shorter values words would be hidden that are none."""
OURS = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR")


class ServerTool(Record):
    """One tool of a server, as its user approved it."""

    server: str
    name: str
    """Its name there."""
    description: str = ""
    parameters: dict[str, Any]
    """JSON Schema of the arguments, an object."""

    @property
    def reference(self) -> str:
        """How definitions name it."""
        return f"{KIND}:{self.server}/{self.name}"

    def told(self) -> Tool:
        """Return what a model is told of it."""
        return Tool(name=_STRANGE.sub("_", f"{self.server}_{self.name}")[:64], description=self.description, parameters=self.parameters)


class McpSettings(Record):
    """``[mcp.NAME]``: a program that speaks MCP on its standard input and output, or an address that speaks it over HTTP."""

    name: str
    command: tuple[str, ...] = ()
    """The program and its arguments; it is started in the workspace's folder."""
    env: tuple[str, ...] = ()
    """Variables that the program gets beside the usual few; never a model provider's key."""
    url: str | None = None
    """Its host has to stand in ``[allow] hosts``."""
    headers: dict[str, str] = {}
    """Each value holds a variable as ``env:NAME``, also inside a text: ``Bearer env:NAME``."""
    timeout_s: float = Field(60, gt=0, le=3600, allow_inf_nan=False)
    """Seconds for one call, from the server's start to its end."""
    approved: tuple[ServerTool, ...] | None = None
    """What its user approved of the server as it is declared; None before. From the user's own configuration, never from the workspace's."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a server's name has letters, digits, _ and -")
        if bool(self.command) == (self.url is not None):
            raise ValueError("give command or url, one of them")
        if any(not part or "\0" in part for part in self.command):
            raise ValueError("command is a program and its arguments, none of them empty")
        if self.url is not None and (self.env or urlsplit(self.url).scheme not in {"http", "https"} or not urlsplit(self.url).hostname):
            raise ValueError("url is https://host/path, and env goes with command")
        if self.url is None and self.headers:
            raise ValueError("headers go with url")
        if any(not _VARIABLE.fullmatch(one) or one in OURS or one.startswith("LD_") for one in self.env):
            raise ValueError("env names variables, none of those that every program gets")
        if any(not _HEADER.fullmatch(name) or not _REFERENCE.search(value) or not value.isprintable() for name, value in self.headers.items()):
            raise ValueError('write headers as {Authorization = "Bearer env:NAME"}')
        return self

    @property
    def declaration(self) -> str:
        """What changes with how the server is reached: then it has to be approved again."""
        return content_hash(self.model_dump(mode="json", include={"command", "env", "url", "headers"}))

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that it needs."""
        return (*self.env, *(name for value in self.headers.values() for name in _REFERENCE.findall(value)))

    def filled(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return the headers with the variables' values."""
        return {name: _REFERENCE.sub(lambda match: values[match[1]], text) for name, text in self.headers.items()}

    def secrets(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return those of the variables' values that must never be shown: all that go into headers, and of a program's those that are named so."""
        return tuple(value for name, value in values.items() if len(value) >= SHORTEST and (self.url is not None or _SECRET.search(name)))
