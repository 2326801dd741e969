"""The error tree. A class's docstring is its message, its facts are attributes.

Every message says what happened, where, and what to do next. Facts are plain JSON values, so that an error raised in the
server is the same typed error in the client (:func:`to_wire`, :func:`from_wire`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar


class HishamosError(Exception):
    """{message}"""

    exit_code: ClassVar[int] = 1
    """What a terminal verb exits with: 1 the work failed, 2 wrong usage."""

    def __init__(self, **facts: Any) -> None:
        self.facts: dict[str, Any] = facts
        super().__init__(_message(type(self), facts))

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["facts"][name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no fact {name!r}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return (from_wire, (to_wire(self),))


class UsageError(HishamosError):
    """{message}"""

    exit_code = 2


class InvalidInput(UsageError):
    """{what} ({where}). {next}"""


class UnknownName(UsageError):
    """There is no {kind} named {name!r}{hint}. {next}"""

    @classmethod
    def among(cls, kind: str, name: str, known: list[str], next: str = "") -> UnknownName:
        """Build the error with the nearest of the ``known`` names as its hint."""
        return cls(kind=kind, name=name, hint=nearest_hint(name, known), next=next or f"See: hishamos {kind}s")


class RunPruned(UnknownName):
    """Run {name} ({what}) was pruned on {when}: its steps, events and inputs are gone. Its attempts and what they cost stay in the ledger, its results in the workspace."""


class InvalidDefinition(UsageError):
    """{problem} ({where}). {next}"""


class InvalidSettings(UsageError):
    """{problem} ({where}). {next}"""


class NotOnList(UsageError):
    """{what} is not on this workspace's allow-list. Under [allow] in {file} write: {line}"""


class NotAllowed(HishamosError):
    """{actor} may not do this: it needs the permission {permission!r}. Ask the workspace's owner for it."""


class RowsNotJudged(HishamosError):
    """{number} of {of} {what} could not be judged, so they are neither kept nor dropped; the first: {why}. The same call again tries only them; {see}; unjudged="drop" or unjudged="keep" says what is to become of them."""


class UnsafeSql(UsageError):
    """This statement is refused: {reason}. ws.sql takes one SELECT over these views: {views}."""


class StaleWrite(HishamosError):
    """{kind} {name} was changed meanwhile (you have version {yours}, it is now {current}). Read it again, then repeat the change."""


class ConversationBusy(HishamosError):
    """In conversation {conversation} message {number} still waits for its answer. Say yours when that has come: hishamos chats {conversation}"""


class StoreError(HishamosError):
    """The store failed: {problem} ({where}). {next}"""


class DuplicateKey(StoreError):
    """The store has a row of that key already: {problem} ({where}). {next}"""


class StoreBusy(StoreError):
    """Another program holds {path}: {holder}. Close it there or let it connect read-only to a copy (hishamos backup FILE), then try again."""


class StoreTooNew(StoreError):
    """{path} was written by a newer HishamOS (schema {found}, this program knows {known}). Upgrade: pip install -U hishamos"""


class StoreClosed(StoreError):
    """The store is closed. Open the workspace again."""


class CommitUnknown(StoreError):
    """The connection to {where} broke during a commit, its outcome is unknown. Repeat the call: it is recognised by its id."""


class BrokerError(HishamosError):
    """The broker fails: {problem} ({where}). {next}"""


class WorkerDied(HishamosError):
    """{workflow}: {times} processes in a row died at work on it, without a step having ended between{where}. {next}"""


class RunTimedOut(HishamosError):
    """{workflow} was not done {seconds} s after it was started, its deadline. {next}"""


class ServerError(HishamosError):
    """The workspace server failed: {problem} ({where}). {next}"""


class OutputLost(HishamosError):
    """The output can't be written: {problem} ({where}). {next}"""


class ProofInterrupted(HishamosError):
    """The proof could not be carried out, so nothing is proven: {problem} ({where}). {next}"""


class ServerUnreachable(ServerError):
    """The workspace's server runs where it can't be reached from here: host {host}, user {user}. {next}"""


class ServerStartFailed(ServerError):
    """The workspace server {problem}. The end of {log} says: {tail}"""


class ServerSilent(ServerError):
    """The workspace's server (pid {pid}) has not answered for {seconds:g} s. {next}"""


class ServerClosing(ServerError):
    """The workspace server is leaving. Try again: the next call starts a new one."""


class ProtocolMismatch(ServerError):
    """{problem} {next}"""


class ConnectionLost(ServerError):
    """The connection to the workspace server was lost ({problem}). Work that had started goes on there; call again to find it."""


class RunError(HishamosError):
    """{message}"""


class WrongState(RunError):
    """Run {run} is {state}; {verb} needs a run that is {needed}. {next}"""


class RunHeld(RunError):
    """Run {run} is already being worked on by {holder}. Follow it instead: hishamos follow {run}"""


class InputsChanged(RunError):
    """Run {run} can't be repeated as it was: {changes}. {next}"""


class NeedsKernel(RunError):
    """{workflow} calls functions of a notebook or script, {names}: {problem}. {next}"""


class WorkUnderWay(RunError):
    """{what} stops what is being worked on, and that is not over: {which}. {next}"""


class LeaseLost(RunError):
    """Another process took over run {run} (lease {held}, now {current}); this one has stopped writing to it."""


