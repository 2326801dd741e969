"""The house keeps its shape: rules that no linter states."""

import ast
import collections
import inspect
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("hishamos/**/*.py"), *ROOT.glob("app/**/*.py")])
LINES = 500
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "manager", "managers", "handlers", "constants"}
HEAVY = {
    "duckdb", "psycopg", "pandas", "numpy", "altair", "plotly", "streamlit", "fastapi", "celery", "ipywidgets", "litellm", "papermill", "pydantic",
    "httpx", "pyarrow",
}  # fmt: skip
AT_ROOT = {"hishamos", "notebooks", "app", "data", "tests", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"}
MIRRORS = {"views", "steps", "records", "contracts", "services", "cli"}
"""Rooms that hold one file a noun on purpose: `runs` is a record, a service, a page."""
NOUNS = {
    "spend",  # a chart of spend and the statements that sum it
    "ledger", "journal",  # the store's end of a port is named as the port
    "runs", "costs",
    "notebook",
}  # fmt: skip


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True)
    return listed.stdout.splitlines()


needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_of_a_size_and_says_what_it_is(path: pathlib.Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES, "it does not fit a sitting: find the second room in it"
    assert path.stem not in VAGUE, "its name says nothing"
    assert ast.get_docstring(ast.parse(text)), "it does not open with a sentence"


def test_no_two_files_share_a_name() -> None:
    seen = collections.Counter(path.stem for path in FILES if path.stem not in {"__init__", "__main__"} and not MIRRORS & set(path.parts))
    assert [name for name, count in seen.items() if count > 1 and name not in NOUNS] == []


@needs_git
def test_root_holds_only_what_the_plan_names() -> None:
    assert {name.split("/")[0] for name in tracked() if not name.startswith(".")} <= AT_ROOT


@needs_git
def test_no_path_of_a_machine_and_no_host_of_a_registry() -> None:
    # Letters in brackets, so that this line is none of them.
    forbidden = re.compile(r"/wor[k]/|/roo[t]/|/hom[e]/[a-z]|pyp[i]\.org|pythonhoste[d]|registry\.npmj[s]|deb\.debia[n]")
    found = []
    for name in tracked():
        path = ROOT / name
        if path.suffix in {".png", ".parquet"} or not path.is_file():
            continue
        found += [f"{name}:{number}" for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if forbidden.search(line)]
    assert found == []


@needs_git
def test_the_repository_stays_small() -> None:
    large = [name for name in tracked() if (ROOT / name).is_file() and (ROOT / name).stat().st_size > 400_000]
    assert large == []


def test_import_is_light() -> None:
    code = "import hishamos, sys; hishamos.open; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not set(done.stdout.split()) & HEAVY


def test_a_client_loads_no_heavy_library(workspace_dir: pathlib.Path) -> None:
    code = "import hishamos, sys; ws = hishamos.open(sys.argv[1]); ws.health.status(); ws.commands.list(); print(*{m.split('.')[0] for m in sys.modules})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, str(workspace_dir)], capture_output=True, text=True, env=environment, check=True)
    assert not set(done.stdout.split()) & (HEAVY - {"pydantic"})


def test_public_names_are_a_sorted_list_that_resolves() -> None:
    import hishamos

    assert hishamos.__all__ == sorted(hishamos.__all__)
    assert all(getattr(hishamos, name) is not None for name in hishamos.__all__)


def test_every_verb_states_its_permission_and_is_implemented() -> None:
    from hishamos.contracts.services import CONTRACTS
    from hishamos.contracts.verbs import verbs
    from hishamos.local import SERVICES

    assert set(SERVICES) == set(CONTRACTS)
    for service, contract in CONTRACTS.items():
        public = [name for name, value in vars(contract).items() if inspect.isfunction(value) and not name.startswith("_")]
        marked = verbs(contract, service)
        assert sorted(public) == sorted(marked), f"a verb of {service} states no permission"
        for name, verb in marked.items():
            implementation = getattr(SERVICES[service], name)
            assert hasattr(implementation, "__wrapped__"), f"{service}.{name} is not checked"
            twin = {"wait": "_later", "table": "_table"}.get(verb.kind)
            assert twin is None or hasattr(getattr(SERVICES[service], name + twin), "__wrapped__")
            wanted = [one.replace(annotation=inspect.Parameter.empty) for one in verb.signature.parameters.values()]
            offered = [one.replace(annotation=inspect.Parameter.empty) for one in inspect.signature(implementation).parameters.values()]
            assert offered == wanted, f"{service}.{name} takes other arguments than its contract"


def test_an_actor_without_the_permission_is_refused_everywhere() -> None:
    from hishamos.contracts.services import CONTRACTS
    from hishamos.contracts.verbs import verbs
    from hishamos.errors import NotAllowed
    from hishamos.local import SERVICES
    from hishamos.records.actors import Actor

    for service, contract in CONTRACTS.items():
        stranger = SERVICES[service](None, Actor(name="stranger", role="nobody"))  # type: ignore[arg-type]  # refused before anything is used
        for name in verbs(contract, service):
            with pytest.raises(NotAllowed):
                getattr(stranger, name)()


def test_imports_keep_to_the_floors() -> None:
    done = subprocess.run([pathlib.Path(sys.executable).parent / "lint-imports", "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("rig", ["aimock", "axe"])
def test_lock_file_names_no_host(rig: str) -> None:
    lock = json.loads((ROOT / f"tests/rigs/{rig}/package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []


@pytest.mark.long
def test_wheel_carries_everything_inside_the_package(tmp_path: pathlib.Path) -> None:
    import zipfile

    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"hishamos"}
    for needed in [
        "hishamos/_bundle/app/main.py",
        "hishamos/_bundle/app/.streamlit/config.toml",
        "hishamos/_bundle/samples/bugs.csv",
        "hishamos/_bundle/notebooks/tour.ipynb",
        "hishamos/library/workflows/triage_bugs.yaml",
        "hishamos/store/migrations/0001_ledger.sql",
        "hishamos/store/sql/ledger.sql",
    ]:
        assert needed in names
