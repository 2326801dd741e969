"""Definitions: commands (who says what), agents (who), workflows (durable graphs of steps). Each version is its content's hash."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer

from hishamos.records.calls import CachePolicy
from hishamos.records.record import Record, content_hash

ParameterType = Literal["string", "text", "integer", "number", "boolean", "choice", "date", "list", "object", "file"]


class Parameter(Record):
    """A typed parameter of a command or an input of a workflow. Without a default it is required."""

    type: ParameterType = "string"
    description: str = ""
    default: Any = None
    optional: bool = False
    """True when None is a fine value though no default is declared."""
    choices: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None
    max_length: int | None = None
    example: Any = None

    @property
    def required(self) -> bool:
        """Whether a caller has to give a value."""
        return "default" not in self.model_fields_set and not self.optional

    @model_serializer(mode="wrap")
    def _as_declared(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write a default if one was declared, null too: whoever reads the text back knows whether a value is required."""
        written: dict[str, Any] = write(self)
        if "default" not in self.model_fields_set:
            written.pop("default", None)
        else:
            written.setdefault("default", self.default)
        return written


class Definition(Record):
    """What all definitions share."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")
    description: str
    category: str = ""
    tags: tuple[str, ...] = ()
    source: str = Field("", exclude=True)
    """Where it was read: a file's path, ``library``, or empty for a Python object. No part of the version."""

    @cached_property
    def version(self) -> str:
        """The first 12 hex digits of the content's SHA-256."""
        return content_hash(self.model_dump(mode="json", exclude_defaults=True), 12)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, with other fields by ``update``; it reckons its own version."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("version", None)
        return copied

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


class Example(Record):
    """An example of a command that runs in its tests."""

    inputs: dict[str, Any]
    expect: Any = None


class CommandDefinition(Definition):
    """A versioned, typed prompt."""

    template: str
    agent: str | None = None
    model: str | None = None
    max_output_tokens: int | None = Field(None, gt=0)
    parameters: dict[str, Parameter] = {}
    attach: tuple[str, ...] = ()
    """Parameters of type ``file`` whose files go to the model with the prompt: images, PDFs, texts. In templates they are the files' names."""
    output: dict[str, Any] | None = None
    """JSON Schema of the answer; its strings are templates. None for plain text."""
    cache: CachePolicy = "never"
    examples: tuple[Example, ...] = ()
    repairs: int = Field(2, ge=0, le=5)
    """How often an answer that does not satisfy ``output`` is sent back to the model."""


class AgentLimits(Record):
    """Bounds of one task given to an agent."""

    turns: int = Field(8, gt=0)
    usd: Decimal | None = Field(None, gt=0)
    seconds: float = Field(300, gt=0, allow_inf_nan=False)


class AgentMemory(Record):
    """What an agent is given of a conversation's earlier messages."""

    window: int = Field(8_000, ge=0, le=1_000_000)
    """Tokens of earlier messages that are sent with each new one, estimated at four bytes each; half of the model's own limit at most."""
    summary: bool = False
    """Whether a model sums up what does not fit (a call, and paid); else it is left out, and the agent is told so."""


class AgentDefinition(Definition):
    """Who works: a purpose, instructions, abilities."""

    capabilities: tuple[str, ...] = ()
    instructions: str
    model: str | None = None
    max_output_tokens: int | None = Field(None, gt=0)
    tools: tuple[str, ...] = ()
    output: dict[str, Any] | None = None
    limits: AgentLimits = AgentLimits()
    memory: AgentMemory = AgentMemory()


class Retry(Record):
    """A declared retry: how often, which failures, and how long to wait before each further try."""

    attempts: int = Field(gt=0, le=100)
    """The first try counts."""
    backoff_s: float = Field(0.2, ge=0, le=86_400)
    """Seconds before the second try."""
    factor: float = Field(2, ge=1, le=100)
    """By what each further wait is longer than the one before."""
    max_s: float | None = Field(None, ge=0, le=86_400)
    """Seconds of the longest wait; left out: 10, or ``backoff_s`` where that is longer."""
    on: tuple[str, ...] = ()
    """Names of errors: HishamOS's own or Python's, each with those derived from it. Left out: every failure but wrong usage."""

    def pause_s(self, tried: int) -> float:
        """Return the seconds to wait after ``tried`` tries."""
        longest = max(10, self.backoff_s) if self.max_s is None else self.max_s
        return min(longest, self.backoff_s * self.factor ** (tried - 1))


class Goto(Record):
    """Where the run goes on when a step has failed for good."""

    goto: str
    """A step that comes before this one (it and all that come after it run again) or after it (those between are skipped)."""
    at_most: int | None = Field(None, ge=1, le=1000)
    """How often it goes back in a run; left out only where it goes forward."""


def _form(value: Any) -> str:
    return "word" if isinstance(value, str) else "jump"


OnError = Annotated[Annotated[str, Tag("word")] | Annotated[Goto, Tag("jump")], Discriminator(_form)]


class StepDefinition(Record):
    """One step of a workflow."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)

    id: str = Field("", pattern=r"^([A-Za-z][A-Za-z0-9_-]*)?$")
    """Unique in its workflow; empty only for the step inside a map."""
    type: str
    after: tuple[str, ...] = ()
    when: str | None = None
    with_: dict[str, Any] = Field(default={}, alias="with")
    retry: Retry | None = None
    timeout: float | None = Field(None, gt=0)
    """Seconds; left out: the workspace's ``step_timeout_s``."""
    on_error: OnError = "fail"
    """After the last try: ``fail`` the run, ``continue`` with null as output, or go on elsewhere."""
    compensate: StepDefinition | None = None
    """A step that takes this one back: done when the run fails or is cancelled after this one had succeeded, last first."""
    description: str = ""


class WorkflowDefinition(Definition):
    """A durable graph of steps."""

    inputs: dict[str, Parameter] = {}
    deadline_s: float | None = Field(None, gt=0, allow_inf_nan=False)
    """How many seconds a run may take from its start, waiting included; left out: as long as it takes."""
    steps: tuple[StepDefinition, ...]
    outputs: dict[str, Any] = {}
