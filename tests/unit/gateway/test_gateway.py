"""The gateway as its callers see it: once per key, within its deadline, in success or a typed failure."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from hishamos.errors import InvalidInput, KeyReused, KeyWithheld, NoProvider, ServerClosing, UnknownName
from hishamos.gateway.adapters.plug import Fault, Finish, Text, Used
from hishamos.records.calls import AttemptBegan, AttemptStatus, CallStatus, Finished, ModelRequest, Tags, TextPiece, Usage, UsageTold
from hishamos.records.configuration import BudgetSettings, LimitSettings, PriceSettings, ProviderSettings, RouteSettings, Settings
from tests.rigs.gateways import Act, House, Scripted, answer, build, request, scripted, settings_for

SLOW: Act = [0.3, *answer()]


@pytest.fixture
def opened() -> object:
    houses: list[House] = []

    def make(*acts: Act, **route: object) -> tuple[House, Scripted]:
        house, adapter = scripted(*acts, **route)  # type: ignore[arg-type]
        houses.append(house)
        return house, adapter

    yield make
    for house in houses:
        house.close()


Make = Callable[..., tuple[House, Scripted]]


def test_an_answer_with_its_cost(opened: Make):
    house, adapter = opened(answer("hi", input=1000, cached=400, output=50, reasoning=20))
    outcome = house.ask(tags=Tags(run="R1", step="s", project="P", user="u", issue="P-1"))
    assert (outcome.status, outcome.text, outcome.model) == (CallStatus.SUCCEEDED, "hi", "toy/model")
    assert outcome.cost_nanos == 1000 * 1000 + 50 * 2000
    [row] = house.rows()
    assert (row["status"], row["cost_nanos"], row["usage_source"], row["run_id"], row["project"]) == ("succeeded", 1_100_000, "provider", "R1", "P")
    assert (row["cached_tokens"], row["reasoning_tokens"], row["hop"], row["tags"]) == (400, 20, 0, '{"issue":"P-1"}')
    assert '"input":"1"' in row["price"]
    assert adapter.asked[0].max_output_tokens == 2048


def test_a_known_key_is_answered_from_the_store(opened: Make):
    house, adapter = opened()
    first = house.ask("hello", key="k")
    again = house.ask("hello", key="k")
    assert (again.text, again.reused, first.reused, len(adapter.asked)) == (first.text, True, False, 1)
    assert [attempt.id for attempt in again.attempts] == [attempt.id for attempt in first.attempts]


def test_a_known_key_is_answered_though_its_provider_is_gone(opened: Make):
    house, _ = opened()
    house.ask("hello", key="k")
    house.settings = Settings(root="/nowhere")
    assert house.ask("hello", key="k").reused
    with pytest.raises(KeyReused):
        house.ask("other", key="k")


def test_another_request_under_one_key_is_an_error(opened: Make):
    house, _ = opened(SLOW)
    pending = house.gateway.submit(request("one"), key="k", tags=Tags())
    with pytest.raises(KeyReused):
        house.gateway.submit(request("two"), key="k", tags=Tags())
    pending.outcome.result(5)
    with pytest.raises(KeyReused):
        house.ask("two", key="k")


def test_callers_of_one_key_share_one_call(opened: Make):
    house, adapter = opened(SLOW)
    pending = [house.gateway.submit(request(), key="k", tags=Tags()) for _ in range(5)]
    outcomes = [one.outcome.result(5) for one in pending]
    assert len(adapter.asked) == 1
    assert len({outcome.call_id for outcome in outcomes}) == 1


def test_a_call_is_cancelled_when_its_last_caller_leaves(opened: Make):
    house, adapter = opened([5.0, *answer()])
    first, second = (house.gateway.submit(request(), key="k", tags=Tags()) for _ in range(2))
    wait_until(lambda: len(adapter.asked) == 1)
    first.detach(cancel=True)
    time.sleep(0.1)
    assert house.gateway.open_calls == 1
    second.detach(cancel=True)
    wait_until(lambda: house.gateway.open_calls == 0)
    [row] = house.rows()
    assert (row["status"], row["cause"], row["usage_source"], row["cost_nanos"]) == ("cancelled", "cancelled", "estimated", row["reserved_nanos"])
    assert adapter.abandoned == 1


def test_who_cancels_a_call_is_told_when_it_is_settled(opened: Make, monkeypatch: pytest.MonkeyPatch):
    house, adapter = opened([5.0, *answer()])
    settle = type(house.ledger).settle

    def late(*given: object) -> object:
        time.sleep(0.3)
        return settle(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(type(house.ledger), "settle", late)
    first, second = (house.gateway.submit(request(), key="k/0", tags=Tags()) for _ in range(2))
    wait_until(lambda: len(adapter.asked) == 1)
    assert first.detach(cancel=True).done()  # the other one waits: nothing is cancelled
    begun = second.detach(cancel=True)
    below, other = house.gateway.settled("k"), house.gateway.settled("k/")
    assert [begun.done(), below.done(), other.done()] == [False, False, True]
    begun.result(5)
    assert below.done()
    assert [row["status"] for row in house.rows()] == ["cancelled"]


def test_who_leaves_as_the_call_ends_keeps_nobody_else_from_its_end(opened: Make):
    house, _ = opened([0.1, *answer("hi")])
    gone, other = (house.gateway.submit(request(), key="k", tags=Tags()) for _ in range(2))
    gone.outcome.cancel()
    assert other.outcome.result(5).text == "hi"
    house.gateway.settled("k").result(5)


def test_a_call_cancelled_before_it_began_is_never_sent(opened: Make):
    house, adapter = opened()
    for number in range(20):
        house.gateway.submit(request(), key=f"{number}", tags=Tags()).detach(cancel=True)
    wait_until(lambda: house.gateway.open_calls == 0)
    assert {row["status"] for row in house.rows()} <= {"cancelled", "succeeded"}
    assert sum(row["cost_nanos"] > 0 for row in house.rows()) == len(adapter.asked)
    assert house.ledger.open_calls() == 0


def test_detaching_without_cancel_lets_the_call_go_on(opened: Make):
    house, adapter = opened(SLOW)
    house.gateway.submit(request(), key="k", tags=Tags()).detach(cancel=False)
    wait_until(lambda: house.gateway.open_calls == 0)
    assert house.ask(key="k").reused
    assert len(adapter.asked) == 1


def test_a_cancelled_call_is_opened_again(opened: Make):
    house, adapter = opened([5.0], answer("second"))
    pending = house.gateway.submit(request(), key="k", tags=Tags())
    wait_until(lambda: len(adapter.asked) == 1)
    pending.detach(cancel=True)
    wait_until(lambda: house.gateway.open_calls == 0)
    outcome = house.ask(key="k")
    assert (outcome.text, outcome.reused) == ("second", False)
    assert [attempt.status for attempt in outcome.attempts] == [AttemptStatus.CANCELLED, AttemptStatus.SUCCEEDED]


def test_events_are_told_and_replayed(opened: Make):
    house, _ = opened([Text("one "), 0.05, Text("two"), Used(Usage(input=1, output=2)), Finish("stop")])
    pending = house.gateway.submit(request(), key="k", tags=Tags(), stream=True)
    live = list(pending.events())
    assert live == [
        AttemptBegan(model="toy/model"),
        TextPiece(text="one ", model="toy/model"),
        TextPiece(text="two", model="toy/model"),
        UsageTold(model="toy/model", usage=Usage(input=1, output=2), cost_nanos=5000),
        Finished(status=CallStatus.SUCCEEDED, model="toy/model", cost_nanos=5000),
    ]
    assert list(pending.events()) == live
    later = house.gateway.submit(request(), key="k", tags=Tags())
    assert list(later.events()) == [live[0], TextPiece(text="one two", model="toy/model"), live[-1]]


def test_misuse_raises_and_is_not_kept(opened: Make):
    house, adapter = opened()
    with pytest.raises(UnknownName, match="defalt"):
        house.ask(target="defalt")
    with pytest.raises(NoProvider, match="offline/extractive"):
        house.ask(target="openai/gpt-4.1")
    with pytest.raises(InvalidInput):
        house.ask(output_schema={"type": "nonsense"})
    with pytest.raises(InvalidInput, match="no answer can satisfy the schema: \\$.properties.n: minimum 2 excludes maximum 1"):
        house.ask(output_schema={"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 2, "maximum": 1}}})
    with pytest.raises(InvalidInput, match="refers to '#/nowhere'"):
        house.ask(output_schema={"$ref": "#/nowhere"})
    assert adapter.asked == house.rows() == house.store.fetch("select * from ledger_calls")


@pytest.mark.parametrize("limits", [{"max_output_tokens": -1}, {"max_output_tokens": 0}, {"temperature": -0.1}, {"temperature": float("nan")}])
def test_a_request_with_a_limit_below_nothing_can_not_be_made(limits: dict[str, float]):
    with pytest.raises(ValueError, match=next(iter(limits))):
        request(**limits)


def test_a_request_without_a_message_can_not_be_made():
    with pytest.raises(ValueError, match="messages"):
        ModelRequest(target="default", messages=())


def test_check_and_targets_cost_nothing(opened: Make):
    house, adapter = opened()
    house.gateway.check("default")
    house.gateway.check("toy/model")
    house.gateway.check("offline/extractive")
    assert [*house.gateway.targets()] == ["default", "toy/model", "offline/extractive"]
    assert adapter.asked == []


def test_schema_output_is_parsed_and_held_against_the_schema(opened: Make):
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    house, _ = opened(answer('```json\n{"n": 4}\n```'), answer("four"))
    good, bad = house.ask(output_schema=schema), house.ask(output_schema=schema)
    assert (good.data, good.error) == ({"n": 4}, None)
    assert (bad.status, bad.data, bad.text) == (CallStatus.SUCCEEDED, None, "four")
    assert bad.error is not None
    assert (bad.error.type, "not JSON" in bad.error.message) == ("OutputInvalid", True)


def test_an_answer_cut_off_at_its_limit_is_no_success(opened: Make):
    house, adapter = opened([Text("half an ans"), Used(Usage(input=10, output=5)), Finish("length")])
    outcome = house.ask(max_output_tokens=5)
    assert (outcome.status, outcome.text, len(adapter.asked), adapter.asked[0].max_output_tokens) == (CallStatus.INCOMPLETE, "half an ans", 1, 5)
    assert outcome.error is not None
    assert outcome.error.facts["cause"] == "length"
    assert (outcome.attempts[0].status, outcome.attempts[0].cost_nanos) == (AttemptStatus.INCOMPLETE, 20_000)


BROKEN: Act = [Text("half an "), Fault("gone", transport="disconnected")]


@pytest.mark.parametrize("broken", [BROKEN, [Text("half an ")], [Text("half an "), 2.0]], ids=["disconnect", "no finish", "stall"])
def test_a_broken_stream_restarts(opened: Make, broken: Act):
    house, adapter = opened(broken, answer("whole"), idle_timeout_s=0.2)
    pending = house.gateway.submit(request(), key="k", tags=Tags(), stream=True)
    outcome = pending.outcome.result(10)
    assert (outcome.status, outcome.text, len(adapter.asked)) == (CallStatus.SUCCEEDED, "whole", 2)
    assert [event.kind for event in pending.events()] == ["attempt", "text", "usage", "restart", "attempt", "text", "usage", "finish"]
    told = [event for event in pending.events() if isinstance(event, UsageTold)]
    assert [(event.usage.source, event.cost_nanos) for event in told] == [(row["usage_source"], row["cost_nanos"]) for row in house.rows()]
    first, second = house.rows()
    assert (first["status"], first["usage_source"], second["usage_source"]) == ("incomplete", "estimated", "provider")
    assert 0 < first["cost_nanos"] <= first["reserved_nanos"]
    assert outcome.cost_nanos == first["cost_nanos"] + second["cost_nanos"]


def test_a_broken_stream_is_kept_or_fails_where_the_route_says_so(opened: Make):
    keeping, adapter = opened(BROKEN, on_broken_stream="keep")
    kept = keeping.ask(stream=True)
    assert (kept.status, kept.text, len(adapter.asked)) == (CallStatus.INCOMPLETE, "half an ", 1)
    failing, adapter = opened(BROKEN, on_broken_stream="fail")
    failed = failing.ask(stream=True)
    assert (failed.status, failed.text, len(adapter.asked)) == (CallStatus.FAILED, "", 1)


def test_an_answer_that_never_comes_ends_at_the_deadline(opened: Make):
    house, adapter = opened([60.0], deadline_s=0.5)
    started = time.monotonic()
    outcome = house.ask()
    assert 0.4 < time.monotonic() - started < 1.0
    assert (outcome.status, outcome.attempts[0].cause, len(adapter.asked)) == (CallStatus.FAILED, "deadline", 1)
    assert outcome.attempts[0].cost_nanos == house.rows("reserved_nanos")[0]["reserved_nanos"]


def test_one_attempt_has_a_time_of_its_own(opened: Make):
    house, adapter = opened([60.0], answer(), timeout_s=0.2)
    outcome = house.ask()
    assert (outcome.status, outcome.attempts[0].cause, len(adapter.asked)) == (CallStatus.SUCCEEDED, "timeout", 2)


def test_attempts_are_bounded(opened: Make):
    house, adapter = opened(otherwise=lambda: [Fault("busy", status=503)], attempts=2)
    outcome = house.ask()
    assert (outcome.status, len(adapter.asked), len(outcome.attempts), outcome.cost_nanos) == (CallStatus.FAILED, 2, 2, 0)
    assert outcome.error is not None
    assert outcome.error.facts["attempts"] == 2


def test_an_invalid_request_fails_at_once(opened: Make):
    house, adapter = opened(otherwise=lambda: [Fault("bad temperature", status=400)])
    outcome = house.ask()
    assert (outcome.status, len(adapter.asked)) == (CallStatus.FAILED, 1)
    assert outcome.error is not None
    assert "bad temperature" in outcome.error.message


def two(first: Scripted, second: Scripted, **route: object) -> House:
    toys = [ProviderSettings(name=name, kind=name, api_base="http://127.0.0.1:9") for name in ("one", "two")]
    prices = tuple(PriceSettings(model=f"{name}/m", input="1", output="2") for name in ("one", "two"))  # type: ignore[arg-type]
    return build(settings_for(*toys, models=("one/m",), prices=prices, **route), adapters={"one": first, "two": second})


@pytest.mark.parametrize(
    ("fault", "chain"),
    [
        (Fault("context", status=400, code="context_length_exceeded"), "on_context_overflow"),
        (Fault("no", status=400, code="content_filter"), "on_content_policy"),
    ],
)
def test_overflow_and_policy_take_their_own_chains(fault: Fault, chain: str):
    first, second = Scripted(otherwise=lambda: [fault]), Scripted()
    house = two(first, second, **{chain: ("two/m",)})
    try:
        outcome = house.ask()
        assert (outcome.status, outcome.model, len(first.asked), len(second.asked)) == (CallStatus.SUCCEEDED, "two/m", 1, 1)
    finally:
        house.close()


def test_overflow_without_a_chain_is_a_typed_failure(opened: Make):
    house, adapter = opened(otherwise=lambda: [Fault("too long", status=400, code="context_length_exceeded")])
    outcome = house.ask()
    assert (outcome.status, len(adapter.asked)) == (CallStatus.FAILED, 1)
    assert outcome.error is not None
    assert outcome.error.facts["cause"] == "context_overflow"


def test_no_more_calls_at_once_than_places(opened: Make):
    under_way: list[int] = []

    class Counting(Scripted):
        now = 0

        async def stream(self, request):
            self.now += 1
            under_way.append(self.now)
            async for event in super().stream(request):
                yield event
            self.now -= 1

    adapter = Counting(otherwise=lambda: [0.05, *answer()])
    toy = ProviderSettings(name="toy", kind="toy", api_base="http://127.0.0.1:9", concurrency=3)
    house = build(settings_for(toy, models=("toy/m",)), adapters={"toy": adapter})
    try:
        pending = [house.gateway.submit(request(), key=uuid.uuid4().hex, tags=Tags()) for _ in range(12)]
        assert {one.outcome.result(10).status for one in pending} == {CallStatus.SUCCEEDED}
        assert max(under_way) == 3
    finally:
        house.close()


@pytest.fixture
def limited() -> Iterator[Callable[..., tuple[House, dict[str, list[tuple[int, float]]]]]]:
    """Makes a house of ``toy/slow``, limited as said, and ``toy/other``; each model's calls under way and times of sending are noted."""
    houses: list[House] = []

    def make(seconds: float, provider: int = 32, **limits: int) -> tuple[House, dict[str, list[tuple[int, float]]]]:
        seen: dict[str, list[tuple[int, float]]] = {"slow": [], "other": []}
        now = dict.fromkeys(seen, 0)

        class Noting(Scripted):
            async def stream(self, request):
                now[request.model] += 1
                seen[request.model].append((now[request.model], time.monotonic()))
                async for event in super().stream(request):
                    yield event
                now[request.model] -= 1

        toy = ProviderSettings(name="toy", kind="toy", api_base="http://127.0.0.1:9", concurrency=provider)
        settings = settings_for(toy, models=("toy/slow", "toy/other"))
        settings = settings.model_copy(update={"limits": {"toy/slow": LimitSettings(model="toy/slow", **limits)}})
        houses.append(build(settings, adapters={"toy": Noting(otherwise=lambda: [seconds, *answer()])}))
        return houses[-1], seen

    yield make
    for house in houses:
        house.close()


