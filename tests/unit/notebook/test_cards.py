"""Cards: plain, escaped, honest about what is offline or unpriced."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

from hishamos.charts.pace import map_outcome
from hishamos.charts.pictures import graph_picture
from hishamos.notebook import cards
from hishamos.notebook.money_cards import is_spend, spend_card
from hishamos.notebook.run_cards import RunFacts, run_card, steps_table
from hishamos.records.batches import BatchRow
from hishamos.records.calls import Attempt, AttemptStatus, CommandResult
from hishamos.records.definitions import CommandDefinition, WorkflowDefinition
from hishamos.records.money import Budget, BudgetWarning
from hishamos.records.pictures import Graph, GraphStep
from hishamos.records.record import Record
from hishamos.records.result_comparisons import ResultComparison
from hishamos.records.results import Issue, Result
from hishamos.records.run_comparisons import ComparedRun, Difference, RunComparison
from hishamos.records.runs import Run, RunState, Step, StepState

NOW = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
EVIL = '<script>alert(1)</script><img src="http://127.0.0.1/beacon"><a href="javascript:x">y</a>'


class Tags(HTMLParser):
    """Collects tags and where they point."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.points: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.points += [value or "" for name, value in attrs if name in {"src", "href"}]


def parsed(markup: str) -> Tags:
    found = Tags()
    found.feed(markup)
    return found


def run(**changes: Any) -> Run:
    facts = {"id": "7F3KQW2M9XYZ", "name": "triage_bugs", "version": "abc", "state": RunState.SUCCEEDED, "created_at": NOW, **changes}
    return Run.model_validate(facts)


def step(path: str, **changes: Any) -> Step:
    return Step.model_validate({"run_id": "r", "path": path, "type": "command", "state": StepState.SUCCEEDED, **changes})


@pytest.mark.parametrize(
    "markup",
    [
        cards.command_result_card(CommandResult(output=EVIL, text=EVIL, model="openai/x", command=EVIL)),
        cards.result_card(Result(id="1", title=EVIL, summary=EVIL, body=EVIL, action_items=(EVIL,), created_at=NOW)),
        run_card(RunFacts(run(name=EVIL, waiting_for=EVIL, outputs={"x": EVIL}), [step(EVIL, waiting_for=EVIL)], remark=EVIL)),
    ],
)
def test_what_a_model_says_is_inert(markup: str) -> None:
    found = parsed(markup)
    assert not found.tags & {"script", "a", "iframe", "object", "img"}
    assert found.points == []


def test_a_run_shows_state_money_and_the_next_act() -> None:
    shown = run_card(RunFacts(run(state=RunState.FAILED, cost_nanos=41_234_567, unpriced=2, error={"type": "RunFailed", "message": "it broke"})))
    for words in ("✕ failed", "0.0412 USD + 2 unpriced", "it broke", "ws.runs.resume", "7F3KQW2M9XYZ"):
        assert words in shown
    assert "exactly 0.041234567 USD" in run_card(RunFacts(run(cost_nanos=41_234_567, attempts=1)))
    assert "&quot;approve&quot;)" in run_card(RunFacts(run(state=RunState.WAITING, waiting_for="approval of step approve")))


def test_offline_is_labelled() -> None:
    assert "offline model, not a real answer" in run_card(RunFacts(run(offline=True)))
    answer = CommandResult(output={"a": 1}, text="{}", model="offline/extractive", command="c", not_judged=("a",))
    assert "offline model, not a real answer" in cards.command_result_card(answer)
    assert "not judged offline: a" in cards.command_result_card(answer)
    assert "offline model" in cards.plain(answer)


def test_items_of_maps_are_folded_but_failures_are_seen() -> None:
    items = [step(f"classify[{number}]") for number in range(100)]
    failed = step("classify[100]", state=StepState.FAILED, error={"type": "StepFailed", "message": "row is broken"})
    shown = steps_table([step("read"), step("classify", type="map"), *items, failed])
    before, _, folded = shown.partition("<details")
    assert "row is broken" in before
    assert "classify[0]" not in before
    assert "classify[0]" in folded
    assert "and 60 more" in folded


