"""Conversations in the store: each message once, one open at a time."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hishamos.errors import ConversationBusy, InvalidInput, KeyReused, UnknownName
from hishamos.records.attachments import Attachment
from hishamos.records.calls import CommandResult
from hishamos.records.conversations import Conversation, Said
from hishamos.records.record import Failure, canonical, now
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Row, Transaction

SQL = statements("conversations")
SHORTEST = 4
TITLE = 80
"""Characters of a title."""
GONE = Failure(type="ServerError", message="Who asked for the answer is gone. Send the message again under its id: what was paid is not paid again.")


class StoreConversations:
    """Reads and writes conversations. ``user``: whose they are; another's are not found."""

    def __init__(self, connector: Connector) -> None:
        self._store = connector

    def found(self, user: str, *, agent: str | None = None, limit: int) -> list[Conversation]:
        """Return conversations, the one last spoken in first."""
        return [_conversation(row) for row in self._store.fetch(SQL["conversations_found"], {"user": user, "id": None, "agent": agent, "limit": limit})]

    def get(self, user: str, name: str) -> Conversation:
        """Return the conversation whose id ``name`` begins; raises :class:`UnknownName` or :class:`InvalidInput`."""
        identity = self.identify(user, name)
        return _conversation(self._store.fetch(SQL["conversations_found"], {"user": user, "id": identity, "agent": None, "limit": 1})[0])

    def identify(self, user: str, name: str) -> str:
        """Return the id of the conversation that ``name`` begins."""
        wanted = name.strip().upper()
        if self._store.fetch_one(SQL["conversation_by_id"], {"id": wanted, "user": user}) is not None:
            return wanted
        found: list[str] = []
        if len(wanted) >= SHORTEST and wanted.isalnum():
            found = [row["id"] for row in self._store.fetch(SQL["conversations_like"], {"pattern": f"{wanted}%", "user": user})]
        if len(found) > 1:
            raise InvalidInput(what=f"{name!r} begins the ids of several conversations", where=", ".join(found[:5]), next="Give more characters.")
        if not found:
            raise UnknownName(kind="conversation", name=name, hint="", next="See: hishamos chats")
        return found[0]

    def messages(self, conversation: str, *, after: int, limit: int) -> list[Said]:
        """Return the messages numbered above ``after``, oldest first."""
        return [_said(row) for row in self._store.fetch(SQL["messages_of_conversation"], {"conversation": conversation, "after": after, "limit": limit})]

    def insert(self, transaction: Transaction, conversation: Conversation) -> Conversation:
        """Insert a conversation that has its id."""
        transaction.execute(SQL["insert_conversation"], conversation.model_dump(include=_KEPT))
        return conversation.model_copy(update={"title": _titled(conversation.title, conversation.agent)})

    def begin(self, transaction: Transaction, said: Said, holder: str, *, alone: bool, before: datetime) -> Said:
        """Return the message as it stands under its id, inserted or opened again where it has no answer.

        Another message that waits for its answer refuses this one (:class:`ConversationBusy`), unless nobody can be at work on it any more: its
        holder is not ``holder`` though that is ``alone`` at the store, or it was asked before ``before``. Raises :class:`KeyReused` for
        another text under a known id.
        """
        transaction.lock(f"conversation:{said.conversation}")
        known = transaction.fetch_one(SQL["message_by_id"], {"conversation": said.conversation, "id": said.id})
        if known is not None and (known["said"], _parsed(known["data"]), _identities(_files(known))) != (said.text, said.data, _identities(said.files)):
            raise KeyReused(key=said.id)
        if known is not None and known["state"] == "answered":
            return _said(known)
        other = transaction.fetch_one(SQL["open_message"], {"conversation": said.conversation})
        if other is not None and other["id"] != said.id:
            if not (other["asked_at"] < before or (alone and other["holder"] != holder)):
                raise ConversationBusy(conversation=said.conversation, number=other["number"])
            self.end(transaction, _said(other).model_copy(update={"state": "failed", "error": GONE, "cost_nanos": 0, "ended_at": said.asked_at}))
        if known is not None:
            values = {"conversation": said.conversation, "number": known["number"], "holder": holder, "asked_at": said.asked_at}
            transaction.execute(SQL["reopen_message"], values)
            return said.model_copy(update={"number": known["number"]})
        last = transaction.fetch_one(SQL["last_message"], {"conversation": said.conversation})
        assert last is not None, "an aggregate gives a row"
        made = said.model_copy(update={"number": int(last["number"]) + 1})
        values = made.model_dump(include={"conversation", "number", "id", "asked_at"})
        data = None if made.data is None else canonical(made.data)
        files = canonical([file.model_dump(mode="json") for file in made.files]) if made.files else None
        transaction.execute(SQL["insert_message"], values | {"said": made.text, "data": data, "files": files, "holder": holder})
        transaction.execute(SQL["name_conversation"], {"id": made.conversation, "title": short(made.text)})
        return made

    def end(self, transaction: Transaction, said: Said, summary: tuple[str, int] | None = None) -> None:
        """Write how an open message ended, and the new summary of what came before it; one that has ended stays as it is."""
        values = said.model_dump(include={"conversation", "number", "state", "cost_nanos", "left_out", "ended_at"})
        values["answer"] = None if said.answer is None else said.answer.model_dump_json()
        values["error"] = None if said.error is None else said.error.model_dump_json()
        transaction.execute(SQL["end_message"], values)
        if summary is not None:
            transaction.execute(SQL["sum_up"], {"id": said.conversation, "summary": summary[0], "summed_up": summary[1]})

    def give_up(self, transaction: Transaction, conversation: str) -> None:
        """End the message that waits for its answer, if one does: nobody is at work on it any more."""
        transaction.lock(f"conversation:{conversation}")
        found = transaction.fetch_one(SQL["open_message"], {"conversation": conversation})
        if found is not None:
            self.end(transaction, _said(found).model_copy(update={"state": "failed", "error": GONE, "cost_nanos": 0, "ended_at": now()}))

    def spent(self, key: str) -> int | None:
        """Return the nano-dollars of the calls under an idempotency key; None where one is unpriced."""
        row = self._store.fetch_one(SQL["spent_under"], {"key": key, "below": f"{key}/%"})
        return None if row is None or row["unpriced"] else int(row["cost_nanos"])

    def delete(self, transaction: Transaction, conversation: str) -> None:
        """Delete a conversation and its messages, unless one waits for its answer."""
        transaction.lock(f"conversation:{conversation}")
        other = transaction.fetch_one(SQL["open_message"], {"conversation": conversation})
        if other is not None:
            raise ConversationBusy(conversation=conversation, number=other["number"])
        transaction.execute(SQL["delete_messages"], {"id": conversation})
        transaction.execute(SQL["delete_conversation"], {"id": conversation})


