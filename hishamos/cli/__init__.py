"""The terminal: parses what was typed, calls one service method, shows the answer."""

from __future__ import annotations


def main() -> None:
    """Run the verb that the command line names, and exit with its code."""
    from hishamos.cli.entry import run_terminal

    raise SystemExit(run_terminal())
