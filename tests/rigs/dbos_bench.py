"""``python dbos_bench.py SQLITE_FILE STEPS RUNS``: durable steps that do nothing, with DBOS at its defaults; prints one JSON document."""

from __future__ import annotations

import json
import logging
import sys
import time

from dbos import DBOS
from sqlalchemy import event
from sqlalchemy.engine import Engine

_settings: dict[str, str] = {}


@event.listens_for(Engine, "connect")
def _look(connection: object, record: object) -> None:
    """Read from the connection that DBOS uses what it asks of the disk: SQLite keeps ``synchronous`` for each connection by itself."""
    for name in ("journal_mode", "synchronous"):
        _settings[name] = str(connection.execute(f"pragma {name}").fetchone()[0])  # type: ignore[attr-defined]


@DBOS.step()
def nothing(number: int) -> int:
    """Do nothing, durably."""
    return number


@DBOS.workflow()
def chain(count: int) -> int:
    """Do nothing ``count`` times."""
    for number in range(count):
        nothing(number)
    return count


def main() -> None:
    """See the module."""
    file, steps, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.disable(logging.INFO)
    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{file}"})
    DBOS.launch()
    chain(5)
    begun = time.perf_counter()
    chain(steps)
    step_s = (time.perf_counter() - begun) / steps
    begun = time.perf_counter()
    started = [DBOS.start_workflow(chain, 5) for _ in range(runs)]
    errors = 0
    for one in started:
        try:
            one.get_result()
        except Exception:
            errors += 1
    together_s = time.perf_counter() - begun
    DBOS.destroy()
    print(json.dumps({"step_s": step_s, "together_s": together_s, "errors": errors, "settings": _settings}))


if __name__ == "__main__":
    main()
