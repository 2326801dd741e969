"""The batch endpoints of OpenAI and Anthropic: handed in, found again, answered in any order and in part, cancelled, refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hishamos.gateway.adapters.batch_plug import BatchRow, RowAnswer
from hishamos.gateway.adapters.litellm_chat import LitellmAdapter
from hishamos.gateway.adapters.plug import AdapterRequest, Fault, Finish, Text, Used
from hishamos.records.calls import Message
from tests.rigs.gateways import KEYS, MODELS, provider
from tests.rigs.simulator import Simulator

every = pytest.mark.parametrize("kind", ["openai", "anthropic"])
SCHEMA = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "string"}}, "additionalProperties": False}
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module")
def adapter() -> LitellmAdapter:
    return LitellmAdapter()


@pytest.fixture
def do(simulator: Simulator, adapter: LitellmAdapter) -> Callable[..., Any]:
    """Open a provider's batches, let a coroutine work with them, close them."""
    simulator.clear()

    def run(kind: str, work: Callable[[Any], Coroutine[Any, Any, Any]], **settings: Any) -> Any:
        async def working() -> Any:
            found = adapter.batches(provider(kind, simulator.url, **settings), next(key for name, key in KEYS.items() if kind[:3].upper() in name))
            try:
                return await work(found)
            finally:
                await found.close()

        return asyncio.run(working())

    return run


def rows(desk: Any, kind: str, count: int = 3, schema: dict | None = None) -> list[bytes]:
    asked = [
        AdapterRequest(
            provider=provider(kind, "http://127.0.0.1:9"),
            model=MODELS[kind].partition("/")[2],
            messages=(Message(role="system", content="Be brief."), Message(role="user", content=f"question {number}")),
            output_schema=schema,
            max_output_tokens=40,
            temperature=None,
            api_key=None,
            stream=False,
            timeout_s=60,
        )
        for number in range(count)
    ]
    return [desk.write(BatchRow(f"row{number}", request)) for number, request in enumerate(asked)]


async def all_of(desk: Any, batch: str) -> dict[str, RowAnswer]:
    return {answer.name: answer async for answer in desk.answers(batch)}


@every
@pytest.mark.parametrize("schema", [None, SCHEMA], ids=["text", "schema"])
def test_answers_come_with_their_rows_in_any_order(do, simulator: Simulator, kind: str, schema: dict | None):
    simulator.script("batches", then={"reverse": True})

    async def work(desk: Any) -> Any:
        batch = await desk.submit("ours-1", rows(desk, kind, schema=schema))
        return await desk.state(batch), await all_of(desk, batch)

    state, answers = do(kind, work)
    assert (state.ended, state.rows, state.problem) == (True, 3, None)
    assert list(answers) == ["row2", "row1", "row0"]
    (book,) = simulator.batches()
    for name, answer in answers.items():
        text, used, finish = answer.events
        assert isinstance(text, Text)
        assert text.text == ('{"answer": "simulated"}' if schema else f"simulated answer to question {name[-1]}")
        assert (used, finish) == (Used(used.usage), Finish("stop"))
        assert (used.usage.input, used.usage.output) == (book["billed"][name]["input"], book["billed"][name]["output"])
    assert book["key"] in KEYS.values()


@every
def test_rows_fail_expire_and_are_cancelled_one_by_one(do, simulator: Simulator, kind: str):
    simulator.script("batches", then={"refuse": ["row0"], "expire": ["row1"]})

    async def work(desk: Any) -> Any:
        return await all_of(desk, await desk.submit("ours-1", rows(desk, kind)))

    answers = do(kind, work)
    assert {name: answer.end for name, answer in answers.items()} == {"row0": "failed", "row1": "expired", "row2": "answered"}
    assert (answers["row0"].fault.status, str(answers["row0"].fault)) == (400, "simulated refusal")


@every
def test_a_batch_is_cancelled_at_the_provider(do, simulator: Simulator, kind: str):
    simulator.script("batches", then={"hold": True})

    async def work(desk: Any) -> Any:
        batch = await desk.submit("ours-1", rows(desk, kind))
        before = (await desk.state(batch)).ended
        await desk.cancel(batch)
        return before, (await desk.state(batch)).ended, await all_of(desk, batch)

    before, after, answers = do(kind, work)
    assert (before, after) == (False, True)
    assert {answer.end for answer in answers.values()} == {"cancelled"}


@every
def test_a_batch_whose_id_was_lost_is_found_again(do, simulator: Simulator, kind: str):
    """The provider made it, its answer never came: by name, or by its number of rows and, once it has ended, by whose rows they are."""

    async def lose(desk: Any) -> Any:
        await desk.submit("other", rows(desk, kind, 2))
        simulator.script("batches", *([{}] if kind == "openai" else []), {"lose_answer": True}, then={"page": 1})
        with pytest.raises(Fault) as lost:
            await desk.submit("ours-1", rows(desk, kind, 3))
        found = [state async for state in desk.find("ours-1", LONG_AGO, 3)]
        late = [state async for state in desk.find("ours-1", datetime.now(UTC) + timedelta(hours=1), 3)]
        return lost.value, found, late, await all_of(desk, found[0].id)

    lost, found, late, answers = do(kind, lose)
    assert lost.transport == "disconnected"
    assert [state.id for state in found] == ["batch_1"]
    assert late == []
    assert set(answers) == {"row0", "row1", "row2"}
    assert len(simulator.batches()) == 2


def test_openai_tells_why_it_refuses_a_batch_whole(do, simulator: Simulator):
    simulator.script("batches", then={"fail": "line 1 is too long"})

    async def work(desk: Any) -> Any:
        return await desk.state(await desk.submit("ours-1", rows(desk, "openai")))

    state = do("openai", work)
    assert (state.ended, state.problem) == (True, "line 1 is too long")


@every
@pytest.mark.parametrize(("act", "status"), [({"status": 401, "code": "authentication_error"}, 401), ({"status": 429, "headers": {"retry-after": "7"}}, 429)])
def test_refusals_are_told_with_their_facts(do, simulator: Simulator, kind: str, act: dict, status: int):
    simulator.script("batches", then=act)

    async def work(desk: Any) -> Any:
        await desk.submit("ours-1", rows(desk, kind))

    with pytest.raises(Fault) as refused:
        do(kind, work)
    assert refused.value.status == status
    assert refused.value.retry_after_s == (7.0 if status == 429 else None)


@every
def test_no_redirect_is_followed(do, simulator: Simulator, kind: str):
    with Simulator() as foreign:
        simulator.script("batches", then={"status": 307, "headers": {"location": f"{foreign.url}/v1/batches"}})

        async def work(desk: Any) -> Any:
            await desk.submit("ours-1", rows(desk, kind))

        with pytest.raises(Fault) as refused:
            do(kind, work)
        assert refused.value.status == 307
        assert foreign.batches() == []


@every
def test_an_unreachable_provider_is_told(do, kind: str):
    async def work(desk: Any) -> Any:
        await desk.state("batch_0")

    with pytest.raises(Fault) as refused:
        do(kind, work, api_base="http://127.0.0.1:9")
    assert refused.value.transport == "refused"


def test_limits_are_the_published_ones(do):
    async def limits(desk: Any) -> Any:
        return desk.limits.rows, desk.limits.bytes, desk.names_are_kept

    assert do("openai", limits) == (50_000, 200_000_000, True)
    assert do("anthropic", limits) == (100_000, 256_000_000, False)
