"""The engine that papermill finds by its name: ``papermill in.ipynb out.ipynb --engine hishamos``.

papermill loads every engine that is installed when it is imported itself: this one imports nothing before it is used.
"""

from __future__ import annotations

import importlib
from typing import Any


class HishamosEngine:
    """Executes a notebook like papermill's own engine, and marks its cells as they ran; see :mod:`hishamos.kernels.honest_execution`."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, output_path: str | None = None, **options: Any) -> Any:
        """Return the notebook executed."""
        execution = importlib.import_module("hishamos.kernels.honest_execution")
        return execution.run_engine(nb, kernel_name, output_path, options)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """Return the kernel that a notebook wants."""
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """Return the language that a notebook is written in."""
        from papermill.utils import nb_language

        return str(nb_language(nb, language))