_KEPT = {"id", "agent", "title", "model", "project", "user_name", "created_at"}


def _conversation(row: Row) -> Conversation:
    asked = row["asked_at"]
    facts = {name: row[name] for name in (*_KEPT, "summary", "summed_up", "messages", "cost_nanos", "unpriced")}
    facts["title"] = _titled(row["title"], row["agent"])
    return Conversation(**facts, changed_at=asked or row["created_at"])


def short(text: str) -> str:
    """Return a text as a title: its beginning, in one line."""
    words = " ".join(text.split())
    return words if len(words) <= TITLE else f"{words[: TITLE - 1].rstrip()}…"


def _titled(title: str, agent: str) -> str:
    """Return what a conversation is called; one in which nothing was said yet may have no title of its own."""
    return title or f"Nothing said yet to {agent}"


def _said(row: Row) -> Said:
    return Said(
        **{name: row[name] for name in ("conversation", "number", "id", "state", "cost_nanos", "left_out", "asked_at", "ended_at")},
        text=row["said"],
        data=_parsed(row["data"]),
        files=_files(row),
        answer=None if row["answer"] is None else CommandResult.model_validate_json(row["answer"]),
        error=None if row["error"] is None else Failure.model_validate_json(row["error"]),
    )


def _files(row: Row) -> tuple[Attachment, ...]:
    return tuple(Attachment.model_validate(file) for file in _parsed(row["files"]) or ())


def _identities(files: tuple[Attachment, ...]) -> list[list[str]]:
    return [file.identity() for file in files]


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)
