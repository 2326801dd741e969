"""``python -m hishamos.kernels.child``: execute one notebook with papermill and write how it went.

papermill's own marks in the executed notebook are not the truth after a kill or a time-out, so the outcome stands in a file of its own,
written last.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Execute; the exit code is 0 when every cell ran."""
    parser = argparse.ArgumentParser(prog="python -m hishamos.kernels.child")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--parameters", type=Path, required=True, help="a JSON file")
    parser.add_argument("--outcome", type=Path, required=True, help="where to write how it went")
    parser.add_argument("--execution", required=True, help="what the kernel's calls are known by")
    options = parser.parse_args()
    os.environ |= {"HISHAMOS_NOTEBOOK": str(options.notebook), "HISHAMOS_EXECUTION": options.execution}
    # papermill and the kernel both draw progress bars on stderr; nobody reads them here.
    outcome = _execute(options.notebook, options.output, json.loads(options.parameters.read_text(encoding="utf-8")))
    draft = options.outcome.with_suffix(".draft")
    draft.write_text(json.dumps(outcome), encoding="utf-8")
    draft.replace(options.outcome)
    return 0 if outcome["ok"] else 1


def _execute(notebook: Path, output: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    import nbclient.exceptions
    import papermill
    from papermill.exceptions import PapermillException, PapermillExecutionError

    try:
        papermill.execute_notebook(
            str(notebook), str(output), parameters, kernel_name="python3", progress_bar=False, cwd=str(notebook.parent), log_output=False, start_timeout=60
        )
    except PapermillExecutionError as error:
        return {"ok": False, "cell": error.cell_index, "reason": f"{error.ename}: {error.evalue}"}
    except nbclient.exceptions.DeadKernelError:
        return {"ok": False, "cell": None, "reason": "its kernel died"}
    except (PapermillException, nbclient.exceptions.CellControlSignal, OSError, RuntimeError, ValueError) as error:
        return {"ok": False, "cell": None, "reason": f"{type(error).__name__}: {error}"}
    return {"ok": True, "cell": None, "reason": None}


if __name__ == "__main__":
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    sys.exit(main())
