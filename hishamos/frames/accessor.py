"""``df.hishamos``: the verbs on pandas and polars frames, offered once pandas or polars is there, without loading either."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

from hishamos.frames.opened import note

if TYPE_CHECKING:
    from hishamos.workspace import Workspace

NAME = "hishamos"


def offer(workspace: Workspace) -> None:
    """Make a workspace the one that ``df.hishamos`` works in, and see that frames have that name as soon as there can be frames."""
    note(workspace)
    for library, register in OFFERS.items():
        loaded = sys.modules.get(library)
        if loaded is not None and not getattr(getattr(loaded, "__spec__", None), "_initializing", False):
            register(loaded)
        elif not any(isinstance(finder, _WhenLoaded) and finder.library == library for finder in sys.meta_path):
            sys.meta_path.insert(0, _WhenLoaded(library, register))


def _on_pandas(pandas: ModuleType) -> None:
    if NAME not in pandas.DataFrame.__dict__:
        from hishamos.frames.frame_verbs import FrameVerbs

        pandas.api.extensions.register_dataframe_accessor(NAME)(FrameVerbs)


def _on_polars(polars: ModuleType) -> None:
    if not hasattr(polars.DataFrame, NAME):
        from hishamos.frames.frame_verbs import FrameVerbs

        polars.api.register_dataframe_namespace(NAME)(FrameVerbs)


OFFERS: dict[str, Callable[[ModuleType], None]] = {"pandas": _on_pandas, "polars": _on_polars}


class _WhenLoaded(MetaPathFinder):
    """Is asked for every import and answers for one library only: as the others would, and has the accessor registered once it has been loaded."""

    def __init__(self, library: str, register: Callable[[ModuleType], None]) -> None:
        self.library, self._register = library, register
        self._asking = threading.local()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002 - the finder's signature
        """Return the library's own spec, whose loader tells when it is done; None for everything else."""
        if fullname != self.library or getattr(self._asking, "now", False):
            return None
        self._asking.now = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking.now = False
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_tell(module: ModuleType) -> None:
                load(module)
                sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
                self._register(module)

            spec.loader.exec_module = load_and_tell  # type: ignore[method-assign]  # this one loader's, not its class's
        return spec
