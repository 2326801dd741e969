"""Verbs that list definitions and what came out: commands, agents, workflows, results, projects, issues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from hishamos.cli.face import Face, pass_face
from hishamos.cli.picturing import draw_picture, picture_option
from hishamos.cli.verbs import Verb

if TYPE_CHECKING:
    from hishamos.records.command_versions import CommandRating
    from hishamos.records.definitions import Definition, Parameter


@click.command("commands", cls=Verb)
@click.argument("name", required=False)
@click.option("--category", metavar="NAME", help="Only this category.")
@click.option("--search", metavar="TEXT", help="Only those that mention this.")
@click.option("--favour/--no-favour", default=None, help="Make NAME one of your favourites, or no longer.")
@click.option("--rate", type=click.IntRange(1, 5), metavar="1-5", help="Rate NAME as it is now.")
@click.option("--comment", default="", metavar="TEXT", help="Why; kept with the rating.")
@pass_face
def commands_verb(face: Face, *, name: str | None, category: str | None, search: str | None, favour: bool | None, rate: int | None, comment: str) -> None:
    """List commands, or show one with how it was rated."""
    from hishamos.cli.documents import plain

    if name is None and (favour is not None or rate is not None):
        raise click.UsageError("Which command? --favour and --rate are about one.")
    if comment and rate is None:
        raise click.UsageError("How good is it, from 1 to 5? --comment goes with --rate.")
    with face.open() as workspace:
        if name is None:
            found = workspace.commands.list(category=category, search=search)
            _list(face, "Commands", found, "hishamos command NAME -i text=…")
            return
        if favour is not None:
            workspace.commands.favour(name, on=favour)
        if rate is not None:
            workspace.commands.rate(name, rate, comment=comment)
        one = workspace.commands.get(name)
        ratings, favourite = workspace.commands.ratings(one.name), one.name in workspace.commands.favourites()
        more = [("Model", one.model), ("Agent", one.agent), ("Cache", one.cache), ("Output", "JSON" if one.output else "text")]
        more += [("Rated", _rated(one.version, ratings)), ("Favourite", "★ yours" if favourite else None)]
        data = {**plain(one), "favourite": favourite, "ratings": plain(ratings)}
        _one(face, one, one.parameters, more, then=f"hishamos command {one.name}{_typed(one.parameters)}", body=one.template, data=data)


@click.command("agents", cls=Verb)
@click.argument("name", required=False)
@click.option("--capability", metavar="NAME", help="Only agents that can do this.")
@pass_face
def agents_verb(face: Face, *, name: str | None, capability: str | None) -> None:
    """List agents, or show one."""
    with face.open() as workspace:
        if name is None:
            _list(face, "Agents", workspace.agents.list(capability=capability), "hishamos ask NAME TEXT")
            return
        one = workspace.agents.get(name)
        more = [("Model", one.model), ("Capabilities", ", ".join(one.capabilities)), ("Tools", ", ".join(one.tools)), ("Turns", one.limits.turns)]
        _one(face, one, {}, more, then=f'hishamos ask {one.name} "…"', body=one.instructions)


@click.command("workflows", cls=Verb)
@click.argument("name", required=False)
@picture_option
@pass_face
def workflows_verb(face: Face, *, name: str | None, picture: str | None) -> None:
    """List workflows, or show one."""
    with face.open() as workspace:
        if name is None and picture is not None:
            raise click.UsageError("Which workflow? --picture draws one.")
        if name is None:
            _list(face, "Workflows", workspace.workflows.list(), "hishamos run NAME -i key=value")
            return
        if picture is not None:
            draw_picture(face, picture, partial(workspace.workflows.picture, name))
            return
        one = workspace.workflows.get(name)
        steps = "" if face.json else workspace.workflows.picture(one.name, format="text").text
        _one(face, one, one.inputs, [], then=f"hishamos run {one.name}{_typed(one.inputs)}", body=steps)


@click.command("results", cls=Verb)
@click.argument("result", required=False)
@click.option("--run", metavar="RUN", help="Only results of this run.")
@click.option("--project", metavar="KEY", help="Only results of this project.")
@click.option("--search", metavar="TEXT", help="Only those whose title, summary or body mention this.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="At most so many.")
@click.option("--comment", metavar="TEXT", help="Say this of RESULT, before it is shown.")
@pass_face
def results_verb(face: Face, *, result: str | None, run: str | None, project: str | None, search: str | None, limit: int, comment: str | None) -> None:
    """List results, newest first, or show one with what people said of it."""
    from hishamos.cli.documents import plain
    from hishamos.cli.tables import comments_table, facts, results_table, state

    if result is None and comment is not None:
        raise click.UsageError("Which result? --comment says something of one.")
    with face.open() as workspace:
        if result is None:
            found = workspace.results.list(run=workspace.runs.get(run).id if run else None, project=project, search=search, limit=limit)
            then = f"Next: hishamos results {found[0].id}" if found else ""
            face.show(found, lambda: (results_table(found),) if found else ("No results yet. Make one: hishamos demo",), then=then)
            return
        if comment is not None:
            workspace.results.comment(result, comment)
        one, comments = workspace.results.get(result), workspace.results.comments(result)
        head = facts(
            [
                ("Result", one.id),
                ("Title", one.title),
                ("Summary", one.summary),
                ("Run", one.run_words),
                ("Project", one.project),
                ("Answers", state("offline") if one.offline else None),
                ("To do", "\n".join(one.action_items)),
            ]
        )
        said = ("", comments_table(comments)) if comments else ()
        face.show({**plain(one), "comments": plain(comments)}, lambda: (head, "", _literal(one.body), *said))


@click.command("projects", cls=Verb)
@pass_face
def projects_verb(face: Face) -> None:
    """List projects."""
    from hishamos.charts.formats import clock
    from hishamos.cli.tables import table

    with face.open() as workspace:
        found = workspace.projects.list()
        rows = [(one.key, one.name, clock(one.created_at)) for one in found]
        empty = "No projects yet. A workflow that files issues makes one: hishamos demo"
        face.show(found, lambda: (table("Projects", ("Key", "Name", "Made (UTC)"), rows),) if found else (empty,))


@click.command("issues", cls=Verb)
@click.argument("key", required=False)
@click.option("--project", metavar="KEY", help="Only issues of this project.")
@click.option("--state", type=click.Choice(("open", "in progress", "done")), help="Only issues in this state.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many.")
@pass_face
def issues_verb(face: Face, *, key: str | None, project: str | None, state: str | None, limit: int) -> None:
    """List issues, newest first, or show one."""
    from hishamos.cli.tables import facts, issues_table

    with face.open() as workspace:
        if key is None:
            found = workspace.issues.list(project=project, state=state, limit=limit)
            face.show(found, lambda: (issues_table(found),) if found else ("No issues.",))
            return
        one = workspace.issues.get(key)
        pairs = [("Issue", one.key), ("Title", one.title), ("State", one.state), ("Kind", one.kind), ("Priority", one.priority)]
        head = facts([*pairs, ("Labels", ", ".join(one.labels)), ("Origin", one.origin), ("Run", one.run_id)])
        face.show(one, lambda: (head, "", _literal(one.body)))


def _list(face: Face, title: str, found: Sequence[Definition], then: str) -> None:
    from hishamos.cli.tables import table

    rows = [(one.name, one.description, one.version, one.source or "") for one in found]
    face.show(found, lambda: (table(title, ("Name", "Description", "Version", "From"), rows),), then=f"Next: {then}")


def _one(face: Face, one: Definition, parameters: Mapping[str, Parameter], more: Sequence[tuple[str, Any]], *, then: str, body: str, data: Any = None) -> None:
    from hishamos.cli.tables import facts, table

    head = facts([("Name", one.name), ("Version", one.version), ("Description", one.description), *more, ("From", one.source)])
    rows = [(name, each.type, "required" if each.required else _default(each), each.description) for name, each in parameters.items()]
    inputs = ("", table("Inputs", ("Input", "Type", "Default", "Description"), rows)) if rows else ()
    face.show(data or one, lambda: (head, *inputs, "", _literal(body)), then=f"Next: {then}")


def _rated(version: str, ratings: Sequence[CommandRating]) -> str:
    from hishamos.charts.formats import some
    from hishamos.records.command_versions import mean_rating

    of_now = [one for one in ratings if one.version == version]
    mean = mean_rating(of_now)
    return "" if mean is None else f"{mean:.1f} of 5 ({some(len(of_now), 'rating')})"


def _default(parameter: Parameter) -> str:
    return "" if parameter.default is None else str(parameter.default)


def _typed(parameters: Mapping[str, Parameter]) -> str:
    return "".join(f" -i {name}=…" for name, parameter in parameters.items() if parameter.required)


def _literal(text: str) -> Any:
    from rich.text import Text

    return Text(text)
