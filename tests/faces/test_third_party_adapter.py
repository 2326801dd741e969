"""An adapter of a package that somebody else installed: found by its entry point, falls back with the others, and hinders nobody when it is broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import hishamos
from tests.conftest import RIGS, stop_server
from tests.rigs.simulator import Simulator

TOML = """
[providers.lab]
kind = "lab"
api_base = "{lab}/v1"
api_key = "env:LAB_API_KEY"

[providers.openai]
api_key = "env:OPENAI_API_KEY"
api_base = "{openai}/v1"

[prices."lab/our-model"]
input = "1"
output = "2"

[routes.default]
models = ["lab/our-model", "openai/gpt-4.1-mini"]

[routes.spared]
models = ["lab/our-model", "offline/extractive"]
"""
OPENAI = {"OPENAI_API_KEY": "sk-openai-0123456789"}
"""Given only where that provider is asked: its server loads litellm, seconds of a processor."""


@dataclass
class Installation:
    """A Python environment with HishamOS, and with whatever packages a test installs."""

    folder: Path
    workspace: Path
    keys: dict[str, str] = field(default_factory=lambda: {"LAB_API_KEY": "lab-key-0123456789"})

    @property
    def packages(self) -> Path:
        return next((self.folder / "lib").glob("python3*")) / "site-packages"

    def install(self, distribution: str, module: str, source: str, entry: str) -> None:
        """Put a package where an installer puts it: its module, and what its wheel says of it."""
        (self.packages / f"{module}.py").write_text(source)
        info = self.packages / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[hishamos.adapters]\n{entry}\n")

    def type(self, *line: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.folder / "bin" / "python"), "-m", "hishamos", *line]
        return subprocess.run(
            command, cwd=self.workspace, env={**os.environ, **self.keys, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=120, check=False
        )

    def json(self, *line: str, code: int = 0) -> Any:
        done = self.type(*line, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def simulators() -> Iterator[dict[str, Simulator]]:
    running = {"lab": Simulator(), "openai": Simulator()}
    yield running
    for simulator in running.values():
        simulator.close()


@pytest.fixture
def installed(tmp_path: Path, workspace_dir: Path, simulators: dict[str, Simulator]) -> Iterator[Installation]:
    venv.create(tmp_path / "venv", with_pip=False)
    made = Installation(tmp_path / "venv", workspace_dir)
    here = [str(Path(hishamos.__file__).parents[1]), *(path for path in sys.path if path.endswith("site-packages"))]
    (made.packages / "shared.pth").write_text("\n".join(here) + "\n")
    (workspace_dir / "hishamos.toml").write_text(TOML.format(**{name: simulator.url for name, simulator in simulators.items()}))
    (workspace_dir / "commands").mkdir()
    (workspace_dir / "commands" / "say.yaml").write_text("name: say\ndescription: Say it.\ntemplate: '{{ text }}'\nparameters: {text: {type: text}}\n")
    yield made
    stop_server(workspace_dir)
    shutil.rmtree(tmp_path / "venv", ignore_errors=True)


def lab(installed: Installation) -> None:
    installed.install("lab-adapter", "lab_adapter", (RIGS / "lab_adapter" / "lab_adapter.py").read_text(), "lab = lab_adapter:LabAdapter")


def test_it_is_found_and_accounted_for(installed: Installation, simulators: dict[str, Simulator]) -> None:
    lab(installed)
    answer = installed.json("command", "say", "-i", "text=hello")
    [entry] = simulators["lab"].book()
    assert answer["model"] == "lab/our-model"
    assert (entry["key"], simulators["openai"].book()) == ("lab-key-0123456789", [])
    assert answer["cost_nanos"] == entry["billed"]["input"] * 1000 + entry["billed"]["output"] * 2000


@pytest.mark.long
def test_it_falls_back_with_the_others(installed: Installation, simulators: dict[str, Simulator]) -> None:
    lab(installed)
    installed.keys |= OPENAI
    simulators["lab"].script("our-model", then={"status": 401, "message": "no such key"})
    answer = installed.json("command", "say", "-i", "text=hello")
    assert [(attempt["model"], attempt["cause"]) for attempt in answer["attempts"]] == [
        ("lab/our-model", "authentication"),
        ("openai/gpt-4.1-mini", None),
    ]
    simulators["openai"].script("gpt-4.1-mini", then={"status": 400, "message": "nonsense"})
    simulators["lab"].script("our-model")
    assert installed.json("command", "say", "-i", "text=again", "--model", "lab/our-model")["model"] == "lab/our-model"


BROKEN = {
    "lab": ("import no_such_module\n", "No module named 'no_such_module'"),
    "half": ("class Adapter:\n    def warm(self): ...\n", "it has no stream and no close"),
    "seven": ("Adapter = 7\n", "not callable"),
}
"""One that does not import, one that is no adapter, and one that is no class."""


@pytest.mark.long
def test_broken_ones_are_named_and_the_next_model_is_asked(installed: Installation, simulators: dict[str, Simulator]) -> None:
    settings = installed.workspace / "hishamos.toml"
    for name, (source, _) in BROKEN.items():
        installed.install(f"{name}-adapter", f"{name}_adapter", source, f"{name} = {name}_adapter:Adapter")
        if name != "lab":
            settings.write_text(settings.read_text() + f'[providers.{name}]\nkind = "{name}"\napi_base = "{simulators["lab"].url}/v1"\n')
    answer = installed.json("command", "say", "-i", "text=hello", "--model", "spared")
    assert answer["model"] == "offline/extractive"
    assert "lab-adapter" in answer["attempts"][0]["tags"]["passed_over"]
    found = {status["name"]: status for status in installed.json("providers")}
    for name, (_, problem) in BROKEN.items():
        alone = installed.type("command", "say", "-i", "text=hello", "--model", f"{name}/our-model")
        assert alone.returncode != 0
        assert f"The adapter '{name}' of the package {name}-adapter can't be used" in alone.stderr
        assert problem in alone.stderr
        assert f"pip uninstall {name}-adapter" in alone.stderr
        assert found[name]["state"] == "misconfigured"
        assert problem in found[name]["advice"]
    assert found["openai"]["state"] == "no key"
    assert simulators["lab"].book() == []


@pytest.mark.long
def test_two_packages_with_one_name_are_both_named(installed: Installation) -> None:
    lab(installed)
    installed.install("other-lab", "other_lab", "class Other: ...\n", "lab = other_lab:Other")
    done = installed.type("command", "say", "-i", "text=hello", "--model", "lab/our-model")
    assert "of the package lab-adapter, other-lab can't be used: more than one package offers it" in done.stderr


@pytest.mark.long
def test_no_package_takes_over_a_known_provider(installed: Installation, simulators: dict[str, Simulator]) -> None:
    source = "class Thief:\n    def __init__(self):\n        open('stolen', 'w').close()\n"
    installed.install("thief", "thief", source, "openai = thief:Thief")
    installed.keys |= OPENAI
    assert installed.json("command", "say", "-i", "text=hello", "--model", "openai/gpt-4.1-mini")["status"] == "succeeded"
    assert len(simulators["openai"].book()) == 1
    assert not (installed.workspace / "stolen").exists()
    assert "the package thief offers an adapter for 'openai', which is HishamOS's own: not used" in (installed.workspace / "data/local/server.log").read_text()
