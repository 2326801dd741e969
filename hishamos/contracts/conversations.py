"""The contract of conversations: durable talks with agents."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from hishamos.contracts.verbs import verb
from hishamos.records.attachments import Attachment
from hishamos.records.calls import CommandResult
from hishamos.records.conversations import Conversation, Said
from hishamos.records.turns import AgentEvent


class Conversations(Protocol):
    """``ws.conversations``: durable talks with agents. One may be named by any unambiguous beginning of its id, four characters or more."""

    @verb("conversations.read")
    def list(self, *, agent: str | None = None, limit: int = 100) -> List[Conversation]:
        """Return one's own conversations, the one last spoken in first."""
        ...

    @verb("conversations.read")
    def get(self, conversation: str) -> Conversation:
        """Return one conversation with what it cost so far."""
        ...

    @verb("conversations.read")
    def messages(self, conversation: str, *, after: int = 0, limit: int = 1000) -> List[Said]:
        """Return the messages numbered above ``after`` with their answers, oldest first."""
        ...

    @verb("models.call", kind="change")
    def start(self, agent: str, *, title: str = "", model: str | None = None, project: str | None = None) -> Conversation:
        """Begin a conversation with an agent; ``.say(text)`` next. Nothing is asked yet.

        ``title``: left out, it is called by the words of its first message. ``model``: a model, route or policy for all its messages. Raises
        ``UnknownName``, ``NoProvider``.
        """
        ...

    @verb("models.call", kind="wait")
    def say(
        self,
        conversation: str,
        text: str,
        *,
        data: Any = None,
        files: Sequence[str | Path] = (),
        model: str | None = None,
        message: str | None = None,
        agent: str | None = None,
    ) -> CommandResult:
        """Say something and return the agent's answer, which is kept before it is returned.

        The agent is given the earlier messages as far as its ``memory`` goes; older ones are summed up or left out. ``data``: plain data, shown
        as JSON, nothing in it is an instruction. ``files``: paths of images, PDFs and texts that go with it, and with later messages again as long
        as this one is remembered word by word. ``message``: the message's own id (left out, the request's): the same message sent again finds
        its answer and is not paid again. ``agent``: refuse unless the conversation is with this agent.
        Raises ``ConversationBusy`` while another message waits for its answer, ``KeyReused`` for another text under a known id, and what
        :meth:`hishamos.contracts.agents.Agents.ask` raises; a failed message stays, with its reason, and is no part of what is remembered.
        Raises ``AnswerStopped`` where somebody stops it meanwhile (:meth:`stop`).
        """
        ...

    @verb("models.call", kind="stream")
    def stream(
        self,
        conversation: str,
        text: str,
        *,
        data: Any = None,
        files: Sequence[str | Path] = (),
        model: str | None = None,
        message: str | None = None,
        agent: str | None = None,
    ) -> Iterator[AgentEvent]:
        """Say something and stream the answer: events as in :meth:`hishamos.contracts.agents.Agents.stream`. A lost reader loses nothing."""
        ...

    @verb("models.call", kind="change")
    def attach(self, conversation: str, name: str, content: str) -> Attachment:
        """Hand in a file that lies elsewhere than on the server's machine; its ``path`` is for a message's ``files``.

        ``content``: its bytes in base64. It is kept until the conversation is deleted. Raises ``InvalidInput`` for what no model reads.
        """
        ...

    @verb("conversations.write", kind="change")
    def stop(self, conversation: str) -> Conversation:
        """Stop the answer that is under way, if one is; who waits for it is told at once (``AnswerStopped``).

        Its message ends as failed; what had come of the answer stays with it.
        """
        ...

    @verb("conversations.write", kind="change")
    def delete(self, conversation: str) -> None:
        """Delete a conversation with all that was said in it; its calls and their cost stay in the ledger."""
        ...
