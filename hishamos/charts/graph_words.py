"""A graph as Mermaid text, and in lines of plain text."""

from __future__ import annotations

from hishamos.charts.boxes import failure_words, part_words, progress_words, state_words
from hishamos.charts.formats import state_label
from hishamos.records.pictures import Graph, GraphStep

_CLASSES = {
    "succeeded": "stroke:#0F9488,stroke-width:2px",
    "failed": "stroke:#DC2626,stroke-width:2px",
    "timed_out": "stroke:#DC2626,stroke-width:2px",
    "running": "stroke:#3B82F6,stroke-width:2px",
    "waiting": "stroke:#D97706,stroke-width:2px",
    "paused": "stroke:#D97706,stroke-width:2px",
}


def graph_mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart, which GitHub, GitLab and JupyterLab draw."""
    names = {step.id: f"s{number}" for number, step in enumerate(graph.steps)}
    lines = ["flowchart TB"]
    for step in graph.steps:
        opening, closing = ("[[", "]]") if step.many else ("{{", "}}") if step.type == "switch" else ("[", "]")
        state = f":::{step.state}" if step.state in _CLASSES else ""
        lines.append(f'    {names[step.id]}{opening}"{"<br/>".join(map(_quoted, _box(step)))}"{closing}{state}')
    for step in graph.steps:
        lines += [f"    {names[name]} --> {names[step.id]}" for name in step.after if name in names]
        if step.goto in names:
            lines.append(f'    {names[step.id]} -. "{_quoted(failure_words(step))}" .-> {names[step.goto]}')
    used = dict.fromkeys(step.state for step in graph.steps if step.state in _CLASSES)
    lines += [f"    classDef {state} {_CLASSES[state]}" for state in used if state]
    if graph.offline:
        lines.append(f'    offline["{_quoted(state_label("offline"))}"]')
    return "\n".join(lines) + "\n"


def graph_text(graph: Graph) -> str:
    """Return the graph as lines of text: steps that may be at work at once stand beside one bracket, then what each comes after."""
    layers: dict[str, int] = {}
    for _ in graph.steps:
        for step in graph.steps:
            layers[step.id] = max((layers.get(name, -1) + 1 for name in step.after), default=0)
    ordered = sorted(graph.steps, key=lambda step: layers[step.id])
    widest = min(28, max(len(step.id) for step in ordered))
    lines = []
    for number, step in enumerate(ordered):
        before = number > 0 and layers[ordered[number - 1].id] == layers[step.id]
        behind = number + 1 < len(ordered) and layers[ordered[number + 1].id] == layers[step.id]
        rail = "┌├└─"[0 if behind and not before else 1 if behind else 2 if before else 3]
        lines.append(f"{rail} {step.id.ljust(widest)}  {_line(step)}".rstrip())
        told = [step.description] if step.description and step.state is None else []
        lines += [f"{'│' if behind else ' '} {' ' * widest}    {part}" for part in [*told, *_below(step)]]
    if graph.offline:
        lines.append(state_label("offline"))
    return "\n".join(lines) + "\n"


def graph_sentence(graph: Graph) -> str:
    """Return the graph in one sentence, for those who can't see its picture."""
    steps = "; ".join(f"{step.id} {state_words(step)} {progress_words(step)}".rstrip() if step.state else f"{step.id} ({step.type})" for step in graph.steps)
    head = f"Run of {graph.name}, {graph.state}" if graph.run else f"Workflow {graph.name}"
    return f"{head}: {steps}" + (f". {state_label('offline')}" if graph.offline else "")


def _box(step: GraphStep) -> list[str]:
    found = [f"{step.id} {progress_words(step)}".rstrip(), f"{step.type} {step.subject}".rstrip()]
    if step.state is not None:
        found.append(f"{state_label(step.state).partition(' ')[0]} {state_words(step)}")
    return [*found, *_below(step)]


def _below(step: GraphStep) -> list[str]:
    found = [f"if {step.when}"] if step.when is not None else []
    if step.lenient:
        found.append(failure_words(step))
    return found + [part_words(part) + (f" {state_label(part.state)}" if part.state else "") for part in step.parts]


def _line(step: GraphStep) -> str:
    words = [f"{state_label(step.state).partition(' ')[0]} {state_words(step)}", progress_words(step)] if step.state else []
    words.append(f"{step.type} {step.subject}".rstrip())
    if step.after:
        words.append(f"← {', '.join(step.after)}")
    if step.goto is not None:
        words.append(f"{failure_words(step)} ⇢ {step.goto}")
    return "  ".join(word for word in words if word)


def _quoted(text: str) -> str:
    """Return a text that is nothing but text within Mermaid's quotes; line breaks and control characters become spaces."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return "".join(f"#{ord(character)};" if character in '"#<>&`\\' else character for character in plain)
