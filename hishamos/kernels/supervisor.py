"""Runs one program and ends everything that it started when the program ends or the server that asked for it dies.

A script of its own, run by ``python -I -S``: it imports nothing of the workspace. Arguments: a descriptor that is closed when the server dies,
one for the outcome (an exit code, or why there is none), bytes of memory for each process, the program's path, its arguments.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading

ROUNDS = 20
ADOPT_ORPHANS = 36
"""Linux's PR_SET_CHILD_SUBREAPER: what a program left behind stays below its supervisor, also when it has left the group."""


def _watch(control: int) -> None:
    with contextlib.suppress(OSError):
        os.read(control, 1)
    end_below()
    os.killpg(0, signal.SIGKILL)


def adopt() -> None:
    """Have what a program left behind become this process's children."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)


def end_below() -> None:
    """End every process below this one, also those that have left the group; where there is no /proc, the group has to do."""
    for _ in range(ROUNDS):
        left = below()
        if not left:
            return
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)


def children() -> set[int]:
    """Return this process's own children that run."""
    return set(_families().get(os.getpid(), ()))


def below() -> set[int]:
    """Return every process below this one that runs."""
    families = _families()
    found: set[int] = set()
    left = [os.getpid()]
    while left:
        left += (new := [one for one in families.get(left.pop(), ()) if one not in found])
        found.update(new)
    return found


def _families() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as facts:
                state, parent, *_ = facts.read().rpartition(")")[2].split()
            if state != "Z":
                found.setdefault(int(parent), []).append(int(name))
    return found


def _limit(memory: int) -> None:
    for kind, amount in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, memory)):
        with contextlib.suppress(ValueError, OSError):  # where the system has a lower limit, that one holds
            resource.setrlimit(kind, (amount, amount))


def main() -> None:
    """See the module."""
    control, outcome, memory = (int(text) for text in sys.argv[1:4])
    path, arguments = sys.argv[4], sys.argv[5:]
    adopt()
    try:
        process = subprocess.Popen([path, *arguments], preexec_fn=lambda: _limit(memory))  # noqa: PLW1509 - one thread so far
    except (OSError, subprocess.SubprocessError) as error:
        os.write(outcome, f"it could not be started: {error}".encode()[:500])
        return
    threading.Thread(target=_watch, args=(control,), daemon=True).start()
    code = process.wait()
    end_below()
    os.write(outcome, str(code).encode())


if __name__ == "__main__":
    main()