class RunFailed(RunError):
    """{workflow}, {where}: {reason}. {next}"""


class RunCancelled(RunError):
    """{workflow} was cancelled. {undone} {next}"""


class StepFailed(RunError):
    """{step}: {reason}"""


class StepTimedOut(StepFailed):
    """{step} took longer than its limit of {seconds} s. Raise its timeout, then: hishamos resume {run}"""


class ItemsFailed(StepFailed):
    """{step}: {failed} of {total} items failed. {reasons}"""


class NotebookFailed(StepFailed):
    """{step}: {notebook}{place}: {reason}"""


class NotebookTimedOut(StepTimedOut):
    """{step}: {notebook}{place}: {reason}. Raise its timeout, then: hishamos resume {run}"""


class CaseFailed(StepFailed):
    """{step}, case {case!r}: {reason}"""


class IterationFailed(StepFailed):
    """{step}: time {number} of at most {total} failed: {reason}"""


class BoundReached(StepFailed):
    """{step}: {until!r} did not hold after {times} times, its at_most. Raise at_most, or set at_bound to continue."""


class LoopEnded(StepFailed):
    """{step}: {reason} The run went back to {target!r} {times} times, as often as at_most permits."""


class FunctionFailed(StepFailed):
    """{step}: {function} raised {kind}: {reason}"""


class FunctionCrashed(FunctionFailed):
    """{step}: {function} did not come to its end: {reason}"""


class Rejected(StepFailed):
    """{step} was rejected by {by}{comment}. To ask again: hishamos resume {run}"""


class AgentStopped(RunError):
    """The agent {agent} was ended by its limit {limit} = {value} before it had an answer. {next}"""


class McpFailed(RunError):
    """The MCP server {server} gave nothing: {problem}. {next}"""


class TemplateFailed(UsageError):
    """The template of {where} can't be rendered: {problem}. {next}"""


class GatewayError(HishamosError):
    """{message}"""


class NoProvider(GatewayError):
    """No provider is configured for {target!r}. Set one of OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or OLLAMA_HOST, or try the offline model: {line}"""


class CallFailed(GatewayError):
    """{model} did not answer: {reason} ({cause}, {attempts} attempts). {next}"""


class BudgetRefused(GatewayError):
    """Refused by the budget {budget!r} ({scope}, {period}): {committed_usd} USD of {limit_usd} USD are spent, this call may cost up to {bound_usd} USD. {next}"""


class KeyWithheld(GatewayError):
    """The key of {provider} is not sent to {host}: it goes only to {allowed} or to this machine. If that server may have it: hishamos trust {host} --provider {provider}. Else give it a provider name and a key of its own in hishamos.toml, or remove api_base from [providers.{provider}]."""


class AdapterBroken(GatewayError):
    """The adapter {kind!r} of the package {package} can't be used: {problem}. {next}"""


class FileChanged(GatewayError):
    """The file {path} {change} since it was handed in, so this call can't be sent. Put it back as it was, or call again with the file as it is now."""


class UnpricedModel(GatewayError):
    """{model} has no price, and the hard budget {budget!r} needs one. {hint}Add to hishamos.toml: [prices."{model}"] input = "…" output = "…"  (or price = "free")"""


class AnswerStopped(GatewayError):
    """The answer in conversation {conversation} was stopped. What had come of it stays with its message: hishamos chats {conversation}"""


class KeyReused(GatewayError):
    """The idempotency key {key!r} was used for another request. Use a new key, or repeat the same request."""


class OrphanedCall(GatewayError):
    """The process that held this call died while the provider was answering (call {call}). It may be billed; with orphans = "retry" it is sent again."""


class OutputInvalid(GatewayError):
    """{model} did not give valid output for {what} after {attempts} tries: {problem}"""


class SchemaUnsatisfiable(GatewayError):
    """The offline model found no value that satisfies the output schema ({problem}). Correct the schema, or use a provider's model."""


def nearest_hint(name: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known name, or an empty string."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5) or difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else ""


def to_wire(error: HishamosError) -> dict[str, Any]:
    """Return the error as JSON-able data: its class name, its facts, its message."""
    return {"type": type(error).__name__, "facts": error.facts, "message": str(error)}


def from_wire(data: dict[str, Any]) -> HishamosError:
    """Rebuild the typed error that :func:`to_wire` described; one of an unknown class keeps its message."""
    known = _tree(HishamosError)
    cls = known.get(str(data.get("type")))
    if cls is None:
        return HishamosError(message=str(data.get("message", "unknown error")))
    return cls(**data.get("facts", {}))


def _tree(cls: type[HishamosError]) -> dict[str, type[HishamosError]]:
    found = {cls.__name__: cls}
    for child in cls.__subclasses__():
        found |= _tree(child)
    return found


def sentences(text: str) -> str:
    """Return put-together sentences with one mark at the end of each: what was put in may have brought its own."""
    return re.sub(r"(?<=[?!…])\.(?=\s|$)|(?<=[^.]\.)\.(?=\s|$)", "", text).strip()


def _message(cls: type[HishamosError], facts: dict[str, Any]) -> str:
    template = " ".join((cls.__doc__ or "").split())
    try:
        return sentences(template.format(**facts))
    except (KeyError, IndexError, ValueError):
        return f"{cls.__name__}: {facts}"
