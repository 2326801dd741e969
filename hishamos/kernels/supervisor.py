"""Runs one program and ends its whole process group when the program ends or the server that asked for it dies.

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


def _watch(control: int) -> None:
    with contextlib.suppress(OSError):
        os.read(control, 1)
    os.killpg(0, signal.SIGKILL)


def _limit(memory: int) -> None:
    for kind, amount in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, memory)):
        with contextlib.suppress(ValueError, OSError):  # where the system has a lower limit, that one holds
            resource.setrlimit(kind, (amount, amount))


def main() -> None:
    """See the module."""
    control, outcome, memory = (int(text) for text in sys.argv[1:4])
    path, arguments = sys.argv[4], sys.argv[5:]
    try:
        process = subprocess.Popen([path, *arguments], preexec_fn=lambda: _limit(memory))  # noqa: PLW1509 - one thread so far
    except (OSError, subprocess.SubprocessError) as error:
        os.write(outcome, f"it could not be started: {error}".encode()[:500])
        return
    threading.Thread(target=_watch, args=(control,), daemon=True).start()
    os.write(outcome, str(process.wait()).encode())


if __name__ == "__main__":
    main()
