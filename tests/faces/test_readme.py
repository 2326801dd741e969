"""The README says only what runs: its lines are typed, its code is run, its tables are loaded, its links are followed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hishamos.cli.verbs import VERBS
from tests.rigs import nursery

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [(found[1].strip(), found[2]) for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)]


def _blocks(kind):
    return [text for info, text in BLOCKS if info == kind]


def test_the_two_lines_stand_there_verbatim():
    lines = [line for text in _blocks("sh") for line in text.splitlines()]
    assert "python3 -m venv .venv && .venv/bin/python -m pip install . && .venv/bin/hishamos demo" in lines
    assert "python3 -m venv .venv && .venv/bin/python -m pip install -e '.[dev]' && .venv/bin/python -m pytest" in lines
    before = README[: README.index("python3 -m venv")]
    assert "Python 3.11 or newer" in before
    assert "`python3-venv`" in before


def test_nothing_is_left_to_fill_in():
    assert not re.findall(r"@[A-Z]+@", README)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder with ``hishamos`` on the path, where every command of the README exists."""
    folder = tmp_path_factory.mktemp("readme")
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    # A line costs a few hundredths of a second in the nursery.
    program = f'-S -E "{nursery.__file__}" {nursery.TYPE}' if nursery.available() else "-m hishamos"
    (bin_folder / "hishamos").write_text(f'#!/bin/sh\nexec "{sys.executable}" {program} "$@"\n')
    (bin_folder / "hishamos").chmod(0o755)
    work = folder / "work"
    for text in [*_blocks("yaml"), *_blocks("python file")]:
        file = work / text.splitlines()[0].removeprefix("# ")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "HISHAMOS_WORKSPACE": str(work)}

    def run(*command):
        return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=180, check=False)

    yield run
    run("hishamos", "server", "stop")


@pytest.mark.long
def test_the_shell_lines_run(shell):
    blocks = _blocks("sh run")
    assert len(blocks) >= 2
    for text in blocks:
        done = shell("bash", "-euo", "pipefail", "-c", text)
        assert done.returncode == 0, (text, done.stdout, done.stderr)


def test_the_workflows_can_run(shell):
    names = [Path(text.splitlines()[0]).stem for text in _blocks("yaml") if text.startswith("# workflows/")]
    assert names
    for name in names:
        assert shell("hishamos", "workflows", name).returncode == 0, name


def test_the_functions_of_the_workspace_run(shell):
    done = shell("hishamos", "run", "steps_python", "--json")
    assert json.loads(done.stdout)["outputs"] == {"sum": 26.55, "issue": "SHOP-1"}, done.stderr


@pytest.mark.long
def test_the_python_blocks_run_one_after_another(shell):
    blocks = _blocks("python run")
    assert len(blocks) >= 3
    done = shell(sys.executable, "-c", "\n".join(blocks))
    assert done.returncode == 0, done.stderr
    assert "succeeded" in done.stdout


def test_the_tables_are_settings(tmp_path):
    from hishamos.settings import load

    for text in _blocks("toml"):
        (tmp_path / "hishamos.toml").write_text(text)
        assert load(tmp_path, lambda _: "x").providers


def test_the_quoted_help_is_the_help(shell):
    (quoted,) = [text for text in _blocks("text") if text.startswith("Start:")]
    assert quoted.strip() in shell("hishamos", "--help").stdout


def test_every_line_uses_verbs_and_options_that_exist(terminal):
    lines = [line.partition("#")[0] for info, text in BLOCKS if info.startswith("sh") for line in text.splitlines()]
    lines += re.findall(r"`(hishamos [^`]+)`", README)
    helps = {}
    for line in lines:
        words = line.replace("hishamos --workspace FOLDER ", "hishamos ").split()
        if not words or words[0] != "hishamos":
            continue
        verb = words[1]
        assert verb in VERBS, line
        if verb not in helps:
            helps[verb] = terminal.type(verb, "--help").stdout
        if verb in {"budget", "schedule", "server"} and len(words) > 2:
            helps[verb] += terminal.type(verb, words[2], "--help").stdout
        for option in re.findall(r"\s(--?[a-z][a-z-]*)", line):
            assert option in helps[verb], (line, option)


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).is_file(), target
    for path in re.findall(r"`((?:hishamos|notebooks|data/samples)/[\w./-]+\.\w+)`", README):
        assert (ROOT / path).is_file(), path
