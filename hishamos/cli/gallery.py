"""``hishamos gallery``: the tutorial notebooks, executed and put together as pages that anybody can read."""

from __future__ import annotations

import html
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import Face, FinishedWith, pass_face
from hishamos.cli.verbs import Verb
from hishamos.opening import shipped

if TYPE_CHECKING:
    from hishamos.records.batches import BatchRow
    from hishamos.workspace import Workspace

OFFLINE = "offline/extractive"
AT_ONCE = 2
FOLDER = Path("data") / "local" / "gallery"
NOTEBOOKS = (
    "tour", "commands_and_versions", "agents_and_tools", "workflows", "weekly_report", "dataframe_map", "batches", "costs_and_budgets", "operating",
)  # fmt: skip
"""In the order in which a newcomer reads them."""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>HishamOS notebooks</title></head>
<body style="font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color:#1C1B19;background:#FCFBF8">
<h1 style="font-size:1.7rem;font-weight:650">HishamOS notebooks</h1>
<p>Executed with {model}. Each page is plain HTML, and ends in its receipt.</p>
<ol style="padding-left:1.2rem">{items}</ol></body></html>
"""
ITEM = (
    '<li style="margin:0 0 .8rem"><a style="color:#0F766E;font-weight:600" href="{name}.html">{title}</a>'
    ' <span style="color:#6B6860">{state}</span><br>{words}</li>'
)


@click.command("gallery", cls=Verb)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--model", metavar="NAME", default=OFFLINE, show_default=True, help="A model, route or policy.")
@pass_face
def gallery_verb(face: Face, *, folder: Path | None, model: str) -> None:
    """Execute the tutorial notebooks and put them together as web pages, in FOLDER or data/local/gallery. A workspace of its own is used and removed."""
    from hishamos.charts.formats import state_label
    from hishamos.settings import find_root

    target = (folder or find_root(face.path) / FOLDER).absolute()
    target.mkdir(parents=True, exist_ok=True)
    rows = _executed(face, target, model)
    document = {"folder": str(target), "index": str(target / "index.html"), "model": model, "notebooks": rows}
    (target / "index.html").write_text(_index(rows, model), encoding="utf-8")
    lines = [f"{state_label(row['status'])}  {row['name']}  {row['error'] or ''}".rstrip() for row in rows]
    face.show(document, lambda: (*lines, "", f"Gallery   {target / 'index.html'}"))
    if any(row["status"] != "succeeded" for row in rows):
        raise FinishedWith(1)


def _executed(face: Face, target: Path, model: str) -> list[dict[str, Any]]:
    """Execute every notebook in a workspace that is gone afterwards, and keep the executed ones with their pages."""
    import hishamos
    from hishamos.remote.proxies import stop

    scratch = Path(tempfile.mkdtemp(prefix="hos-gallery-"))
    (scratch / "hishamos.toml").touch()
    try:
        with hishamos.open(scratch) as workspace:
            runs: list[str] = []
            found = []
            for place, name in enumerate(NOTEBOOKS):
                runs += [_started(workspace, other, model) for other in NOTEBOOKS[len(runs) : place + AT_ONCE]]
                workspace.runs.wait(runs[place])
                row = workspace.batch.rows(runs[place])[0]
                face.say(f"{name}  {row.status}")
                found.append(_kept(target, name, row))
            return found
    finally:
        stop(scratch)
        shutil.rmtree(scratch, ignore_errors=True)


def _started(workspace: Workspace, name: str, model: str) -> str:
    return workspace.batch.start(str(shipped("notebooks") / f"{name}.ipynb"), [{"model": model}], jobs=1, reuse=True).id


def _kept(target: Path, name: str, row: BatchRow) -> dict[str, Any]:
    facts = {"name": name, "status": row.status, "seconds": row.seconds, "cost_nanos": row.cost_nanos, "error": row.error, "notebook": None, "page": None}
    if row.output_path is None or not Path(row.output_path).is_file():
        return facts
    notebook, page = target / f"{name}.ipynb", target / f"{name}.html"
    shutil.copyfile(row.output_path, notebook)
    page.write_text(_page(notebook), encoding="utf-8")
    return {**facts, "notebook": str(notebook), "page": str(page)}


def _page(notebook: Path) -> str:
    """Return a notebook as a page that loads nothing and runs nothing: scripts of nbconvert's template are taken out."""
    from nbconvert import HTMLExporter

    made, _ = HTMLExporter(template_name="lab").from_filename(str(notebook))
    return re.sub(r"<script\b.*?</script>", "", made, flags=re.DOTALL)


def _index(rows: list[dict[str, Any]], model: str) -> str:
    from hishamos.charts.formats import state_label

    items = []
    for row in rows:
        title, words = _about(str(row["name"]))
        state = "" if row["status"] == "succeeded" else state_label(row["status"])
        items.append(ITEM.format(name=row["name"], title=html.escape(title), state=html.escape(state), words=html.escape(words)))
    return PAGE.format(model=html.escape(model), items="\n".join(items))


def _about(name: str) -> tuple[str, str]:
    """Return a notebook's title and the first sentence below it."""
    cell = json.loads((shipped("notebooks") / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"][0]
    first, _, rest = "".join(cell["source"]).partition("\n")
    words = re.sub(r"[*`]", "", " ".join(rest.split()))
    return first.lstrip("# "), words.partition(". ")[0].rstrip(".") + "."
