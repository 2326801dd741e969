"""Cards: plain, escaped, honest about what is offline or unpriced."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

from hishamos.charts.pictures import graph_picture
from hishamos.notebook import cards
from hishamos.records.calls import CommandResult
from hishamos.records.definitions import WorkflowDefinition
from hishamos.records.money import Budget, BudgetWarning
from hishamos.records.pictures import Graph, GraphStep
from hishamos.records.results import Result
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
        cards.run_card(run(name=EVIL, waiting_for=EVIL, outputs={"x": EVIL}), [step(EVIL, waiting_for=EVIL)]),
    ],
)
def test_what_a_model_says_is_inert(markup: str) -> None:
    found = parsed(markup)
    assert not found.tags & {"script", "a", "iframe", "object", "img"}
    assert found.points == []


def test_a_run_shows_state_money_and_the_next_act() -> None:
    shown = cards.run_card(run(state=RunState.FAILED, cost_nanos=41_234_567, unpriced=2, error={"type": "RunFailed", "message": "it broke"}))
    for words in ("✕ failed", "0.0412 USD + 2 unpriced", "it broke", "ws.runs.resume", "exactly 0.041234567 USD"):
        assert words in shown
    assert "ws.runs.approve" in cards.run_card(run(state=RunState.WAITING, waiting_for="approval of step approve"))


def test_offline_is_labelled() -> None:
    assert "offline model, not a real answer" in cards.run_card(run(offline=True))
    answer = CommandResult(output={"a": 1}, text="{}", model="offline/extractive", command="c", not_judged=("a",))
    assert "offline model, not a real answer" in cards.command_result_card(answer)
    assert "not judged offline: a" in cards.command_result_card(answer)
    assert "offline model" in cards.plain(answer)


def test_items_of_maps_are_folded_but_failures_are_seen() -> None:
    items = [step(f"classify[{number}]") for number in range(100)]
    failed = step("classify[100]", state=StepState.FAILED, error={"type": "StepFailed", "message": "row is broken"})
    shown = cards.steps_table([step("read"), step("classify", type="map"), *items, failed])
    before, _, folded = shown.partition("<details>")
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
    markup = cards.run_card(run(), [step("read")], graph=picture)
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
