"""``hishamos demo``: the whole of it once, on sample reports, offline unless a model is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from hishamos.records.runs import Run
    from hishamos.workspace import Workspace

OFFLINE = "offline/extractive"
WORKFLOW = "triage_bugs"
PROJECT = "DEMO"
NOTEBOOK = "tour.ipynb"


@click.command("demo", cls=Verb)
@click.option("--model", metavar="NAME", help=f"A model, route or policy; left out, {OFFLINE}, which needs no key and no network.")
@pass_face
def demo_verb(face: Face, *, model: str | None) -> None:
    """Triage the sample bug reports, as a run and as an executed notebook, and show what came out.

    It publishes without asking (publish=yes): the report becomes a result, the faults become issues of the project DEMO.
    """
    import hishamos
    from hishamos.cli.running import finish, watched

    asked = model or OFFLINE
    with face.open() as workspace:
        face.say(f"Workspace {workspace.root}. Model {asked}{' (no network, not a real answer)' if asked == OFFLINE else ''}.")
        face.say(f"publish=yes was passed: the report and the issues of project {PROJECT} are saved without asking.")
        inputs = {"file": hishamos.sample("bugs.csv"), "project": PROJECT, "publish": "yes"}
        run = watched(face, workspace, workspace.workflows.start(WORKFLOW, inputs, model=model or OFFLINE), cancel=True)
        if run.state != "succeeded":
            finish(face, workspace, run)
        report = _report(workspace, run)
        notebook, path = _notebook(face, workspace, asked)
        document = _document(workspace, run, notebook, report, path)
        face.show(document, lambda: _parts(document, run, notebook))
    if notebook.state != "succeeded":
        face.complain(f"The notebook failed. See: hishamos show {notebook.id}")
        raise FinishedWith(1)


def _report(workspace: Workspace, run: Run) -> Path:
    """Write the result's text as a Markdown file and return its path."""
    result = workspace.results.get(run.outputs["result"])
    folder = Path(workspace.root) / "data" / "local" / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{WORKFLOW}-{run.id}.md"
    label = "> Made with the offline model: not a real answer.\n\n" if run.offline else ""
    file.write_text(f"# {result.title}\n\n{label}{result.body}", encoding="utf-8")
    return file


def _notebook(face: Face, workspace: Workspace, model: str) -> tuple[Run, str | None]:
    """Execute the shipped notebook and return its run and the executed notebook's path."""
    from hishamos.cli.running import watched
    from hishamos.opening import shipped

    run = workspace.batch.start(str(shipped("notebooks") / NOTEBOOK), [{"model": model}], jobs=1, fresh=True)
    run = watched(face, workspace, run, cancel=True)
    return run, workspace.batch.rows(run.id)[0].output_path


def _document(workspace: Workspace, run: Run, notebook: Run, report: Path, executed: str | None) -> dict[str, Any]:
    from hishamos.records.record import usd

    # The notebook starts runs of its own: what was spent is everything since the demo's first run.
    spent = workspace.ledger.spend(by="provider", since=run.created_at).sum(numeric_only=True)
    return {
        "workspace": workspace.root,
        "model": run.model,
        "offline": run.offline,
        "publish": "yes",
        "run": run.id,
        "state": run.state,
        "overview": run.outputs["overview"],
        "top": run.outputs["top"],
        "issues": run.outputs["issues"],
        "result": run.outputs["result"],
        "cost_nanos": int(spent["cost_nanos"]),
        "cost_usd": usd(int(spent["cost_nanos"])),
        "attempts": int(spent["attempts"]),
        "unpriced": int(spent["unpriced"]),
        "report": str(report),
        "notebook_run": notebook.id,
        "notebook": executed,
        "next": [
            "hishamos console",
            "hishamos lab",
            f"hishamos run {WORKFLOW} -i file=YOUR.csv --model {run.model}",
            "hishamos doctor",
        ],
    }


def _parts(document: dict[str, Any], run: Run, notebook: Run) -> list[Any]:
    from rich.text import Text

    from hishamos.charts.formats import count, state_label
    from hishamos.cli.tables import spend
    from hishamos.cli.watching import outcome

    lines = ["", outcome(run), str(document["overview"]), "", "Fix first:"]
    for place, pick in enumerate(document["top"], 1):
        lines += [f"  {place}. {pick['id']}  {pick['title']}  ({pick['severity']}, {pick['component']})", f"     {pick['reason']}"]
    money = spend(document["cost_nanos"], document["unpriced"], offline=document["offline"])
    lines += ["", f"Spend     {money}, {count(document['attempts'])} attempts"]
    lines += [f"          {state_label('offline')}"] if document["offline"] else []
    lines += [
        f"Report    {document['report']}",
        f"Notebook  {document['notebook'] or state_label(notebook.state)}",
        f"Issues    {count(len(document['issues']))} in project {PROJECT}: hishamos issues --project {PROJECT}",
        "",
        "Next",
    ]
    following = [
        ("hishamos console", "this run in the browser"),
        ("hishamos lab", "notebooks"),
        (f"hishamos run {WORKFLOW} -i file=YOUR.csv --model {document['model']}", "your own reports: id,title,body"),
        ("export OPENAI_API_KEY=…; hishamos demo --model default", "with your key (or ANTHROPIC_API_KEY, GEMINI_API_KEY)"),
    ]
    width = max(len(line) for line, _ in following)
    lines += [f"  {line.ljust(width)}   {why}" for line, why in following]
    return [Text("\n".join(lines))]
