"""Answers that are under way in this console: each is read by a thread of its own, so that a page that is drawn anew finds it again."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import streamlit as st

from hishamos.errors import HishamosError
from hishamos.records.calls import Restarted, TextPiece, ToolCalled
from hishamos.records.record import new_id
from hishamos.records.turns import ToolEnded
from hishamos.workspace import Workspace


class Talk:
    """One message on its way to its answer."""

    def __init__(self, workspace: Workspace, conversation: str, text: str, files: Sequence[str]) -> None:
        self.conversation, self.text, self.files = conversation, text, tuple(files)
        self.message = new_id(20)
        self.heard = ""
        """The answer as far as it has come."""
        self.works = ""
        """What the agent does just now instead of writing."""
        self.refused = ""
        """Why the message was not even taken in; empty where it was."""
        self._thread = threading.Thread(target=self._listen, args=(workspace,), daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return not self._thread.is_alive()

    def _listen(self, workspace: Workspace) -> None:
        try:
            for event in workspace.conversations.stream(self.conversation, self.text, files=self.files, message=self.message):
                if isinstance(event, TextPiece):
                    self.heard, self.works = self.heard + event.text, ""
                elif isinstance(event, Restarted):
                    self.heard = ""
                elif isinstance(event, ToolCalled):
                    self.heard, self.works = "", f"uses {event.call.name}"
                elif isinstance(event, ToolEnded):
                    self.works = "reads what the tool gave"
        except HishamosError as error:  # a message that was taken in tells it itself
            self.refused = str(error)


@st.cache_resource(show_spinner=False)
def _talks() -> dict[str, Talk]:
    return {}


def say(workspace: Workspace, conversation: str, text: str, files: Sequence[str]) -> None:
    """Say something; the page finds what comes of it by :func:`talk_of`."""
    _talks()[conversation] = Talk(workspace, conversation, text, files)


def talk_of(conversation: str) -> Talk | None:
    """Return the newest message that this console sent in a conversation, if it sent one since it was started."""
    found: Talk | None = _talks().get(conversation)
    return found
