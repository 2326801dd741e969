"""Definitions with one mistake each, as they are written in files: refused with the line that is marked, and saved by nobody."""

from __future__ import annotations

import pytest

from hishamos.composition import open_in_process
from hishamos.errors import InvalidDefinition
from hishamos.services.catalog import Catalog

MARK = "#!"
ECHO = "name: echo\ndescription: Says it.\ntemplate: '{{ text }}'\nparameters:\n  text: {type: text}\n"
CHILD = "name: child\ndescription: d\ninputs: {n: {type: integer}}\nsteps: [{id: a, type: approval, with: {message: '{{ inputs.n }}'}}]\n"
PING = "name: ping\ndescription: d\nsteps: [{id: a, type: workflow, with: {workflow: pong}}]\n"
HEAD = "name: flow\ndescription: A test.\n"
A = "  - {id: a, type: command, with: {command: echo, inputs: {text: x}}}\n"


def steps(*lines: str) -> str:
    """A workflow whose step ``a`` is right, and then these lines."""
    return HEAD + "steps:\n" + A + "\n".join(f"  {line}" for line in lines) + "\n"


WORKFLOWS = {
    "a tab": ("name: flow\n#!\n\tdescription: d\n", "a tab stands where only spaces may"),
    "a key twice": (HEAD + "steps:\n  - id: a\n    type: wait\n    #!\n    type: wait\n", "the key 'type' stands here twice"),
    "a second document": (HEAD + "steps: []\n#!\n---\nname: x\n", "one definition"),
    "a text that needs quotes": ("#!\nname: a: b\n", "not valid YAML"),
    "aliases that grow": (
        "name: flow\ndescription: d\nsteps:\n  - &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"  - &{one} [{','.join([f'*{before}'] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)),
        "aliases counted as often as they are used",
    ),
    "an alias of itself": (HEAD + "steps: &s\n  - *s\n", "nested too deeply"),
    "an object of Python": (HEAD + "#!\nsteps: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
    "an unknown key": (HEAD + "#!\nstesp: []\nsteps:\n" + A, "did you mean 'steps'"),
    "an unknown key of a step": (steps("- id: b", "  type: wait", "  #!", "  afer: [a]", "  with: {seconds: 1}"), "did you mean 'after'"),
    "an unknown key under with": (steps("- id: b", "  type: wait", "  with:", "    #!", "    secnds: 1"), "did you mean 'seconds'"),
    "no id": (steps("#!", "- type: wait", "  with: {seconds: 1}"), "'id' is missing"),
    "no type": (steps("#!", "- id: b", "  with: {seconds: 1}"), "'type' is missing"),
    "an unknown type": (steps("- id: b", "  #!", "  type: wiat"), "did you mean 'wait'"),
    "an id twice": (steps("#!", "- id: a", "  type: wait", "  with: {seconds: 1}"), "used twice"),
    "an id that is a number": (steps("#!", "- id: 5", "  type: wait"), "has to be text"),
    "yes is a text": (HEAD + "inputs:\n  ask:\n    type: boolean\n    #!\n    default: yes\nsteps:\n" + A, "write true or false"),
    "a default of another type": (HEAD + "inputs:\n  n:\n    type: integer\n    #!\n    default: many\nsteps:\n" + A, "no whole number"),
    "an unknown type of input": (HEAD + "inputs:\n  n:\n    #!\n    type: integr\nsteps:\n" + A, "did you mean 'integer'"),
    "choices as one text": (HEAD + "inputs:\n  n:\n    type: choice\n    #!\n    choices: a\nsteps:\n" + A, "has to be a list"),
    "a case that is a number": (
        steps("- id: b", "  type: switch", "  with:", "    on: 1", "    cases:", "      #!", "      1: {type: wait, with: {seconds: 1}}"),
        "has to be text",
    ),
    "retry as a number": (steps("- id: b", "  type: wait", "  #!", "  retry: 3", "  with: {seconds: 1}"), "retry has to be a mapping"),
    "retry with a word": (steps("- id: b", "  type: wait", "  retry:", "    #!", "    attempts: three"), "whole number"),
    "retry without attempts": (steps("- id: b", "  type: wait", "  #!", "  retry: {backoff_s: 1}"), "'attempts' is missing"),
    "retry on no error": (steps("- id: b", "  type: wait", "  retry:", "    attempts: 2", "    #!", "    on: [Timeout]", "  with: {seconds: 1}"), "no error 'Timeout'"),
    "after as a text": (steps("- id: b", "  type: wait", "  #!", "  after: a", "  with: {seconds: 1}"), "after has to be a list"),
    "after an unknown step": (steps("- id: b", "  type: wait", "  #!", "  after: [aa]", "  with: {seconds: 1}"), "there is no step 'aa'; did you mean 'a'"),
    "a circle": (
        steps("- id: b", "  type: wait", "  #!", "  after: [c]", "  with: {seconds: 1}", "- {id: c, type: wait, after: [b], with: {seconds: 1}}"),
        "wait for each other",
    ),
    "a wait without end": (steps("- id: b", "  type: wait", "  #!", "  with: {}"), "give seconds, until or event"),
    "a wait with a limit": (steps("- id: b", "  type: wait", "  #!", "  timeout: 5", "  with: {seconds: 1}"), "has no time limit"),
    "a loop without a bound": (
        steps("- id: b", "  type: loop", "  #!", "  with: {until: 'previous', step: {type: wait, with: {seconds: 1}}}"),
        "until needs at_most",
    ),
    "a map without over": (steps("- id: b", "  type: map", "  #!", "  with: {step: {type: wait, with: {seconds: 1}}}"), "'over' is missing"),
    "a switch without cases": (steps("- id: b", "  type: switch", "  #!", "  with: {on: 1}"), "'cases' is missing"),
    "a step that never runs": (steps("- id: b", "  type: wait", "  #!", "  when: 1 == 2", "  with: {seconds: 1}"), "the step never runs"),
    "when with braces": (steps("- id: b", "  type: wait", "  #!", "  when: '{{ inputs }}'", "  with: {seconds: 1}"), "without braces"),
    "when that is no expression": (steps("- id: b", "  type: wait", "  #!", "  when: '5 >'", "  with: {seconds: 1}"), "unexpected"),
    "a step that is read too early": (
        steps("- id: b", "  type: approval", "  with:", "    #!", "    message: '{{ steps.a.output }}'"),
        "may not have ended before 'b'",
    ),
    "an unknown input": (steps("- id: b", "  type: approval", "  with:", "    #!", "    message: '{{ inputs.n }}'"), "there is no input 'n'"),
    "an unknown name in a block": (
        steps("- id: b", "  type: approval", "  with:", "    message: |", "      Dear all,", "", "      #!", "      {{ stepz.a.output }}"),
        "did you mean 'steps'",
    ),
    "a template's syntax in a block": (
        steps("- id: b", "  type: approval", "  with:", "    message: |", "      Dear all,", "      {% if x %}", "      #!", "      {{ 5 + }}"),
        "unexpected",
    ),
    "an unknown filter": (steps("- id: b", "  type: approval", "  with:", "    #!", "    message: '{{ 5 | sqare }}'"), "No filter named 'sqare'"),
    "a function of Python": (
        steps("- id: b", "  type: wait", "  after: [a]", "  #!", "  when: len(steps.a.output) > 2", "  with: {seconds: 1}"),
        "write it as a filter: VALUE | length",
    ),
    "an unknown command": (steps("- id: b", "  type: command", "  with:", "    #!", "    command: ekho"), "did you mean 'echo'"),
    "an unknown parameter": (steps("- id: b", "  type: command", "  with:", "    command: echo", "    inputs:", "      text: x", "      #!", "      txet: y"), "no parameter 'txet'"),
    "a parameter left out": (steps("- id: b", "  type: command", "  with:", "    command: echo", "    #!", "    inputs: {}"), "needs the parameter 'text'"),
    "an unknown agent": (steps("- id: b", "  type: agent", "  with:", "    task: x", "    #!", "    agent: bug-traige"), "did you mean 'bug-triage'"),
    "a schema that is none": (steps("- id: b", "  type: agent", "  with:", "    agent: bug-triage", "    task: x", "    #!", "    output: {type: txt}"), "no JSON Schema"),
    "an unknown workflow": (steps("- id: b", "  type: workflow", "  with:", "    #!", "    workflow: chidl"), "did you mean 'child'"),
    "a child's unknown input": (steps("- id: b", "  type: workflow", "  with:", "    workflow: child", "    inputs:", "      n: 1", "      #!", "      m: 2"), "no input 'm'"),
    "a child's input left out": (steps("- id: b", "  type: workflow", "  #!", "  with:", "    workflow: child"), "needs the input 'n'"),
    "workflows in a circle": (
        "name: pong\ndescription: d\nsteps:\n  - id: a\n    type: workflow\n    with:\n      #!\n      workflow: ping\n",
        "a workflow can't start itself",
    ),
    "a workflow in itself": ("name: me\ndescription: d\nsteps:\n  - id: a\n    type: workflow\n    with:\n      #!\n      workflow: me\n", "me → me"),
    "a program of the system": (steps("- id: b", "  type: python", "  with:", "    #!", "    function: os:system"), "'os:system'"),
    "eval": (steps("- id: b", "  type: python", "  with:", "    #!", "    function: builtins:eval"), "'builtins:eval'"),
    "a folder outside": (steps("- id: b", "  type: shell", "  with:", "    program: ls", "    #!", "    folder: ../secret"), "no path inside the workspace"),
    "a file outside": (steps("- id: b", "  type: sql", "  with:", "    #!", "    file: ../x.sql"), "no path inside the workspace"),
    "a link outside": (steps("- id: b", "  type: sql", "  with:", "    #!", "    file: link.sql"), "leads out of the workspace by a symbolic link"),
    "a notebook outside": (steps("- id: b", "  type: notebook", "  with:", "    #!", "    notebook: ../x.ipynb"), "no path inside the workspace"),
    "a notebook linked outside": (steps("- id: b", "  type: notebook", "  with:", "    #!", "    notebook: link.ipynb"), "by a symbolic link"),
    "a notebook that is not there": (steps("- id: b", "  type: notebook", "  with:", "    #!", "    notebook: x.ipynb"), "no notebook 'x.ipynb'"),
    "a notebook that is none": (steps("- id: b", "  type: notebook", "  with:", "    #!", "    notebook: commands/echo.yaml"), "does not end in .ipynb"),
    "an output outside": (
        steps("- id: b", "  type: notebook", "  with:", "    notebook: own.ipynb", "    #!", "    output: /tmp/x.ipynb"),
        "no path inside the workspace",
    ),
    "a file that is not there": (steps("- id: b", "  type: sql", "  with:", "    #!", "    file: none.sql"), "no file 'none.sql'"),
    "a header with a secret": (
        steps("- id: b", "  type: http", "  with:", "    url: https://x.example/", "    headers:", "      #!", "      Authorization: Bearer abc"),
        "holds a secret",
    ),
    "on_error that is none": (steps("- id: b", "  type: wait", "  #!", "  on_error: retry", "  with: {seconds: 1}"), "on_error is no 'retry'"),
    "goto nowhere": (steps("- id: b", "  type: wait", "  after: [a]", "  on_error:", "    #!", "    goto: z", "    at_most: 2", "  with: {seconds: 1}"), "no step 'z'"),
    "goto without a bound": (steps("- id: b", "  type: wait", "  after: [a]", "  #!", "  on_error: {goto: a}", "  with: {seconds: 1}"), "has no bound"),
    "goto over what is needed": (
        steps(
            "- id: b",
            "  type: wait",
            "  on_error:",
            "    #!",
            "    goto: d",
            "  with: {seconds: 1}",
            "- {id: c, type: command, after: [b], with: {command: echo, inputs: {text: x}}}",
            "- {id: d, type: approval, after: [c], with: {message: '{{ steps.c.output.summary }}'}}",
        ),
        "skips 'c', whose output 'd' reads",
    ),
    "a compensation that waits": (
        steps("- id: b", "  type: wait", "  compensate:", "    #!", "    type: wait", "    with: {seconds: 1}", "  with: {seconds: 1}"),
        "compensates nothing",
    ),
    "outputs of an unknown step": (steps() + "outputs:\n  one: '{{ steps.a.output }}'\n  #!\n  two: '{{ steps.b.output }}'\n", "there is no step 'b'"),
}  # fmt: skip

COMMANDS = {
    "a template's syntax": ("name: c\ndescription: d\nparameters: {text: {}}\ntemplate: |\n  Read this.\n  #!\n  {{ text | }}\n", "expected token"),
    "an unknown parameter in a template": ("name: c\ndescription: d\nparameters: {text: {}}\ntemplate: |\n  Read this.\n\n  #!\n  {{ txet }}\n", "did you mean 'text'"),
    "a parameter of no type": ("name: c\ndescription: d\nparameters:\n  text:\n    #!\n    type: txt\ntemplate: x\n", "did you mean 'text'"),
    "a schema that nothing satisfies": ("name: c\ndescription: d\ntemplate: x\n#!\noutput: {type: integer, minimum: 5, maximum: 3}\n", "no answer can satisfy"),
    "an unknown agent of a command": ("name: c\ndescription: d\ntemplate: x\n#!\nagent: nobody\n", "no agent named 'nobody'"),
}  # fmt: skip
AGENTS = {
    "an unknown tool": ("name: a\ndescription: d\ninstructions: x\ntools:\n  - echo\n  #!\n  - ehco\n", "did you mean 'echo'"),
    "a limit below nothing": ("name: a\ndescription: d\ninstructions: x\nlimits:\n  #!\n  turns: 0\n", "greater than 0"),
    "no instructions": ("#!\nname: a\ndescription: d\n", "'instructions' is missing"),
}
ALL = [(kind, *case) for kind, cases in (("workflow", WORKFLOWS), ("command", COMMANDS), ("agent", AGENTS)) for case in cases.items()]


@pytest.fixture
def root(tmp_path):
    for file, text in {"commands/echo.yaml": ECHO, "workflows/child.yaml": CHILD, "workflows/ping.yaml": PING}.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    (tmp_path / "link.sql").symlink_to("/etc/hostname")
    (tmp_path / "link.ipynb").symlink_to("/etc/hostname")
    (tmp_path / "own.ipynb").write_text("{}")
    return tmp_path


def unmarked(text: str) -> tuple[str, int | None]:
    """Return the text without its mark, and the number of the line that stood below the mark."""
    lines = text.split("\n")
    marks = [number for number, line in enumerate(lines, 1) if line.strip() == MARK]
    return "\n".join(line for line in lines if line.strip() != MARK), marks[0] if marks else None


@pytest.mark.parametrize(("kind", "case"), [(kind, (name, *found)) for kind, name, found in ALL], ids=[name for _, name, _ in ALL])
def test_a_mistake_is_refused_at_its_line(root, kind, case):
    text, line = unmarked(case[1])
    with pytest.raises(InvalidDefinition) as caught:
        Catalog(root).accepted(kind, text, "file.yaml")
    assert case[2] in str(caught.value)
    first = caught.value.mistakes[0]
    assert case[2] in first["problem"] + first["next"]
    if line is not None:
        assert (first["file"], first["line"]) == ("file.yaml", line)


def test_there_are_more_than_30_and_they_are_distinct():
    assert len({words for _, _, (_, words) in ALL}) > 55


def test_nothing_of_a_definition_with_a_mistake_is_saved(root):
    before = sorted(root.rglob("*.yaml"))
    with open_in_process(root) as ws:
        for kind, name, (text, _) in ALL:
            with pytest.raises(InvalidDefinition):
                getattr(ws, f"{kind}s").save(unmarked(text)[0])
            assert sorted(root.rglob("*.yaml")) == before, name


def test_every_mistake_is_listed_in_the_order_of_the_text(root):
    text = HEAD + (
        "steps:\n"
        "  - {id: a, type: command, with: {command: ekho}}\n"
        "  - {id: b, type: approval, when: 'inputs.x', with: {message: '{{ steps.c.output }}'}}\n"
        "  - {id: c, type: approval, after: [d], with: {mesage: m}}\n"
    )
    with pytest.raises(InvalidDefinition, match="did you mean 'echo'.* And 5 more") as caught:
        Catalog(root).accepted("workflow", text, "f.yaml")
    assert [one["line"] for one in caught.value.mistakes] == [4, 5, 5, 6, 6, 6]
    formless = HEAD + "steps:\n  - {id: a, typ: x}\n  - {id: b, type: wait, retry: {attempts: 0}, after: a}\n"
    with pytest.raises(InvalidDefinition) as caught:
        Catalog(root).accepted("workflow", formless, "f.yaml")
    assert [one["line"] for one in caught.value.mistakes] == [4, 4, 5, 5]