def test_lists_and_budgets() -> None:
    assert "7F3KQW" in (cards.list_card([run()]) or "")
    assert cards.list_card([1, 2]) is None
    assert cards.list_card([]) is None
    budget = Budget(name="month", scope="workspace", period="month", limit_nanos=10**9, committed_nanos=5 * 10**8, warn_at=(Decimal("0.5"),))
    assert "0.500 USD of 1.00 USD" in cards.budget_card(budget)
    told = BudgetWarning(
        budget="month", scope="workspace", period="2026-11", share=Decimal("0.5"), held_nanos=5 * 10**8, limit_nanos=10**9,
        message="Budget <month> has passed 50 %.", passed_at=datetime(2026, 11, 23, 14, 5, tzinfo=UTC),
    )  # fmt: skip
    assert "Budget &lt;month&gt; has passed 50 %. 23 Nov 14:05 UTC" in cards.budget_card(budget.model_copy(update={"warnings": (told,)}))


@pytest.mark.parametrize(("format", "kind"), [("svg", "image/svg+xml"), ("png", "image/png")])
def test_a_graph_stands_in_the_card_itself_and_tells_its_words(format: Any, kind: str) -> None:
    graph = Graph(name=EVIL, version="1", run="R", state="failed", steps=(GraphStep(id="read", type="python", subject=EVIL, state="failed", note=EVIL),))
    picture = graph_picture(graph, format)
    markup = run_card(RunFacts(run(), [step("read")], graph=picture))
    found = parsed(markup)
    assert not found.tags & {"script", "a", "iframe", "object", "svg"}
    assert [point.partition(";")[0] for point in found.points] == [f"data:{kind}"]
    assert "read failed" in markup
    assert parsed(cards.picture_card(picture)).points == found.points


def test_a_workflow_is_drawn_or_listed() -> None:
    workflow = WorkflowDefinition.model_validate({"name": "flow", "description": "d", "steps": [{"id": "one", "type": "python", "with": {"function": "x"}}]})
    assert "<th" in cards.definition_card(workflow)
    drawn = cards.definition_card(workflow, graph_picture(Graph(name="flow", version="1", steps=(GraphStep(id="one", type="python"),)), "png"))
    assert parsed(drawn).points[0].startswith("data:image/png")


def spend_frame(**changes: Any) -> Any:
    import pandas as pd

    row = {
        "day": pd.Timestamp("2026-11-23"), "model": "openai/x", "calls": 2, "attempts": 3, "succeeded": 2, "failed": 1, "fell_back": 0, "offline": 0,
        "cached": 0, "input_tokens": 1200, "output_tokens": 300, "cost_nanos": 41_234_567, "unpriced": 0, "p50_ms": 340.0, "p95_ms": 900.0,
    }  # fmt: skip
    return pd.DataFrame([row, {**row, "model": EVIL, "cost_nanos": 1}, {**row, **changes}])


def test_a_frame_of_spend_is_known_and_shown_with_chart_and_sum() -> None:
    frame = spend_frame(model="offline/extractive", offline=3, cost_nanos=0)
    assert is_spend(frame)
    assert is_spend(frame.sort_values("calls").head(1))
    assert not is_spend(frame[["day", "model", "cost_nanos"]])
    shown = spend_card(frame)
    for words in ("exactly 0.041234568 USD", "0.0412 USD", "2026-11-23", "3 offline attempts", "340 ms", "1,200"):
        assert words in shown, words
    assert [point.partition(",")[0] for point in parsed(shown).points] == ["data:image/png;base64"]
    assert not parsed(shown).tags & {"script", "a"}
    assert "No attempt was made yet" in spend_card(frame.head(0))
    assert "openai/<wbr>x" in shown, "a long name may be broken, so that the cost beside it is in sight"


def test_attempts_are_drawn_and_listed() -> None:
    attempts = [
        Attempt(
            id=str(number), call_id="c", idempotency_key="k", provider="openai", model=EVIL, status=status, cost_nanos=nanos, latency_ms=50, started_at=NOW
        )
        for number, (status, nanos) in enumerate([(AttemptStatus.FAILED, None), (AttemptStatus.SUCCEEDED, 5)])
    ]  # fmt: skip
    shown = cards.list_card(attempts) or ""
    assert "exactly 0.000000005 USD" in shown
    assert "+ 1 unpriced" in shown
    assert parsed(shown).points[0].startswith("data:image/png")


