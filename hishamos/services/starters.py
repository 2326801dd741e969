"""What ``hishamos new`` writes: a definition that passes ``check``, runs with the offline model, and says in comments what else there is."""

from __future__ import annotations

import re

from hishamos.errors import InvalidInput
from hishamos.records.checks import KINDS, DefinitionKind

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")

WORKFLOW = """\
# For completion in an editor:  hishamos schema workflow > workflow.schema.json
# and as this file's first line:  # yaml-language-server: $schema=../workflow.schema.json
# Check it:  hishamos check workflows/@NAME@.yaml
# Run it:    hishamos run @NAME@ --model offline/extractive
name: @NAME@
description: Classifies a report and, if asked to, lets a person confirm it.
inputs:                          # types: string, text, integer, number, boolean, choice, date, list, object, file
  text: {type: text, description: the report, default: "The app crashes when a file is saved, and the file is lost."}
  confirm: {type: boolean, description: whether a person looks at it, default: false}
steps:                           # types: command, agent, python, notebook, shell, http, sql, approval, switch, map, loop, workflow, wait
  - id: classify
    type: command
    description: Classify the report
    with: {command: classify_bug, inputs: {text: "{{ inputs.text }}"}}
    retry: {attempts: 3, backoff_s: 1}       # the first try counts
    # timeout: 60                            # seconds of one try; left out, step_timeout_s of hishamos.toml
    # on_error: continue                     # or fail (left out), or {goto: STEP, at_most: 3}

  - id: confirm
    type: approval
    description: Let a person decide
    after: [classify]                        # it begins when these have ended, and sees what they gave
    when: "inputs.confirm"                   # an expression without braces; when it does not hold the step is skipped
    with: {message: "Is it right: {{ steps.classify.output.summary }}"}

  # For each item of a list, many at once:
  # - id: all
  #   type: map
  #   with: {over: "{{ inputs.texts }}", as: text, concurrency: 8, step: {type: command, with: {command: classify_bug, inputs: {text: "{{ text }}"}}}}
outputs:
  class: "{{ steps.classify.output }}"
  confirmed: "{{ steps.confirm.state == 'succeeded' }}"
"""

COMMAND = """\
# For completion in an editor:  hishamos schema command > command.schema.json
# and as this file's first line:  # yaml-language-server: $schema=../command.schema.json
# Check it:  hishamos check commands/@NAME@.yaml
# Run it:    hishamos command @NAME@ -i text="The train was late again." --model offline/extractive
name: @NAME@
description: Sums a text up in a sentence and says how it sounds.
# agent: bug-triage              # whose instructions lead
# model: default                 # a model (provider/model), a route or a policy
# max_output_tokens: 400
parameters:                      # types: string, text, integer, number, boolean, choice, date, list, object, file
  text: {type: text, description: the text, max_length: 20000}
  tones: {type: list, description: what it may sound like, default: [glad, neutral, angry]}
template: |
  Sum up the text in one sentence, and say which of these it sounds like: {{ tones | join(", ") }}.

  {{ text }}
output:                          # JSON Schema of the answer; leave it out for plain text
  type: object
  additionalProperties: false
  required: [summary, tone]
  properties:
    summary: {type: string, maxLength: 300, description: the text in one sentence}
    tone: {enum: "{{ tones }}", description: how the text sounds}
# cache: 7d                      # never (left out), 1h, 7d, forever
examples:                        # try them: hishamos command @NAME@ -i text=…
  - inputs: {text: "The train was late again and nobody said why."}
"""

AGENT = """\
# For completion in an editor:  hishamos schema agent > agent.schema.json
# and as this file's first line:  # yaml-language-server: $schema=../agent.schema.json
# Check it:  hishamos check agents/@NAME@.yaml
# Ask it:    hishamos ask @NAME@ "Which of these reports is the worst? …" --model offline/extractive
name: @NAME@
description: Reads reports and answers questions about them.
capabilities: [reading]          # what it can be picked for
instructions: |
  You answer questions about the material you are given, briefly and only from what it says.
  Where it does not say enough, say so.
# model: default                 # a model (provider/model), a route or a policy
# tools: [classify_bug]          # commands, functions marked with @hishamos.tool, agent:NAME
limits: {turns: 8, seconds: 300} # also: usd: "0.50"
"""
TEXTS: dict[DefinitionKind, str] = {"workflow": WORKFLOW, "command": COMMAND, "agent": AGENT}


def starter(kind: DefinitionKind, name: str) -> str:
    """Return the starter of a kind; raises :class:`InvalidInput` for what can't be a name."""
    if kind not in KINDS:
        raise InvalidInput(what=f"{kind!r} is no kind of definition", where="new", next=f"Use one of: {', '.join(KINDS)}.")
    if not NAME.fullmatch(name):
        raise InvalidInput(what=f"{name!r} is no name for a {kind}", where="new", next="Begin with a letter; then letters, digits, _ . - up to 100.")
    return TEXTS[kind].replace("@NAME@", name)
