"""Results, projects and issues behave alike on both store engines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from hishamos.errors import InvalidInput, NotAllowed, StaleWrite, UnknownName
from hishamos.records.actors import Actor
from hishamos.records.results import IssueDraft, ResultDraft
from hishamos.services.issues import IssuesService
from hishamos.services.projects import ProjectsService
from hishamos.services.results import ResultsService
from hishamos.services.service import ActingRun, acting_run, request_id
from hishamos.store.connectors import open_connector
from hishamos.store.migrate import migrate
from hishamos.store.work import StoreWork


@pytest.fixture(params=["duckdb", "postgres"])
def store(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "work.duckdb")
    connector = open_connector(url)
    migrate(connector)
    yield connector
    connector.close()


@pytest.fixture
def services(store):
    return _services(store, Actor(name="amal"))


def _services(store, actor):
    machinery = SimpleNamespace(store=store, work=StoreWork(store), repeated=())
    return SimpleNamespace(
        store=store, results=ResultsService(machinery, actor), projects=ProjectsService(machinery, actor), issues=IssuesService(machinery, actor)
    )


@pytest.fixture
def acting():
    token = acting_run.set(ActingRun(run_id="RUN1", workflow="triage_bugs", project="DEMO"))
    yield
    acting_run.reset(token)


def test_a_saved_result_is_read_back_whole(services, acting):
    data = {"items": [1, 2.5, None, "ب"], "ok": True}
    saved = services.results.save(ResultDraft(title="Report", summary="2 blockers", body="# Report", data=data, action_items=("fix R-001",), offline=True))
    assert (saved.run_id, saved.workflow, saved.project, saved.user_name) == ("RUN1", "triage_bugs", "DEMO", "amal")
    read = services.results.get(saved.id)
    assert read == saved
    assert read.data == data


def test_a_result_saved_by_a_face_belongs_to_no_run(services):
    assert services.results.save(ResultDraft(title="Note")).run_id is None


def test_results_are_found_by_run_project_and_text(services, acting):
    first = services.results.save(ResultDraft(title="Login fails", summary="50% of users"))
    second = services.results.save(ResultDraft(title="Other", body="mentions LOGIN too", project="OPS"))
    services.results.save(ResultDraft(title="Third"))
    assert [found.id for found in services.results.list(search="login")] == [second.id, first.id]
    assert [found.id for found in services.results.list(search="50%")] == [first.id]
    assert [found.id for found in services.results.list(project="OPS")] == [second.id]
    assert len(services.results.list(run="RUN1", limit=2)) == 2
    assert services.results.list(run="other") == []


def test_action_items_become_issues_once(services, acting):
    saved = services.results.save(ResultDraft(title="Report", action_items=("Mend the export\nsoon", "Tell customers " + "x" * 300)))
    (second,) = services.results.to_issues(saved.id, items=[1])
    assert (second.key, second.kind, second.run_id, len(second.title)) == ("DEMO-1", "task", "RUN1", 200)
    first, same = services.results.to_issues(saved.id)
    assert (first.key, first.title, same.key) == ("DEMO-2", "Mend the export soon", "DEMO-1")
    assert [issue.key for issue in services.results.issues(saved.id)] == ["DEMO-1", "DEMO-2"]
    assert [issue.origin for issue in (first, same)] == [saved.item_origin(0), saved.item_origin(1)]
    with pytest.raises(InvalidInput, match="no action item 2"):
        services.results.to_issues(saved.id, items=[2])
    with pytest.raises(InvalidInput, match="can't be a project's key"):
        services.results.to_issues(saved.id, project="nonsense")
    alone = _services(services.store, Actor(name="amal")).results
    token = acting_run.set(None)
    try:
        note = alone.save(ResultDraft(title="Note", action_items=("Mend it",)))
    finally:
        acting_run.reset(token)
    with pytest.raises(InvalidInput, match="belongs to no project"):
        alone.to_issues(note.id)


def test_rating_counts_a_version_up_and_is_bounded(services):
    saved = services.results.save(ResultDraft(title="Report"))
    rated = services.results.rate(saved.id, 4)
    assert (rated.rating, rated.version) == (4, 2)
    with pytest.raises(InvalidInput):
        services.results.rate(saved.id, 6)
    with pytest.raises(UnknownName):
        services.results.rate("nothing", 3)


def test_comments_are_kept_with_their_author_the_newest_last(services):
    saved, other = (services.results.save(ResultDraft(title=title)) for title in ("Report", "Other"))
    first = services.results.comment(saved.id, "  Is the export\nreally broken? \x00\x1b[31m\ud800 ب ")
    assert (first.result_id, first.user_name, first.text) == (saved.id, "amal", "Is the export\nreally broken? \ufffd\ufffd[31m? ب")
    second = _services(services.store, Actor(name="badr")).results.comment(saved.id, "Yes")
    assert services.results.comments(saved.id) == [first, second]
    assert services.results.comments(saved.id, limit=1) == [second]
    assert services.results.comments(other.id) == []
    assert services.results.get(saved.id).version == 1


def test_a_comment_that_says_nothing_too_much_or_is_on_nothing_is_refused(services):
    saved = services.results.save(ResultDraft(title="Report"))
    with pytest.raises(InvalidInput, match="the comment is empty"):
        services.results.comment(saved.id, " \n")
    with pytest.raises(InvalidInput, match="at most 4,000"):
        services.results.comment(saved.id, "x" * 4001)
    for said in (lambda: services.results.comment("nothing", "x"), lambda: services.results.comments("nothing")):
        with pytest.raises(UnknownName):
            said()
    assert services.results.comments(saved.id) == []
    with pytest.raises(NotAllowed, match=r"results\.write"):
        _services(services.store, Actor(name="stranger", role="nobody")).results.comment(saved.id, "x")


def test_a_comment_repeated_under_its_id_is_one(services):
    saved = services.results.save(ResultDraft(title="Report"))
    token = request_id.set("the-client-made-id")
    try:
        assert services.results.comment(saved.id, "once") == services.results.comment(saved.id, "once")
    finally:
        request_id.reset(token)
    assert len(services.results.comments(saved.id)) == 1


def test_a_project_is_made_once_and_keeps_its_name(services):
    made = services.projects.ensure("DEMO", name="Demonstration")
    assert services.projects.ensure("DEMO", name="Another").name == "Demonstration"
    assert services.projects.list() == [made]
    assert services.projects.get("DEMO") == made


@pytest.mark.parametrize("key", ["demo", "D", "1AB", "TOOLONGAKEY", "A B"])
def test_a_bad_project_key_is_refused(services, key):
    with pytest.raises(InvalidInput, match="capital letters"):
        services.projects.ensure(key)


def test_unknown_names_come_with_the_nearest(services):
    services.projects.ensure("DEMO")
    services.issues.create("DEMO", [IssueDraft(title="one")])
    with pytest.raises(UnknownName, match="did you mean 'DEMO'"):
        services.projects.get("DEMI")
    with pytest.raises(UnknownName, match="did you mean 'DEMO'"):
        services.issues.create("DEMOO", [IssueDraft(title="x")])
    with pytest.raises(UnknownName, match="did you mean 'DEMO-1'"):
        services.issues.get("DEMO-2")
    with pytest.raises(UnknownName, match="did you mean 'done'"):
        services.issues.move("DEMO-1", "don", version=1)


def test_issues_are_numbered_without_gaps_by_8_writers(services):
    services.projects.ensure("DEMO")

    def write(writer):
        for turn in range(5):
            services.issues.create("DEMO", [IssueDraft(title=f"{writer}.{turn}.{part}") for part in range(2)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    numbers = sorted(int(issue.key.split("-")[1]) for issue in services.issues.list(limit=1000))
    assert numbers == list(range(1, 81))


def test_an_origin_gives_one_issue_in_its_project(services, acting):
    services.projects.ensure("DEMO")
    services.projects.ensure("OPS")
    draft = IssueDraft(title="Login fails", labels=("login", "دخول"), priority="highest", origin="R-001")
    first, again, other = services.issues.create("DEMO", [draft, draft, IssueDraft(title="Other", origin="R-002")])
    assert first == again
    assert (first.key, other.key, first.run_id) == ("DEMO-1", "DEMO-2", "RUN1")
    assert services.issues.create("DEMO", [draft]) == [first]
    assert services.issues.create("OPS", [draft])[0].key == "OPS-1"
    assert services.issues.get("DEMO-1") == first
    assert [issue.key for issue in services.issues.list(project="DEMO")] == ["DEMO-2", "DEMO-1"]


def test_one_origin_created_at_once_by_many_is_one_issue(services):
    services.projects.ensure("DEMO")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: services.issues.create("DEMO", [IssueDraft(title="x", origin="R-1")])[0].key, range(16)))
    assert set(made) == {"DEMO-1"}


def test_issues_without_origin_are_never_merged(services):
    services.projects.ensure("DEMO")
    assert [issue.key for issue in services.issues.create("DEMO", [IssueDraft(title="x"), IssueDraft(title="x")])] == ["DEMO-1", "DEMO-2"]


def test_a_stale_move_is_told_so(services):
    services.projects.ensure("DEMO")
    (issue,) = services.issues.create("DEMO", [IssueDraft(title="x")])
    moved = services.issues.move(issue.key, "in progress", version=1)
    assert (moved.state, moved.version) == ("in progress", 2)
    assert moved.updated_at >= issue.created_at
    with pytest.raises(StaleWrite, match="version 1, it is now 2"):
        services.issues.move(issue.key, "done", version=1)
    assert services.issues.get(issue.key) == moved
    assert services.issues.list(state="in progress") == [moved]


def test_a_change_repeated_under_its_id_happens_once(services):
    token = request_id.set("the-client-made-id")
    try:
        first = services.results.save(ResultDraft(title="Report", action_items=("a",)))
        again = services.results.save(ResultDraft(title="Report", action_items=("a",)))
    finally:
        request_id.reset(token)
    assert first == again
    assert len(services.results.list()) == 1


def test_nobody_without_the_permission_reads_or_writes(store):
    stranger = _services(store, Actor(name="stranger", role="nobody"))
    with pytest.raises(NotAllowed, match=r"results\.write"):
        stranger.results.save(ResultDraft(title="Report"))
    with pytest.raises(NotAllowed, match=r"projects\.read"):
        stranger.issues.list()


def test_the_views_hold_what_people_query(store, services, acting):
    services.projects.ensure("DEMO")
    services.issues.create("DEMO", [IssueDraft(title="x", origin="R-1")])
    services.results.save(ResultDraft(title="Report"))
    (issue,) = store.fetch("select key, number, state, kind from issues")
    assert issue == {"key": "DEMO-1", "number": 1, "state": "open", "kind": "bug"}
    (result,) = store.fetch("select title, run_id, workflow, offline from results")
    assert result == {"title": "Report", "run_id": "RUN1", "workflow": "triage_bugs", "offline": False}
