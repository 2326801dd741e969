"""``hishamos init``: makes a folder a workspace, overwriting nothing."""

from __future__ import annotations

from pathlib import Path

import click

from hishamos.cli.face import Face, pass_face
from hishamos.cli.verbs import Verb
from hishamos.errors import InvalidInput

FOLDERS = ("agents", "commands", "workflows", "steps", "data/local")
IGNORED = "data/local/"

SETTINGS = """\
# HishamOS workspace. Every line is optional; what is commented out shows the default or an example.
# It is read again when it changes. Check it with: hishamos doctor

[workspace]
# store = "data/local/hishamos.duckdb"     # or "postgresql://user@host/db"
# broker = "local"                         # or "redis://host:6379/0": runs are worked on by `hishamos worker` on any machine; needs PostgreSQL
# runs = 32                                # so many are worked on at once, the others wait in line
# route = "default"                        # what is asked when nothing names a model
# timezone = "UTC"                         # days and months of budgets
# step_timeout_s = 300                     # a step that takes longer is ended
# max_retries = 3                          # how often a step that fails by itself is tried again
# keep_runs_days = 365                     # runs that ended so long ago are let go once a day; left out, they stay for good
# step_memory_mb = 2048                    # for a python step whose code is yours (steps/*.py), which runs in a process of its own

# A provider is found by its usual environment variable (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, OLLAMA_HOST); a table
# here says more. The key itself never stands in this file.
# [providers.openai]
# kind = "openai"                          # openai, anthropic, gemini, ollama, openrouter, azure, offline, or any litellm provider
# api_key = "env:OPENAI_API_KEY"           # env:NAME, keyring:NAME or file:PATH
# api_base = "http://127.0.0.1:4010/v1"    # any server that speaks OpenAI's format
# concurrency = 32
# timeout_s = 60                           # one attempt
# idle_timeout_s = 15                      # between two chunks
# hide = ["email", "phone", "card"]        # personal data that it is not sent: it gets placeholders

# A route is a chain: when a model does not answer, the next one is asked.
# [routes.default]
# models = ["openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"]
# attempts = 4
# deadline_s = 120
# max_output_tokens = 2048

# A price for a model that has none: USD per million tokens, as text; or price = "free".
# [prices."openai/my-tuned-model"]
# input = "0.15"
# output = "0.60"

# A budget is reserved before a call is sent; a hard one is never exceeded.
# [budgets.month]
# scope = "workspace"                      # workspace, project:KEY, user:NAME, workflow:NAME, run
# period = "month"                         # day, month, total
# limit_usd = "50"
# hard = true                              # false: warns at the whole limit, refuses nothing
# warn_at = ["0.5", "0.8"]                 # shares of the limit, each told once a period

# What steps of type http and shell may reach; everything else is refused.
# [allow]
# hosts = ["api.example.com", "127.0.0.1:8080"]
# programs = ["git"]
# variables = ["NOTES_TOKEN"]              # what http steps may send as env:NAME
"""


@click.command("init", cls=Verb)
@pass_face
def init_verb(face: Face) -> None:
    """Make the current folder a workspace: settings with comments, folders, one line in .gitignore. Overwrites nothing."""
    root = Path(face.path).expanduser().absolute() if face.path else Path.cwd()
    if not root.is_dir():
        raise InvalidInput(what="The folder does not exist", where=str(root), next=f"Make it first: mkdir -p {root}")
    made: list[str] = []
    kept: list[str] = []
    try:
        for folder in FOLDERS:
            (kept if (root / folder).is_dir() else made).append(f"{folder}/")
            (root / folder).mkdir(parents=True, exist_ok=True)
        (made if _write_settings(root / "hishamos.toml") else kept).append("hishamos.toml")
        (made if _ignore(root / ".gitignore") else kept).append(".gitignore")
    except OSError as error:
        raise InvalidInput(what=f"The folder can't be written: {error.strerror}", where=str(root), next="Make it writable, or choose another.") from error
    lines = [f"Workspace {root}"]
    lines += [f"Made: {', '.join(made)}"] if made else []
    lines += [f"Kept: {', '.join(kept)}"] if kept else []
    then = "Next: hishamos demo, or hishamos doctor to see which models can be asked"
    face.show({"workspace": str(root), "made": made, "kept": kept}, lambda: lines, then=then)


def _write_settings(file: Path) -> bool:
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(SETTINGS)
    except FileExistsError:
        return False
    return True


def _ignore(file: Path) -> bool:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if any(line.strip().strip("/") in {"data/local", "data"} for line in text.splitlines()):
        return False
    with file.open("a", encoding="utf-8") as stream:
        stream.write(("\n" if text and not text.endswith("\n") else "") + f"{IGNORED}\n")
    return True