def test_a_model_has_places_of_its_own_and_its_queue_holds_up_no_other_model(limited):
    house, seen = limited(0.3, provider=3, concurrency=2)
    slow = [house.gateway.submit(request(target="toy/slow"), key=f"slow{number}", tags=Tags()) for number in range(6)]
    other = [house.gateway.submit(request(target="toy/other"), key=f"other{number}", tags=Tags()) for number in range(2)]
    assert {call.outcome.result(10).status for call in [*slow, *other]} == {CallStatus.SUCCEEDED}
    assert max(under_way for under_way, _ in seen["slow"]) == 2
    # The third place of the provider was theirs, although six calls of the slow model came first.
    assert sorted(moment for _, moment in seen["other"])[1] < sorted(moment for _, moment in seen["slow"])[4]


def test_a_models_requests_a_minute_are_kept_within_the_deadline(limited, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hishamos.gateway.standing.MINUTE_S", 0.4)
    house, seen = limited(0.0, rpm=2)
    began = time.monotonic()
    calls = [house.gateway.submit(request(target="toy/slow"), key=f"k{number}", tags=Tags()) for number in range(5)]
    assert {call.outcome.result(10).status for call in calls} == {CallStatus.SUCCEEDED}
    moments = sorted(moment - began for _, moment in seen["slow"])
    assert (moments[2] >= 0.4, moments[4] >= 0.8) == (True, True), moments
    assert house.ask(target="toy/other").status is CallStatus.SUCCEEDED


def test_who_finds_no_room_before_the_deadline_is_told_so_and_nothing_was_sent(limited):
    house, seen = limited(0.0, rpm=1)
    short = RouteSettings(name="short", models=("toy/slow",), deadline_s=0.2)
    house.settings = house.settings.model_copy(update={"routes": {**house.settings.routes, "short": short}})
    assert house.ask(target="toy/slow").status is CallStatus.SUCCEEDED
    started = time.monotonic()
    outcome = house.ask(target="short")
    assert (outcome.status, len(seen["slow"]), outcome.attempts) == (CallStatus.FAILED, 1, ())
    assert time.monotonic() - started < 5


def test_an_unpriced_answer_is_unpriced_not_free():
    adapter = Scripted()
    toy = ProviderSettings(name="toy", kind="toy", api_base="http://127.0.0.1:9")
    settings = settings_for(toy, models=("toy/m",))
    house = build(settings, adapters={"toy": adapter})
    try:
        outcome = house.ask()
        assert (outcome.status, outcome.cost_nanos, house.rows()[0]["cost_nanos"]) == (CallStatus.SUCCEEDED, None, None)
        house.settings = settings.model_copy(update={"budgets": {"all": BudgetSettings(name="all", limit_usd="1")}})
        house.gateway.reconfigure(house.settings)
        refused = house.ask()
        assert (refused.status, len(adapter.asked)) == (CallStatus.REFUSED, 1)
        assert refused.error is not None
        assert refused.error.type == "UnpricedModel"
        assert '[prices."toy/m"]' in refused.error.message
    finally:
        house.close()


def test_a_key_is_not_sent_to_a_foreign_host():
    evil = ProviderSettings(name="openai", kind="openai", api_key="env:OPENAI_API_KEY", api_base="https://evil.example/v1")
    house = build(settings_for(evil))
    try:
        with pytest.raises(KeyWithheld, match="evil"):
            house.ask()
        assert house.rows() == []
        assert [status.state for status in house.gateway.providers()] == ["misconfigured", "offline"]
    finally:
        house.close()


def test_closing_leaves_what_is_under_way_to_the_next_process(tmp_path):
    path = str(tmp_path / "store.duckdb")
    house, adapter = scripted([30.0], store=path)
    pending = house.gateway.submit(request(), key="k", tags=Tags())
    wait_until(lambda: len(adapter.asked) == 1)
    house.close()
    with pytest.raises(ServerClosing):
        pending.outcome.result(1)
    following, adapter = scripted(answer("after"), store=path)
    try:
        [row] = following.rows()
        assert (row["status"], row["usage_source"], row["cost_nanos"]) == ("orphaned", "estimated", row["reserved_nanos"])
        outcome = following.ask(key="k")
        assert (outcome.text, outcome.reused, len(adapter.asked)) == ("after", False, 1)
        assert [attempt.status for attempt in outcome.attempts] == [AttemptStatus.ORPHANED, AttemptStatus.SUCCEEDED]
        assert following.ask(key="k").reused
    finally:
        following.close()


def test_many_threads_at_once(opened: Make):
    house, adapter = opened(otherwise=lambda: [0.01, *answer()])
    outcomes = []
    threads = [threading.Thread(target=lambda number=number: outcomes.append(house.ask(f"{number % 8}", key=f"{number % 8}"))) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {outcome.status for outcome in outcomes} == {CallStatus.SUCCEEDED}
    assert (len(outcomes), len(adapter.asked), len(house.rows())) == (32, 8, 8)


def test_an_ordinary_call_takes_two_commits(opened: Make):
    house, _ = opened()
    house.ask()  # the price row is written once
    works: list[object] = []
    submit = house.store.submit
    house.store.submit = lambda work, **how: works.append(work) or submit(work, **how)  # type: ignore[method-assign, func-returns-value]
    house.ask()
    assert len(works) == 2


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def test_its_thread_ends_whatever_closing_meets(monkeypatch: pytest.MonkeyPatch):
    house, _ = scripted(answer())
    house.ask()

    async def broken() -> None:
        raise OSError("the adapters can't be closed")

    monkeypatch.setattr(house.gateway._adapters, "close", broken)
    with pytest.raises(OSError, match="can't be closed"):
        house.gateway.close()
    assert not house.gateway._thread.is_alive()
    house.close()
