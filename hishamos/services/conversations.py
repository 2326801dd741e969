"""``ws.conversations``: durable talks with agents."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import re
import shutil
from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hishamos.contracts.conversations import Conversations
from hishamos.contracts.feeds import Feed
from hishamos.engine.agent_loop import Task
from hishamos.engine.attaching import task_files
from hishamos.engine.remembering import Exchange, Past
from hishamos.errors import AnswerStopped, HishamosError, InvalidInput, to_wire
from hishamos.media.looking import MOST_BYTES, look
from hishamos.records.attachments import Attachment
from hishamos.records.calls import CommandResult, Finished, Restarted, TextPiece, ToolCalled
from hishamos.records.conversations import Conversation, Said
from hishamos.records.definitions import AgentDefinition
from hishamos.records.record import Failure, canonical, derived_id, new_id, now
from hishamos.records.turns import AgentEvent
from hishamos.services.questions import give, streamed
from hishamos.services.service import Service, implements, request_id
from hishamos.store.conversations import StoreConversations, short
from hishamos.text.framing import DATA

Tell = Callable[[AgentEvent], None]
GRACE = timedelta(seconds=60)
"""So long after an agent's time limit nobody can be at work on its message any more."""
MOST = 10_000


@implements(Conversations)
class ConversationsService(Service):
    """The conversations of one actor in one workspace."""

    def list(self, *, agent: str | None = None, limit: int = 100) -> List[Conversation]:
        """See the contract."""
        return self._kept.found(self.actor.name, agent=agent, limit=limit)

    def get(self, conversation: str) -> Conversation:
        """See the contract."""
        return self._kept.get(self.actor.name, conversation)

    def messages(self, conversation: str, *, after: int = 0, limit: int = 1000) -> List[Said]:
        """See the contract."""
        return self._kept.messages(self._kept.identify(self.actor.name, conversation), after=after, limit=limit)

    def start(self, agent: str, *, title: str = "", model: str | None = None, project: str | None = None) -> Conversation:
        """See the contract."""
        found = self.machinery.catalog.agent(agent)
        if model is not None:
            self.machinery.models.check(model)
        moment = now()
        made = Conversation(
            id=derived_id(f"conversation {self.change_id()}"),
            agent=found.name,
            title=short(title),
            model=model,
            project=project,
            user_name=self.actor.name,
            created_at=moment,
            changed_at=moment,
        )
        return self.change("conversations.start", Conversation, lambda transaction: self._kept.insert(transaction, made))

    def say(
        self,
        conversation: str,
        text: str,
        *,
        data: Any = None,
        files: Sequence[str] = (),
        model: str | None = None,
        message: str | None = None,
        agent: str | None = None,
    ) -> CommandResult:
        """See the contract."""
        return self.say_later(conversation, text, data=data, files=files, model=model, message=message, agent=agent).result()

    def say_later(
        self,
        conversation: str,
        text: str,
        *,
        data: Any = None,
        files: Sequence[str] = (),
        model: str | None = None,
        message: str | None = None,
        agent: str | None = None,
    ) -> Future[CommandResult]:
        """The answer of :meth:`say`, at once as a future; cancelling it cancels the work."""
        return self._begin(conversation, text, data, files, model, message, agent)(None)

    def stream(
        self,
        conversation: str,
        text: str,
        *,
        data: Any = None,
        files: Sequence[str] = (),
        model: str | None = None,
        message: str | None = None,
        agent: str | None = None,
    ) -> Feed[AgentEvent]:
        """See the contract."""
        return streamed(self._begin(conversation, text, data, files, model, message, agent))

    def delete(self, conversation: str) -> None:
        """See the contract."""
        identity = self._kept.identify(self.actor.name, conversation)
        self.change("conversations.delete", type(None), lambda transaction: self._kept.delete(transaction, identity))
        shutil.rmtree(self._attached(identity), ignore_errors=True)

    def attach(self, conversation: str, name: str, content: str) -> Attachment:
        """See the contract."""
        where = f"the file {name}"
        try:
            data = base64.b64decode(content, validate=True)
        except binascii.Error:
            raise InvalidInput(what="its content is no base64", where=where, next="Encode its bytes in base64.") from None
        if len(data) > MOST_BYTES:
            raise InvalidInput(what=f"it has {len(data):,} bytes", where=where, next=f"Give one of at most {MOST_BYTES:,}.")
        folder = self._attached(self._kept.identify(self.actor.name, conversation))
        folder.mkdir(parents=True, exist_ok=True)
        # By its content, so that another file of this name is another one; its own name last, for that is what a model is told.
        target = folder / hashlib.sha256(data).hexdigest()[:12] / _plain_name(name)
        target.parent.mkdir(exist_ok=True)
        part = target.with_name(f".{new_id()}.part")
        part.write_bytes(data)
        part.replace(target)
        try:
            return look(target, where)
        except InvalidInput:
            shutil.rmtree(target.parent, ignore_errors=True)
            raise

    def stop(self, conversation: str) -> Conversation:
        """See the contract."""
        identity = self._kept.identify(self.actor.name, conversation)
        under_way = [given for (talk, _), given in list(self.machinery.answering.items()) if talk == identity]
        for given in under_way:
            given.cancel()
        if not under_way and self.machinery.journal.exclusive:  # whoever asked for it is gone
            self.change("conversations.stop", type(None), lambda transaction: self._kept.give_up(transaction, identity))
        return self.get(identity)

    def _attached(self, identity: str) -> Path:
        return self.root / "data" / "local" / "attached" / identity

    @property
    def _kept(self) -> StoreConversations:
        return StoreConversations(self.machinery.store)

    def _begin(
        self, name: str, text: str, data: Any, files: Sequence[str], model: str | None, message: str | None, wanted: str | None
    ) -> Callable[[Tell | None], Future[CommandResult]]:
        """Take the message in, and return what asks the agent."""
        conversation = self.get(name)
        if wanted is not None and wanted != conversation.agent:
            what = f"conversation {conversation.id} is with {conversation.agent}, not with {wanted}"
            raise InvalidInput(what=what, where="conversations.say", next="Name its agent, or start a conversation with the other one.")
        if not text.strip():
            raise InvalidInput(what="there is nothing to say", where="conversations.say", next="Write some words.")
        agent = self.machinery.catalog.agent(conversation.agent)
        attached = task_files(files, self.root, agent.name)
        past = self._past(conversation, agent, model)
        moment, runner = now(), self.machinery.runner
        identity = message or request_id.get() or new_id(20)
        said = Said(conversation=conversation.id, number=1, id=identity, text=text, data=data, files=attached, state="open", asked_at=moment)
        before, alone = moment - timedelta(seconds=agent.limits.seconds) - GRACE, self.machinery.journal.exclusive
        said = self.machinery.store.transaction(lambda transaction: self._kept.begin(transaction, said, runner.owner, alone=alone, before=before))
        if said.answer is not None:
            return _Known(said.answer.model_copy(update={"reused": True}))
        # What others said meanwhile is not in it: what this message's agent was given is the same each time it is asked.
        past = replace(past, exchanges=tuple(exchange for exchange in past.exchanges if exchange.number < said.number))
        task = Task(agent, text, data, None, model or conversation.model, attached, past=past)
        return _Saying(self, said, task, past, conversation.project)

    def _past(self, conversation: Conversation, agent: AgentDefinition, model: str | None) -> Past:
        asked = next((one for one in (model, conversation.model, agent.model) if one), self.machinery.settings().workspace.route)
        room = self.machinery.gateway.room(asked)
        window = agent.memory.window if room is None else min(agent.memory.window, room // 2)
        before = self._kept.messages(conversation.id, after=conversation.summed_up, limit=MOST)
        exchanges = tuple(Exchange(one.number, _asked(one), one.answer.text, _there(one.files)) for one in before if one.answer is not None)
        return Past(exchanges, window, agent.memory.summary, conversation.summary, conversation.summed_up)


@dataclass(frozen=True)
class _Known:
    """A message that has its answer."""

    answer: CommandResult

    def __call__(self, tell: Tell | None) -> Future[CommandResult]:
        future: Future[CommandResult] = Future()
        if tell is not None:
            tell(TextPiece(text=self.answer.text, model=self.answer.model))
            tell(Finished(status=self.answer.status, model=self.answer.model, cost_nanos=self.answer.cost_nanos))
        future.set_result(self.answer)
        return future


@dataclass(frozen=True)
class _Saying:
    """A message that is given to its agent; how that ends is kept before anybody is told."""

    service: ConversationsService
    said: Said
    task: Task
    past: Past
    project: str | None
    heard: list[str] = field(default_factory=list)
    """What of the answer has come, where somebody listens."""

    def __call__(self, tell: Tell | None) -> Future[CommandResult]:
        answer: Future[CommandResult] = Future()
        try:
            given = give(self.service, self.task, key=self._key, project=self.project, tell=None if tell is None else partial(self._heard, tell))
        except BaseException as error:
            self._keep(None, error)
            raise
        under_way, place = self.service.machinery.answering, (self.said.conversation, self.said.id)
        under_way[place] = given
        answer.add_done_callback(lambda _: under_way.pop(place, None))
        answer.add_done_callback(lambda future: _cancel(given) if future.cancelled() else None)
        given.add_done_callback(lambda done: self._settled(lambda: self._end(done, answer)))
        return answer

    def _settled(self, then: Callable[[], None]) -> None:
        """Go on once what was cancelled is settled: what the message cost is kept with it."""
        machinery = self.service.machinery
        machinery.models.settled(f"key/{self._key}").add_done_callback(lambda _: machinery.runner.soon(then))

    def _heard(self, tell: Tell, event: AgentEvent) -> None:
        if isinstance(event, TextPiece):
            self.heard.append(event.text)
        elif isinstance(event, Restarted | ToolCalled):
            self.heard.clear()
        tell(event)

    def _end(self, done: Future[CommandResult], answer: Future[CommandResult]) -> None:
        error = None if done.cancelled() else done.exception()
        result = None if done.cancelled() or error is not None else done.result()
        try:
            self._keep(result, error)
        except HishamosError as problem:
            error = problem
        if not answer.set_running_or_notify_cancel():
            return
        if result is None or error is not None:
            answer.set_exception(error or AnswerStopped(conversation=self.said.conversation[:6]))
        else:
            answer.set_result(result)

    def _keep(self, result: CommandResult | None, error: BaseException | None) -> None:
        ended: dict[str, Any] = {"ended_at": now(), "left_out": self.past.left_out}
        if result is not None:
            ended |= {"state": "answered", "answer": result, "cost_nanos": result.cost_nanos}
        else:
            ended |= {"state": "failed", "error": _failure(error, "".join(self.heard)), "cost_nanos": self._spent()}
        said = self.said.model_copy(update=ended)
        store = self.service.machinery.store
        store.transaction(lambda transaction: StoreConversations(store).end(transaction, said, self.past.renewed))

    def _spent(self) -> int | None:
        return StoreConversations(self.service.machinery.store).spent(f"key/{self._key}")

    @property
    def _key(self) -> str:
        return f"chat/{self.said.conversation}/{self.said.id}"


def _asked(said: Said) -> str:
    return said.text if said.data is None else said.text + DATA + canonical(said.data)


def _cancel(given: Future[CommandResult]) -> None:
    given.cancel()


def _there(files: Sequence[Attachment]) -> tuple[Attachment, ...]:
    """Return the files that are still what they were, as far as their size tells."""
    found = []
    for file in files:
        with contextlib.suppress(OSError):
            if Path(file.path).stat().st_size == file.size:
                found.append(file)
    return tuple(found)


def _plain_name(name: str) -> str:
    """Return a file's name that is nothing else: no folder, nothing hidden, nothing that a path means something by."""
    kept = re.sub(r"[^\w .()+-]", "_", name.replace("\\", "/").rpartition("/")[2]).strip(" .")
    return kept[-100:] or "file"


def _failure(error: BaseException | None, heard: str) -> Failure:
    if error is None:
        return Failure(type="Cancelled", message="It was cancelled.", facts={"text": heard} if heard else {})
    if isinstance(error, HishamosError):
        wire = to_wire(error)
        return Failure(type=wire["type"], message=str(error), facts=wire["facts"])
    return Failure(type=type(error).__name__, message=str(error))
