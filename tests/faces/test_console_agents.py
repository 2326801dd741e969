"""The console's pages Agents and Chat without a browser: who works, how each did, and what is said to them."""

from __future__ import annotations

import base64
import functools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hishamos
from hishamos.contracts.verbs import Verb
from hishamos.records.calls import TextPiece
from hishamos.records.conversations import Conversation
from hishamos.records.turns import AgentEvent
from hishamos.remote.requests import Requests
from tests.conftest import stop_server
from tests.rigs.pages import drawn, press, words
from tests.rigs.simulator import Simulator

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

Draw = Callable[..., "AppTest"]
OFFLINE = "offline/extractive"
MODEL = "gpt-4.1-mini"
HELD = {"text": "one two three four five six", "hold_after": 1}
HOSTILE = "# Head\n\n![beacon](http://127.0.0.1:9/seen) [press](javascript:alert(1)) <script>alert(1)</script> $x$ :red[hot]"


@pytest.fixture(scope="module")
def provider() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, provider: Simulator) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("agents")
    (path / "key").write_text("sk-talking-0123456789abcdef")
    (path / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "file:{path}/key"\napi_base = "{provider.url}/v1"\n[routes.default]\nmodels = ["openai/{MODEL}"]\nattempts = 1\n'
    )
    (path / "agents").mkdir()
    (path / "agents" / "baker.yaml").write_text("name: baker\ndescription: Bakes <bread>.\ncapabilities: [baking_bread]\ninstructions: Bake.\n")
    yield path
    stop_server(path)


