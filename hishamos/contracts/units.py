"""The unit that keeps a workspace's server up: for systemd on Linux, for launchd on macOS. One file of the user's own for each workspace."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from hishamos.records.record import content_hash


@dataclass(frozen=True)
class Unit:
    """Where the unit stands and what it says."""

    name: str
    file: Path
    text: str
    start: tuple[tuple[str, ...], ...]
    """The commands that make it work, in order."""
    stop: tuple[tuple[str, ...], ...]
    """The commands that end it."""

    @property
    def installed(self) -> bool:
        """Whether the file stands there."""
        return self.file.is_file()


def unit(root: Path, *, platform: str = sys.platform, home: Path | None = None, python: str = sys.executable) -> Unit:
    """Return the unit of a workspace. ``home``: the user's folder, if it is not the one of this process."""
    mark = content_hash(str(root), 10)
    folder = home or Path.home()
    return _launchd(root, mark, folder, python) if platform == "darwin" else _systemd(root, mark, folder, python)


def _systemd(root: Path, mark: str, home: Path, python: str) -> Unit:
    name = f"hishamos-{mark}.service"
    text = f"""[Unit]
Description=HishamOS, the workspace {_plain(str(root))}

[Service]
ExecStart={_quoted(python)} -m hishamos.server --workspace {_quoted(str(root))} --stay
Restart=always
RestartSec=5
EnvironmentFile=-%h/.config/hishamos/environment

[Install]
WantedBy=default.target
"""
    control = ("systemctl", "--user")
    return Unit(
        name,
        home / ".config" / "systemd" / "user" / name,
        text,
        start=((*control, "daemon-reload"), (*control, "enable", "--now", name)),
        stop=((*control, "disable", "--now", name),),
    )


def _launchd(root: Path, mark: str, home: Path, python: str) -> Unit:
    name = f"org.hishamos.{mark}"
    file = home / "Library" / "LaunchAgents" / f"{name}.plist"
    arguments = (python, "-m", "hishamos.server", "--workspace", str(root), "--stay")
    listed = "\n".join(f"    <string>{escape(argument)}</string>" for argument in arguments)
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{name}</string>
  <key>ProgramArguments</key>
  <array>
{listed}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <true/>
</dict>
</plist>
"""
    return Unit(name, file, text, start=(("launchctl", "load", "-w", str(file)),), stop=(("launchctl", "unload", "-w", str(file)),))


def _quoted(text: str) -> str:
    """Return an argument that systemd takes as it is: in quotes, with its own signs doubled."""
    inside = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$").replace("\n", "\\n")
    return f'"{inside}"'


def _plain(text: str) -> str:
    return "".join(character for character in text.replace("%", "%%") if character.isprintable())
