"""What an attempt was asked and what came back, put together from what its run kept."""

from __future__ import annotations

from hishamos.records.calls import Attempt, Message
from hishamos.records.record import Record
from hishamos.records.runs import Step
from hishamos.records.tools import ToolCall


class Exchange(Record):
    """One attempt with its question and its answer, as far as they are known."""

    attempt: Attempt
    step: Step | None = None
    """The step that asked, as it stands now; None for a call of no run, or of one that was let go."""
    messages: tuple[Message, ...] = ()
    """What its step asks first, worded again from the definitions and inputs that the run kept, with the names of files in place of what is in them.

    Empty where that is not known: of calls outside of runs, and of steps that put their own questions.
    """
    call: int = 1
    """The number of the call within its step: later ones are asked with what came before."""
    answer: str | None = None
    """What came back; None where nothing came."""
    tools: tuple[ToolCall, ...] = ()
    """The tools that the answer asks for."""
