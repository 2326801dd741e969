"""The shipped agents: each loads, answers offline, says its limits, and is picked for tasks of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import hishamos

OFFLINE = "offline/extractive"
SHIPPED = (
    "bug-triage", "business-analyst", "code-reviewer", "coding", "devops", "documentation", "finance", "hr", "legal", "product-owner",
    "project-manager", "qa-testing", "release-manager", "research", "scrum-master", "ux-designer",
)  # fmt: skip
TASKS = {
    "business-analyst": (
        "Gather the requirements for a new customer portal from these interview notes",
        "Describe the present ordering process and where it differs from what the department needs",
        "Write acceptance criteria and business rules for refunds",
    ),
    "coding": (
        "Write a Python function that parses ISO dates and returns None for invalid ones",
        "Implement a rate limiter class for our API client",
        "This script raises a KeyError, find and fix the mistake in the code",
    ),
    "code-reviewer": (
        "Review this pull request before we merge it",
        "Look at the diff below for security problems and bad naming",
        "Is this patch to the payment module safe to merge?",
    ),
    "project-manager": (
        "Draw up a project plan with milestones for moving the office by June",
        "Which risks could delay the project, and how do we handle them?",
        "Write this week's status report for the steering committee",
    ),
    "documentation": (
        "Write a getting started guide for new users of our command line tool",
        "Turn these notes into a reference page for the REST endpoints",
        "Improve the README so that installation is easy to follow",
    ),
    "qa-testing": (
        "Design test cases for the password reset feature, edge cases included",
        "Which regression tests should run before every nightly build?",
        "Write a test plan for the checkout page",
    ),
    "devops": (
        "Set up a CI pipeline that builds a Docker image and deploys it",
        "The production server is out of memory, what should we do first?",
        "Write Terraform for a Kubernetes cluster with monitoring",
    ),
    "scrum-master": (
        "Prepare the agenda of our sprint retrospective",
        "Our daily standup takes forty minutes, how can the team shorten it?",
        "Plan the next sprint from our velocity and vacations",
    ),
    "product-owner": (
        "Write user stories for sharing a photo album",
        "Prioritise these twelve feature requests by value for the customer",
        "Draft a roadmap and vision for our product for next year",
    ),
    "bug-triage": (
        "Sort these bug reports by severity",
        "Which of the reported crashes hurts users most?",
        "Is this bug report reproducible or a duplicate?",
    ),
    "legal": (
        "Check this contract for clauses on liability",
        "Does our newsletter comply with the GDPR?",
        "May we use a GPL library in our closed source product?",
    ),
    "hr": (
        "Write a job description for a nurse",
        "Which questions should I ask in an interview with a candidate for sales?",
        "Prepare the onboarding of a new employee",
    ),
    "finance": (
        "Compute the break-even point from these costs and prices",
        "Explain why the expenses of the third quarter exceed the budget",
        "Forecast our cash flow for the next six months",
    ),
    "ux-designer": (
        "Describe the screens and the user flow for booking a table",
        "Check this form for accessibility and usability",
        "Propose better wording for the buttons and error messages in our app",
    ),
    "research": (
        "Compare three vector databases by the available evidence",
        "Summarise what studies say about remote work and productivity",
        "What is known about the market for electric bicycles in Egypt?",
    ),
    "release-manager": (
        "Can we ship version 2.4 on Friday? Here are the open issues",
        "Write the changelog and release notes for 3.0",
        "Plan the staged rollout and the rollback of the new version",
    ),
}
"""Tasks as people write them, three for each agent; written before the agents' words were weighed."""
ENOUGH = 0.8


@pytest.fixture(scope="module")
def ws() -> Iterator[hishamos.Workspace]:
    with hishamos.open(":memory:") as workspace:
        yield workspace


def test_all_sixteen_are_there(ws: hishamos.Workspace):
    names = [agent.name for agent in ws.agents.list() if agent.source == "library"]
    assert set(SHIPPED) <= set(names)
    assert sorted(TASKS) == sorted(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_each_says_what_it_is_for_and_what_it_must_not_do(ws: hishamos.Workspace, name: str):
    agent = ws.agents.get(name)
    assert agent.description.endswith(".")
    assert len(agent.capabilities) >= 2
    assert len(agent.instructions.split()) >= 50
    assert "ever" in agent.instructions  # never invent, never guess
    assert agent.limits.usd is not None


@pytest.mark.parametrize("name", SHIPPED)
def test_each_answers_offline_in_its_own_shape(ws: hishamos.Workspace, name: str):
    answer = ws.agents.ask(
        name, TASKS[name][0], data={"notes": "The export closes the app and the file is lost. Two users wrote. The test of the export fails."}, model=OFFLINE
    )
    assert (answer.agent, answer.offline, answer.cost_nanos) == (name, True, 0)
    assert isinstance(answer.output, dict if ws.agents.get(name).output else str)
    assert answer.output


def test_each_is_picked_for_its_tasks(ws: hishamos.Workspace):
    wrong, among_three = [], 0
    for name, tasks in TASKS.items():
        for task in tasks:
            pick = ws.agents.pick(task)
            among_three += name in [candidate.agent for candidate in pick.candidates[:3]]
            if pick.agent != name:
                wrong.append(f"{task!r}: {pick.agent} instead of {name}")
    asked = sum(len(tasks) for tasks in TASKS.values())
    share = 1 - len(wrong) / asked
    print(f"\npicked as expected: {asked - len(wrong)} of {asked} ({share:.2f}), among the first three: {among_three}", *wrong, sep="\n  ")
    assert share >= ENOUGH