def test_two_runs_and_two_results_beside_each_other() -> None:
    side = ComparedRun(id="AAAAAAAAAAAA", name=EVIL, kind="workflow", state="succeeded", where="server", models=("openai/x",), cost_nanos=10**9, seconds=3.2)
    other = side.model_copy(update={"id": "BBBBBBBBBBBB", "models": ("openai/y",)})
    changed = Difference(place="top", change="changed", before="a", after=EVIL)
    runs = RunComparison(before=side, after=other, inputs=(changed,), outputs=(changed,), differing=1)
    shown = cards.comparison_card(runs)
    for words in ("<strong>models</strong>", "openai/y", "1 USD", "the outputs differ in 1 place", "input top: a → &lt;script"):
        assert words in shown, words
    assert not parsed(shown).tags & {"script", "a", "img"}
    results = [Result(id=str(number), title="t", summary="s", created_at=NOW) for number in range(2)]
    told = cards.result_comparison_card(ResultComparison(before=results[0], after=results[1], differences=(changed,), runs=runs))
    assert "1 difference" in told
    assert "openai/y" in told
    assert not parsed(told).tags & {"script", "a", "img"}
    assert "they say the same" in cards.plain(ResultComparison(before=results[0], after=results[1]))


def test_many_definitions_are_a_table() -> None:
    commands = [CommandDefinition(name=f"c{number}", description=EVIL, template="x") for number in range(3)]
    shown = cards.list_card(commands) or ""
    assert shown.count("<tr") == 4
    assert "ws.commands.get(name)" in shown
    assert "c1" in cards.plain(commands[1])


def test_a_batch_shows_what_failed_first() -> None:
    rows = [
        BatchRow(
            index=number,
            step=f"rows[{number}]",
            status="failed" if number == 60 else "succeeded",
            parameters={"n": number},
            error=EVIL if number == 60 else None,
        )
        for number in range(70)
    ]
    shown = run_card(RunFacts(run(kind="batch", steps_total=70, steps_done=70), notebooks=rows))
    assert shown.index("&lt;script") < shown.index(">1</td>")
    assert "and 30 more" in shown
    assert "70 of 70 notebooks" in shown


def test_a_map_tells_its_pace_and_its_failures() -> None:
    failed = step("rows[7]", state=StepState.FAILED, error={"type": "StepFailed", "message": "row is broken"})
    shown = run_card(
        RunFacts(
            run(kind="map", steps_total=100, steps_done=50, outputs={"counts": {"failed": 1}}, started_at=NOW, finished_at=NOW.replace(second=10)), [failed]
        )
    )
    for words in ("50 of 100 rows", "5.0 rows/s", "0 reused, 49 new, 1 without an answer", "row is broken"):
        assert words in shown, words
    ended = run(kind="map", state=RunState.SUCCEEDED, name="say", steps_total=1, steps_done=1)
    assert map_outcome(ended, 1.0).startswith("say  1 row: 0 reused, 1 new, ")


def test_times_that_are_waited_for_are_readable() -> None:
    shown = run_card(RunFacts(run(state=RunState.WAITING, waiting_for="until 2026-11-23T14:05:33.671419Z (step first)")))
    assert "until 23 Nov 14:05 UTC (step first)" in shown


def test_records_without_a_card_of_their_own_are_readable() -> None:
    issues = [Issue(key=f"DEMO-{number}", project="DEMO", title=EVIL, labels=("ui", EVIL), created_at=NOW, updated_at=NOW) for number in range(120)]
    shown = cards.list_card(issues) or ""
    for words in ("Issues", "120", "DEMO-7", "23 Nov 14:05", "and 20 more"):
        assert words in shown, words
    alone = cards.CARDS[Record](issues[0])
    assert "labels" in alone
    told = BudgetWarning(
        budget="month", scope="workspace", period="2026-11", share=Decimal("0.5"), held_nanos=5 * 10**8, limit_nanos=10**9, message="m", passed_at=NOW
    )
    assert "0.500 USD" in cards.CARDS[Record](told)
    for markup in (shown, alone):
        assert not parsed(markup).tags & {"script", "a", "img"}
