"""Images, PDFs and texts on the OpenAI, Anthropic and Gemini wire formats: what arrives, what it costs, what is never sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hishamos.errors import FileChanged, InvalidInput, KeyReused
from hishamos.media.looking import look
from hishamos.records.attachments import Attachment
from hishamos.records.calls import CallStatus, Message, ModelRequest, Outcome, Tags
from hishamos.records.configuration import BudgetSettings, ProviderSettings
from hishamos.records.record import nanos, usd
from tests.rigs.gateways import KEYS, MODELS, House, Scripted, answer, build, provider, scripted, settings_for
from tests.rigs.pictures import image, pdf, put
from tests.rigs.simulator import FILE_TOKENS, Simulator

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
every = pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
Open = Callable[..., House]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def opened(simulator: Simulator) -> Iterator[Open]:
    simulator.clear()
    houses: list[House] = []

    def make(*kinds: str, **route: object) -> House:
        houses.append(build(settings_for(*(provider(kind, simulator.url) for kind in kinds), **route)))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


@pytest.fixture
def files(tmp_path: Path) -> list[Attachment]:
    made = {"a.png": image(), "b.jpg": image("JPEG"), "c.webp": image("WEBP"), "d.pdf": pdf(2)}
    return [look(put(tmp_path, name, data), "here") for name, data in made.items()]


def ask(house: House, files: list[Attachment], *, text: str = "What is it?", key: str = "k", stream: bool = False, **changes: object) -> Outcome:
    message = Message(role="user", content=text, files=tuple(files))
    request = ModelRequest(**{"target": "default", "messages": (Message(role="system", content="Be brief."), message), **changes})
    return house.gateway.submit(request, key=key, tags=Tags(), stream=stream).outcome.result(120)


@both
@every
def test_what_arrives_is_what_was_handed_in(opened: Open, simulator: Simulator, files: list[Attachment], kind: str, stream: bool):
    house = opened(kind)
    outcome = ask(house, files, stream=stream)
    assert (outcome.status, outcome.error) == (CallStatus.SUCCEEDED, None)
    (entry,) = simulator.book()
    assert entry["files"] == [{"media": file.media, "sha256": file.sha256, "bytes": file.size} for file in files]
    assert entry["said"] == "What is it?", "names of files stay at home"
    (row,) = house.rows()
    assert (row["usage_source"], row["input_tokens"]) == ("provider", entry["billed"]["input"])
    assert row["input_tokens"] > 4 * FILE_TOKENS[kind]
    assert outcome.cost_nanos == row["cost_nanos"]
    assert not row["overrun"]
    assert json.loads(row["tags"])["files"] == outcome.attempts[0].tags["files"]
    assert outcome.attempts[0].tags["files"] == [{"path": file.path, "media": file.media, "sha256": file.sha256, "bytes": file.size} for file in files]


@both
def test_a_gif_goes_where_it_is_read(opened: Open, simulator: Simulator, tmp_path: Path, stream: bool):
    gif = look(put(tmp_path, "a.gif", image("GIF")), "here")
    for kind in ("openai", "anthropic"):
        assert ask(opened(kind), [gif], stream=stream).status is CallStatus.SUCCEEDED
    assert [entry["files"][0]["media"] for entry in simulator.book()] == ["image/gif"] * 2


@both
@pytest.mark.parametrize("kinds", [("openai", "anthropic", "gemini"), ("gemini", "openai"), ("anthropic", "openai")])
def test_the_next_provider_is_sent_the_same_files_in_its_own_form(
    opened: Open, simulator: Simulator, files: list[Attachment], kinds: tuple[str, ...], stream: bool
):
    for kind in kinds[:-1]:
        simulator.script(MODELS[kind].partition("/")[2], then={"status": 503, "drop": True})
    outcome = ask(opened(*kinds, attempts=len(kinds)), files, stream=stream)
    assert (outcome.status, outcome.model) == (CallStatus.SUCCEEDED, MODELS[kinds[-1]])
    assert {tuple(file["sha256"] for file in entry["files"]) for entry in simulator.book()} == {tuple(file.sha256 for file in files)}
    assert [entry["format"] for entry in simulator.book()][-1] == kinds[-1]


def test_a_provider_that_refuses_an_image_is_not_asked_twice(opened: Open, simulator: Simulator, files: list[Attachment]):
    simulator.script("gpt-4.1-mini", then={"status": 400, "code": "invalid_image_format", "message": "unsupported image"})
    outcome = ask(opened("openai"), files)
    assert (outcome.status, outcome.cost_nanos, len(simulator.book())) == (CallStatus.FAILED, 0, 1)
    assert "unsupported image" in outcome.error.message


@every
def test_the_reservation_is_above_the_bill(opened: Open, simulator: Simulator, tmp_path: Path, kind: str):
    """A hard budget a nano-dollar below the bound refuses before anything is sent; at the bound the call is made, and costs less."""
    photo = look(put(tmp_path, "a.png", image()), "here")
    house = opened(kind)

    def within(limit_nanos: int) -> Outcome:
        budget = BudgetSettings(name="b", scope="run", period="total", limit_usd=usd(limit_nanos))
        house.settings = house.settings.model_copy(update={"budgets": {"b": budget}})
        house.gateway.reconfigure(house.settings)
        request = ModelRequest(target="default", messages=(Message(role="user", content="What is it?", files=(photo,)),), max_output_tokens=5)
        return house.gateway.submit(request, key=f"k{limit_nanos}", tags=Tags(run=f"r{limit_nanos}")).outcome.result(120)

    bound = nanos(within(1).error.facts["bound_usd"])
    assert within(bound - 1).status is CallStatus.REFUSED
    assert simulator.book() == []
    made = within(bound)
    assert (made.status, len(simulator.book())) == (CallStatus.SUCCEEDED, 1)
    assert 0 < made.cost_nanos < bound
    assert not made.attempts[0].overrun


def test_models_that_see_nothing_are_passed_over(simulator: Simulator, files: list[Attachment]):
    simulator.clear()
    blind = ProviderSettings(name="openai", kind="openai", api_key=next(iter(KEYS)))
    house = build(settings_for(blind, provider("anthropic", simulator.url), models=("openai/gpt-3.5-turbo", MODELS["anthropic"])))
    try:
        outcome = ask(house, files)
        assert (outcome.status, outcome.model) == (CallStatus.SUCCEEDED, MODELS["anthropic"])
        assert outcome.attempts[0].tags["passed_over"] == "openai/gpt-3.5-turbo reads no images, says litellm's map"
        with pytest.raises(InvalidInput, match=r"no model here can be given these files .*gpt-3.5-turbo reads no images.*Nothing was sent"):
            ask(house, files, key="k2", target="openai/gpt-3.5-turbo")
        assert [entry["format"] for entry in simulator.book()] == ["anthropic"]
    finally:
        house.close()


def test_the_same_content_under_another_name_is_answered_from_the_cache(opened: Open, simulator: Simulator, tmp_path: Path):
    house = opened("openai")
    first, same, other = (put(tmp_path, name, data) for name, data in (("a.png", image()), ("b.png", image()), ("c.png", image(colour="blue"))))
    answers = [ask(house, [look(path, "here")], key=path.name, cache="1h") for path in (first, same, other)]
    assert [one.attempts[0].status.value for one in answers] == ["succeeded", "cached", "succeeded"]
    assert len(simulator.book()) == 2
    again = ask(house, [look(same, "here")], key="a.png", cache="1h")
    assert again.reused, "one key, one content: it is the same request"


def test_a_key_is_for_one_content(opened: Open, tmp_path: Path):
    house = opened("openai")
    path = put(tmp_path, "a.png", image())
    ask(house, [look(path, "here")])
    path.write_bytes(image(colour="blue"))
    with pytest.raises(KeyReused):
        ask(house, [look(path, "here")])


@pytest.mark.parametrize("name", ["a.png", "a.txt"])
def test_a_file_that_changed_before_it_was_sent_ends_the_call_unsent(opened: Open, simulator: Simulator, tmp_path: Path, name: str):
    path = put(tmp_path, name, image() if name == "a.png" else b"before")
    seen = look(path, "here")
    path.write_bytes(image(colour="blue") if name == "a.png" else b"after")
    house = opened("openai")
    words = f"{path} has changed since it was handed in"
    if name == "a.txt":  # read before the call is opened
        with pytest.raises(FileChanged, match=words):
            ask(house, [seen])
    else:
        outcome = ask(house, [seen])
        assert (outcome.status, outcome.error.type, outcome.cost_nanos) == (CallStatus.FAILED, "FileChanged", 0)
        assert words in outcome.error.message
    assert simulator.book() == []
    assert house.rows() == []


def test_the_stored_outcome_needs_no_file(opened: Open, simulator: Simulator, tmp_path: Path):
    house = opened("openai")
    paths = [put(tmp_path, "a.png", image()), put(tmp_path, "b.txt", b"words")]
    seen = [look(path, "here") for path in paths]
    first = ask(house, seen)
    for path in paths:
        path.unlink()
    again = ask(house, seen)
    assert (again.reused, again.text, len(simulator.book())) == (True, first.text, 1)


def test_texts_are_part_of_the_prompt_and_hidden_like_it(simulator: Simulator, tmp_path: Path):
    simulator.clear()
    text = look(put(tmp_path, "mail.txt", "﻿From amal@example.org: it crashes".encode()), "here")
    house = build(settings_for(provider("openai", simulator.url, hide=("email",))))
    try:
        outcome = ask(house, [text, look(put(tmp_path, "a.png", image()), "here")], text="Sort this.")
    finally:
        house.close()
    (entry,) = simulator.book()
    assert entry["said"].startswith("Sort this.\n\nFile 1 (text).")
    assert entry["said"].endswith("From p1@hidden.invalid: it crashes")
    assert [file["media"] for file in entry["files"]] == ["image/png"]
    assert [file["path"] for file in outcome.attempts[0].tags["files"]] == [text.path, str(tmp_path / "a.png")]


def test_a_cut_off_answer_counts_its_files(opened: Open, simulator: Simulator, files: list[Attachment]):
    simulator.script("gpt-4.1-mini", then={"no_usage": True, "cut_after": 1})
    outcome = ask(opened("openai", attempts=1), files[:1], stream=True)
    (attempt,) = outcome.attempts
    assert (attempt.status.value, attempt.usage_source) == ("incomplete", "estimated")
    assert attempt.input_tokens > FILE_TOKENS["openai"]
    assert attempt.cost_nanos > 0


def test_an_adapter_that_does_not_say_that_it_sends_files_is_not_given_any(files: list[Attachment]):
    house, adapter = scripted(answer())
    try:
        outcome = ask(house, files)
        assert outcome.status is CallStatus.FAILED
        assert "sends no images or PDFs" in outcome.error.message
        assert adapter.asked == []
    finally:
        house.close()


def test_an_adapter_gets_the_bytes_by_their_hash(files: list[Attachment]):
    class Seeing(Scripted):
        takes_files = True

    adapter = Seeing([answer()])
    toy = ProviderSettings(name="toy", kind="toy", api_base="http://127.0.0.1:9")
    house = build(settings_for(toy, models=("toy/model",)), adapters={"toy": adapter})
    try:
        assert ask(house, files).status is CallStatus.SUCCEEDED
    finally:
        house.close()
    (request,) = adapter.asked
    assert {hashlib.sha256(data).hexdigest() for data in request.files.values()} == set(request.files) == {file.sha256 for file in files}


def test_the_offline_model_says_what_it_did_not_look_at(files: list[Attachment]):
    house = build(settings_for(models=("offline/extractive",)))
    try:
        outcome = ask(house, files[:1], target="offline/extractive")
        assert (outcome.status, outcome.not_judged, outcome.cost_nanos) == (CallStatus.SUCCEEDED, ("a.png",), 0)
    finally:
        house.close()