@pytest.fixture
def draw(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    return functools.partial(drawn, monkeypatch, folder)


def until(page: AppTest, holds: Callable[[AppTest], bool], seconds: float = 30) -> AppTest:
    """Draw a page again until it shows something, as its fragment does by itself."""
    deadline = time.monotonic() + seconds
    while not holds(page):
        assert time.monotonic() < deadline, words(page)
        time.sleep(0.05)
        page.run()
        assert not page.exception
    return page


def said(page: AppTest) -> list[str]:
    return [words(message) for message in page.chat_message]


def begun(answer: Iterator[AgentEvent]) -> None:
    """Wait for the first words of an answer: it is asked for then."""
    next(event for event in answer if isinstance(event, TextPiece))


def stop(talk: Conversation, ws: hishamos.Workspace) -> None:
    ws.conversations.stop(talk.id)
    while any(one.state == "open" for one in ws.conversations.messages(talk.id)):
        time.sleep(0.01)


def stopped(talk: Conversation, text: str, ws: hishamos.Workspace) -> str:
    """Say something whose answer is held, stop that, and return the message's id."""
    answer = talk.stream(text)
    begun(answer)
    stop(talk, ws)
    return ws.conversations.messages(talk.id)[-1].id


def test_agents_are_listed_ordered_for_a_task_and_shown_with_their_record(draw: Draw, folder: Path):
    page = draw("agents")
    assert words(page).index("**baker**") < words(page).index("**assistant**")  # the workspace's own first
    assert "Bakes <bread>." in words(page)
    assert "no call in 90 days" in words(page)
    page = draw("agents", task="Check this contract for clauses on liability")
    assert words(page).index("**legal**") < words(page).index("**baker**")
    assert "best fit" in words(page)
    assert "matches" in words(page)
    assert "how they did so far decides" in words(draw("agents", task="zzz qqq"))
    assert "No call yet" in words(draw("agents", agent="baker"))
    with hishamos.open(folder) as ws:
        ws.agents.ask("baker", "Bake")
        assert ws.agents.record("baker") in ws.agents.records()
        assert len(ws.agents.records()) == len(ws.agents.list())
    page = draw("agents", agent="baker")
    assert {one.label: one.value for one in page.metric}["Calls"] == "1"
    assert all(fact in words(page) for fact in ("baking bread", "the workspace's route", "8 turns", "Bake."))
    assert "find_similar_bugs" in words(draw("agents", agent="bug-librarian"))


def test_a_conversation_is_begun_answered_gone_on_with_and_found_again(draw: Draw, folder: Path, provider: Simulator):
    provider.script(MODEL, {"text": HOSTILE}, {"text": "You said: bread."})
    page = draw("chat", agent="baker")
    assert "Bakes <bread>." in words(page)
    assert "None yet" in words(page)
    page.chat_input[0].set_value("Bread, *please*").run()
    with hishamos.open(folder) as ws:
        (talk,) = ws.conversations.list()
    page = until(draw("chat", conversation=talk.id), lambda page: len(page.chat_message) == 2 and "USD ·" in said(page)[1])
    assert (talk.title, talk.agent) == ("Bread, *please*", "baker")
    assert said(page)[0].strip() == "Bread, *please*"
    answer = page.chat_message[1].markdown[0].value
    assert answer.startswith("# Head")
    assert not any(
        sign in answer.replace("\\!", "").replace("\\[", "").replace("\\<", "").replace("\\$", "").replace("\\:", "") for sign in ("![", "[press", "<script")
    )
    page.chat_input[0].set_value("What did I say?").run()
    page = until(page, lambda page: len(page.chat_message) == 4 and "USD ·" in said(page)[3])
    assert "bread" in said(page)[3]
    with hishamos.open(folder) as ws:
        found = ws.conversations.get(talk.id)
        assert found.cost_nanos == sum(one.cost_nanos or 0 for one in ws.conversations.messages(talk.id)) > 0
    assert "2 messages" in words(page)
    again = draw("chat", conversation=talk.id[:6])
    assert said(again) == said(page)
    listed = draw("chat").dataframe[0].value
    assert list(listed[["With", "Messages"]].iloc[0]) == ["baker", "2"]


def test_a_message_that_is_answered_while_the_page_is_read_is_counted_too(draw: Draw, folder: Path, monkeypatch: pytest.MonkeyPatch):
    with hishamos.open(folder) as ws:
        talk = ws.conversations.start("research", model=OFFLINE)
        talk.say("Caches are fast.")
        asked, call = ["Caches may be stale."], Requests.call

        def called(self: Requests, verb: Verb, arguments: dict[str, object]) -> object:
            if (verb.service, verb.name) == ("conversations", "messages") and asked:
                talk.say(asked.pop())
            return call(self, verb, arguments)

        monkeypatch.setattr(Requests, "call", called)
        page = draw("chat", conversation=talk.id)
        assert not asked
        assert len(page.chat_message) == 4
        assert "2 messages" in words(page)
        ws.conversations.delete(talk.id)


def test_an_earlier_message_that_is_sent_again_is_seen_under_way_and_stopped(draw: Draw, folder: Path, provider: Simulator):
    provider.script(MODEL, HELD, {"text": "Two."}, {"text": "Three."}, HELD)
    with hishamos.open(folder) as ws:
        talk = ws.conversations.start("baker")
        first = stopped(talk, "First", ws)
        for text in ("Second", "Third"):
            talk.say(text)
        answer = talk.stream("First", message=first)
        begun(answer)
        page = draw("chat", conversation=talk.id)
        assert [one.strip().splitlines()[0] for one in said(page)[::2]] == ["Second", "Third", "First"]
        press(page, "Stop")
        until(page, lambda page: "stopped" in words(page))
        ws.conversations.delete(talk.id)


def test_a_message_that_begins_and_is_answered_once_the_page_was_read_is_shown(draw: Draw, folder: Path, monkeypatch: pytest.MonkeyPatch):
    with hishamos.open(folder) as ws:
        talk = ws.conversations.start("research", model=OFFLINE)
        talk.say("Caches are fast.")
        page = draw("chat", conversation=talk.id)
        from parts.talks import Talk

        held, read, call, listen = threading.Event(), [], Requests.call, Talk._listen
        waiting: list[Talk] = []

        def called(self: Requests, verb: Verb, arguments: dict[str, object]) -> object:
            answer = call(self, verb, arguments)
            if waiting and (verb.service, verb.name) in {("conversations", "messages"), ("conversations", "get")}:
                read.append(verb.name)
                if read[-2:] == ["messages", "get"]:
                    held.set()
                    waiting[0]._thread.join()
            return answer

        def listened(self: Talk, workspace: hishamos.Workspace) -> None:
            waiting.append(self)
            held.wait()
            listen(self, workspace)

        monkeypatch.setattr(Requests, "call", called)
        monkeypatch.setattr(Talk, "_listen", listened)
        page.chat_input[0].set_value("Caches may be stale.").run()
        assert len(page.chat_message) == 4
        assert not page.chat_input[0].disabled
        ws.conversations.delete(talk.id)


def test_a_message_that_is_sent_again_and_answered_while_the_page_is_read_is_shown(
    draw: Draw, folder: Path, provider: Simulator, monkeypatch: pytest.MonkeyPatch
):
    provider.script(MODEL, HELD, {"text": "Here you are."})
    with hishamos.open(folder) as ws:
        talk = ws.conversations.start("baker")
        ended, call = [stopped(talk, "Bread", ws)], Requests.call

        def called(self: Requests, verb: Verb, arguments: dict[str, object]) -> object:
            answer = call(self, verb, arguments)
            if (verb.service, verb.name) == ("conversations", "messages") and ended:
                talk.say("Bread", message=ended.pop())
            return answer

        monkeypatch.setattr(Requests, "call", called)
        page = draw("chat", conversation=talk.id)
        assert "Here you are." in said(page)[1]
        ws.conversations.delete(talk.id)


def test_a_conversation_that_is_deleted_while_it_is_looked_at_is_missed_once(draw: Draw, folder: Path, provider: Simulator, monkeypatch: pytest.MonkeyPatch):
    provider.script(MODEL, HELD)
    with hishamos.open(folder) as ws:
        talk = ws.conversations.start("baker")
        answer = talk.stream("Count")
        begun(answer)
        read, call = [], Requests.call

        def called(self: Requests, verb: Verb, arguments: dict[str, object]) -> object:
            if (verb.service, verb.name) == ("conversations", "messages"):
                read.append(verb.name)
                if len(read) == 2:  # the one of the part that draws itself again and again
                    stop(talk, ws)
                    ws.conversations.delete(talk.id)
            return call(self, verb, arguments)

        monkeypatch.setattr(Requests, "call", called)
        page = draw("chat", conversation=talk.id)
        assert page.warning
        assert not page.error
        assert not page.chat_input


def test_an_answer_is_seen_as_it_comes_and_stopped(draw: Draw, folder: Path, provider: Simulator):
    provider.script(MODEL, {"text": "one two three four five six seven eight nine ten eleven twelve", "chunk_s": 1.0})
    with hishamos.open(folder) as ws:
        talk = ws.conversations.start("baker", title="Slow")
    page = draw("chat", conversation=talk.id)
    page.chat_input[0].set_value("Count").run()
    page = until(page, lambda page: "one two" in words(page))
    assert "twelve" not in words(page)
    assert page.chat_input[0].disabled
    other = draw("chat", conversation=talk.id)  # drawn anew, it is found again
    assert "one" in words(other)
    press(other, "Stop")
    page = until(page, lambda page: "stopped" in words(page))
    assert "one" in words(page)
    assert len(page.chat_message) == 2  # the message is shown once, whenever the console hears of its end
    assert not page.chat_input[0].disabled
    with hishamos.open(folder) as ws:
        assert ws.conversations.messages(talk.id)[0].error.type == "Cancelled"


def test_no_key_is_needed_for_the_offline_model_and_failures_are_sentences(draw: Draw, folder: Path, provider: Simulator):
    page = draw("chat", agent="research")
    page.selectbox[1].select(OFFLINE).run()
    page.chat_input[0].set_value("What is known? Caches are fast. Caches may be stale.").run()
    with hishamos.open(folder) as ws:
        talk = ws.conversations.list(agent="research")[0]
        page = until(draw("chat", conversation=talk.id), lambda page: "not a real answer" in words(page))
        assert "offline in all" in words(page)
        provider.script(MODEL, {"status": 400, "message": "no <such> thing"})
        failing = ws.conversations.start("baker", title="Failing")
        page = draw("chat", conversation=failing.id)
        page.chat_input[0].set_value("Bake").run()
        page = until(page, lambda page: bool(page.error))
        assert "no <such> thing" in words(page)
        press(page, "Delete for good")
        assert failing.id not in [one.id for one in ws.conversations.list()]
    assert draw("chat", conversation=failing.id).warning


def test_files_and_data_that_went_with_a_message_are_told(draw: Draw, folder: Path, provider: Simulator):
    with hishamos.open(folder) as ws:
        talk = ws.conversations.start("baker", title="Files")
        path = ws.conversations.attach(talk.id, "notes of *today*.txt", base64.b64encode(b"Flour and salt").decode()).path
        provider.script(MODEL, {"text": "Read."})
        talk.say("Read this", files=[path], data={"loaves": 3})
    page = draw("chat", conversation=talk.id)
    assert "notes of _today_.txt, text, 1 kB" in words(page)
    assert '"loaves": 3' in words(page)


@pytest.mark.parametrize("query", [{"conversation": "ZZZZZZ"}, {"conversation": "<script>"}, {"agent": "nobody"}])
def test_nonsense_in_the_address_is_a_sentence(draw: Draw, query: dict[str, str]):
    assert bool(draw("chat", **query).warning) == ("conversation" in query)
    assert bool(draw("agents", **query).warning) == ("agent" in query)
