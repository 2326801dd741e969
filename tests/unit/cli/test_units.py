"""The unit that keeps a server up: what systemd and launchd are told."""

from __future__ import annotations

import plistlib
from pathlib import Path

from hishamos.contracts.units import unit


def test_systemd_runs_the_server_of_this_workspace_and_starts_it_again(tmp_path: Path) -> None:
    made = unit(Path('/data/50 % "mine" $x'), platform="linux", home=tmp_path, python="/opt/py thon")
    assert made.file == tmp_path / ".config/systemd/user" / made.name
    assert 'ExecStart="/opt/py thon" -m hishamos.server --workspace "/data/50 %% \\"mine\\" $$x" --stay\n' in made.text
    assert "Restart=always" in made.text
    assert "WantedBy=default.target" in made.text
    assert made.start[-1] == ("systemctl", "--user", "enable", "--now", made.name)
    assert not made.installed


def test_a_name_with_a_line_break_adds_no_line(tmp_path: Path) -> None:
    made = unit(Path("/data/a\nExecStartPre=evil"), platform="linux", home=tmp_path)
    assert not any(line.startswith("ExecStartPre") for line in made.text.splitlines())


def test_launchd_gets_a_property_list_that_it_can_read(tmp_path: Path) -> None:
    made = unit(Path("/Users/amal/a & b"), platform="darwin", home=tmp_path, python="/usr/bin/python3")
    read = plistlib.loads(made.text.encode())
    assert read["ProgramArguments"] == ["/usr/bin/python3", "-m", "hishamos.server", "--workspace", "/Users/amal/a & b", "--stay"]
    assert read["RunAtLoad"] is True
    assert read["KeepAlive"] is True
    assert made.file == tmp_path / "Library/LaunchAgents" / f"{read['Label']}.plist"


def test_each_workspace_has_a_unit_of_its_own(tmp_path: Path) -> None:
    one, other = (unit(tmp_path / name, platform="linux", home=tmp_path) for name in ("a", "b"))
    assert one.file != other.file
    one.file.parent.mkdir(parents=True)
    one.file.write_text(one.text)
    assert (one.installed, other.installed) == (True, False)
