"""Files in runs: who may choose them, that they are looked at once, and what a resumed run sends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hishamos.contracts.journal import Pinned
from hishamos.engine.outside import Outside
from hishamos.errors import InvalidDefinition
from hishamos.records.configuration import Settings
from hishamos.records.definitions import CommandDefinition, Parameter, WorkflowDefinition
from hishamos.records.runs import RunState
from hishamos.services.catalog import Catalog
from tests.rigs.pictures import image, pdf, put
from tests.rigs.run_bench import AGENT, Bench

SEE = CommandDefinition(
    name="see",
    description="Looks.",
    template="Look at {{ photo }}.",
    attach=("photo",),
    parameters={"photo": Parameter(type="file"), "note": Parameter(default="")},
)
STEP = {"id": "look", "type": "command", "with": {"command": "see", "inputs": {"photo": "{{ inputs.photo }}"}}}


@pytest.fixture
def root(tmp_path: Path, bench: Bench) -> Path:
    folder = tmp_path / "workspace"
    (folder / "data" / "local").mkdir(parents=True)
    bench.outside = Outside(lambda: Settings(root=str(folder)), lambda _: None, None)  # type: ignore[arg-type]  # no programs
    return folder


def inserted(bench: Bench, inputs: dict, *steps: dict) -> str:
    workflow = WorkflowDefinition.model_validate(
        {
            "name": "flow",
            "description": "A test.",
            "inputs": {"photo": {"type": "file", "default": None}, "said": {"default": ""}},
            "steps": list(steps) or [STEP],
        }
    )
    return bench._insert(Pinned(workflow=workflow, commands={"see": SEE}, agents={"helper": AGENT}), {"photo": None, "said": "", **inputs})


def sent(bench: Bench) -> list:
    return [bench.models.requests[key] for key in bench.models.sent]


def test_the_runs_own_file_may_lie_anywhere(bench: Bench, root: Path, tmp_path: Path):
    path = put(tmp_path, "a.png", image())
    run = bench.work(inserted(bench, {"photo": str(path)}))
    assert run.state is RunState.SUCCEEDED
    (request,) = sent(bench)
    assert request.messages[0].content == "Look at a.png.", "the path stays at home"
    assert [(file.path, file.media) for file in request.files] == [(str(path), "image/png")]


def test_an_optional_file_may_be_left_out(bench: Bench, root: Path):
    see = SEE.model_copy(update={"parameters": {"photo": Parameter(type="file", default=None)}, "template": "{{ photo or 'nothing' }}"})
    workflow = WorkflowDefinition.model_validate({"name": "f", "description": "A test.", "steps": [{**STEP, "with": {"command": "see"}}]})
    run = bench.work(bench._insert(Pinned(workflow=workflow, commands={"see": see}), {}))
    assert (run.state, run.error) == (RunState.SUCCEEDED, None)
    assert (sent(bench)[0].files, sent(bench)[0].messages[0].content) == ((), "nothing")


@pytest.mark.parametrize("name", ["../outside.png", "data/local/kept.png", ".hidden/a.png", "link.png"])
@pytest.mark.parametrize("kind", ["command", "agent"])
def test_what_nobody_chose_is_not_read(bench: Bench, root: Path, tmp_path: Path, name: str, kind: str):
    """A path that a model or a document gave: outside of the workspace, in what HishamOS keeps for itself, hidden, or behind a link."""
    put(tmp_path, "outside.png", image())
    put(root / "data" / "local", "kept.png", image())
    (root / ".hidden").mkdir()
    put(root / ".hidden", "a.png", image())
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    chosen = "{{ inputs.said }}"
    steps = {
        "command": {**STEP, "with": {"command": "see", "inputs": {"photo": chosen}}},
        "agent": {"id": "look", "type": "agent", "with": {"agent": "helper", "task": "Look", "files": [chosen]}},
    }
    for path in (name, str(root / name)):
        run = bench.work(inserted(bench, {"said": path}, steps[kind]))
        assert run.state is RunState.FAILED
        assert "is no input of the run, and not inside the workspace" in str(run.error)
    assert sent(bench) == []


def test_what_lies_in_the_workspace_may_be_named_by_a_step(bench: Bench, root: Path):
    (root / "scans").mkdir()
    put(root / "scans", "a.pdf", pdf(2))
    run = bench.work(inserted(bench, {"said": "scans/a.pdf"}, {**STEP, "with": {"command": "see", "inputs": {"photo": "{{ inputs.said }}"}}}))
    assert run.state is RunState.SUCCEEDED
    assert [(file.path, file.pages) for file in sent(bench)[0].files] == [(str(root / "scans" / "a.pdf"), 2)]


def test_an_agent_step_takes_files(bench: Bench, root: Path, tmp_path: Path):
    photo = put(tmp_path, "a.png", image())
    step = {"id": "look", "type": "agent", "with": {"agent": "helper", "task": "Look", "files": ["{{ inputs.photo }}"]}}
    assert bench.work(inserted(bench, {"photo": str(photo)}, step)).state is RunState.SUCCEEDED
    assert [file.name for file in sent(bench)[0].messages[-1].files] == ["a.png"]


def test_a_broken_file_fails_its_step_with_its_name(bench: Bench, root: Path, tmp_path: Path):
    run = bench.work(inserted(bench, {"photo": str(put(tmp_path, "cut.png", image()[:-20]))}))
    assert run.state is RunState.FAILED
    assert "cut.png" in str(run.error)
    assert sent(bench) == []


def test_a_resumed_run_sends_the_file_that_it_had_looked_at(bench: Bench, root: Path, tmp_path: Path):
    """The process dies while the model answers; the file changes. The same request is found again under its key, and paid once."""
    path = put(tmp_path, "a.png", image())
    bench.models.hold = True
    identity = inserted(bench, {"photo": str(path)})
    dead = bench.process()
    dead.begin(identity)
    end = time.monotonic() + 20
    while not bench.models.open_keys and time.monotonic() < end:
        time.sleep(0.01)
    dead.close()
    path.write_bytes(image(colour="blue"))
    bench.models.hold = False
    bench.models.release()
    assert bench.work(identity).state is RunState.SUCCEEDED
    assert len(bench.models.sent) == 1


def test_rows_are_known_by_the_content_of_their_files(bench: Bench, root: Path, tmp_path: Path):
    first, same, other = (str(put(tmp_path, name, data)) for name, data in (("a.png", image()), ("b.png", image()), ("c.png", image(colour="blue"))))
    look = SEE.model_copy(update={"template": "Look."})
    rows = [{"photo": first}, {"photo": same}, {"photo": other}, {"photo": str(tmp_path / "gone.png")}, {"photo": str(put(tmp_path, "e.png", b""))}]
    identity = bench.insert_map(rows, command=look)
    bench.work(identity)
    ended = bench.journal.history.map_rows(identity, after=-1, limit=10)
    assert [row.status for row in ended] == ["succeeded"] * 3 + ["failed"] * 2
    assert "gone.png" in ended[3].error
    assert "is empty" in ended[4].error
    assert len(bench.models.sent) == 2, "equal content is paid once"
    put(tmp_path, "c.png", image(colour="green"))
    again = bench.insert_map(rows[:3], command=look)
    bench.work(again)
    assert [row.reused for row in bench.journal.history.map_rows(again, after=-1, limit=10)] == [True, True, False]
    assert len(bench.models.sent) == 3


def test_a_child_run_takes_no_file_that_nobody_chose(bench: Bench, root: Path, tmp_path: Path):
    secret = put(tmp_path, "secret.txt", b"secret")
    child = WorkflowDefinition.model_validate({"name": "child", "description": "A test.", "inputs": {"photo": {"type": "file"}}, "steps": [STEP]})
    step = {"id": "go", "type": "workflow", "with": {"workflow": "child", "inputs": {"photo": "{{ inputs.said }}"}}}
    parent = WorkflowDefinition.model_validate({"name": "flow", "description": "A test.", "inputs": {"said": {}}, "steps": [step]})
    run = bench.work(bench._insert(Pinned(workflow=parent, workflows={"child": child}, commands={"see": SEE}), {"said": str(secret)}))
    assert run.state is RunState.FAILED
    assert "is no input of the run" in str(run.error)


@pytest.mark.parametrize(("attach", "words"), [("[phto]", "unknown parameter 'phto'; did you mean 'photo'"), ("[note]", "the parameter 'note' is no file")])
def test_a_command_that_can_attach_nothing_is_refused(tmp_path: Path, attach: str, words: str):
    (tmp_path / "commands").mkdir()
    text = f"name: see\ndescription: Looks.\ntemplate: Look.\nparameters: {{photo: {{type: file}}, note: {{}}}}\nattach: {attach}\n"
    (tmp_path / "commands" / "see.yaml").write_text(text)
    with pytest.raises(InvalidDefinition, match=words):
        Catalog(tmp_path).command("see")
