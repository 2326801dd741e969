"""The kinds of frames that are taken: pandas and polars DataFrames, DuckDB relations, Arrow tables; each comes back as its own kind, or as pandas."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hishamos.errors import InvalidInput
from hishamos.frames.tables import frame as of_arrow
from hishamos.frames.typed_columns import PandasColumn, PolarsColumn

if TYPE_CHECKING:
    import pandas


class Column(Protocol):
    """A new column that grows page by page."""

    def add(self, values: Sequence[Any]) -> None:
        """Add the next page."""
        ...

    def finished(self) -> Any:
        """Return the whole column; it can't grow any more."""
        ...


class Given(Protocol):
    """A frame as it was given."""

    frame: Any
    names: list[Hashable]

    def __len__(self) -> int: ...

    def cells(self, column: Hashable, start: int, stop: int) -> list[Any]:
        """Return some rows of a column as Python has them."""
        ...

    def label(self, position: int) -> str:
        """Return how a row is named in an error."""
        ...

    def column(self, empty: str = "text") -> Column:
        """Return a new column. ``empty``: what it is when no value comes: ``text``, ``truth``, ``whole`` or ``number``."""
        ...

    def with_columns(self, added: Mapping[str, Column]) -> Any:
        """Return the frame with new columns behind its own; order, index and types stay."""
        ...

    def rows(self, positions: Sequence[int], names: Sequence[Hashable] | None = None) -> Given:
        """Return some rows, by their positions, and some columns; their index goes along."""
        ...

    def beside(self, other: Given, places: Sequence[int | None], suffix: str) -> Given:
        """Return this frame's rows, each with a row of another beside it, numbered anew; None: no row, all its values are missing."""
        ...


class PandasFrame:
    """A pandas DataFrame."""

    def __init__(self, frame: pandas.DataFrame) -> None:
        self.frame = frame
        self.names: list[Hashable] = list(frame.columns)

    def __len__(self) -> int:
        return len(self.frame)

    def cells(self, column: Hashable, start: int, stop: int) -> list[Any]:
        """See :class:`Given`."""
        return list(self.frame[column].iloc[start:stop].tolist())

    def label(self, position: int) -> str:
        """See :class:`Given`."""
        return repr(self.frame.index[position])

    def column(self, empty: str = "text") -> Column:
        """See :class:`Given`."""
        return PandasColumn(empty)

    def with_columns(self, added: Mapping[str, Column]) -> pandas.DataFrame:
        """See :class:`Given`."""
        import pandas as pd

        levels = self.frame.columns.nlevels
        columns = {name if levels == 1 else (name, *[""] * (levels - 1)): column.finished() for name, column in added.items()}
        whole = pd.concat([self.frame, pd.DataFrame(columns, index=self.frame.index, copy=False)], axis=1)
        whole.attrs = self.frame.attrs
        return whole

    def rows(self, positions: Sequence[int], names: Sequence[Hashable] | None = None) -> PandasFrame:
        """See :class:`Given`."""
        chosen = self.frame.iloc[list(positions)]
        return PandasFrame(chosen if names is None else chosen[list(names)])

    def beside(self, other: Given, places: Sequence[int | None], suffix: str) -> PandasFrame:
        """See :class:`Given`."""
        import pandas as pd

        left = self.frame.reset_index(drop=True)
        taken = other.frame.reset_index(drop=True)
        right = taken.iloc[list(places)] if None not in places else taken.reindex([-1 if place is None else place for place in places])
        named = right.rename(columns=_renamed(self.names, other.names, suffix)).reset_index(drop=True)
        return PandasFrame(pd.concat([left, named], axis=1))


class PolarsFrame:
    """A polars DataFrame."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.names: list[Hashable] = list(frame.columns)

    def __len__(self) -> int:
        return len(self.frame)

    def cells(self, column: Hashable, start: int, stop: int) -> list[Any]:
        """See :class:`Given`."""
        return list(self.frame[column][start:stop].to_list())

    def label(self, position: int) -> str:
        """See :class:`Given`."""
        return str(position)

    def column(self, empty: str = "text") -> Column:
        """See :class:`Given`."""
        return PolarsColumn(empty)

    def with_columns(self, added: Mapping[str, Column]) -> Any:
        """See :class:`Given`."""
        return self.frame.with_columns([column.finished().alias(name) for name, column in added.items()])

    def rows(self, positions: Sequence[int], names: Sequence[Hashable] | None = None) -> PolarsFrame:
        """See :class:`Given`."""
        chosen = self.frame[list(positions)]
        return PolarsFrame(chosen if names is None else chosen.select(list(names)))

    def beside(self, other: Given, places: Sequence[int | None], suffix: str) -> PolarsFrame:
        """See :class:`Given`."""
        import polars as pl

        taken = other.frame.select(pl.all().gather(pl.Series(values=list(places), dtype=pl.UInt32)))
        return PolarsFrame(pl.concat([self.frame, taken.rename(_renamed(self.names, other.names, suffix))], how="horizontal"))


def _renamed(own: Sequence[Hashable], others: Sequence[Hashable], suffix: str) -> dict[Hashable, str]:
    renamed = {name: f"{name}{suffix}" for name in others if name in own}
    clash = next((name for name in renamed.values() if name in own or name in others), None)
    if clash is not None:
        raise InvalidInput(what=f"a column is named {clash!r} already", where="join", next='Give another ending: suffix="_other"')
    return renamed


def given(frame: Any, where: str) -> Given:
    """Return a frame of any kind that is taken; raises :class:`InvalidInput` for anything else. ``where``: the verb, for the error."""
    home = type(frame).__module__.partition(".")[0].lstrip("_")
    name = type(frame).__name__
    if home == "polars" and name in ("DataFrame", "LazyFrame"):
        return PolarsFrame(frame.collect() if name == "LazyFrame" else frame)
    if home == "duckdb" and hasattr(frame, "to_arrow_table"):
        return PandasFrame(of_arrow(frame.to_arrow_table()))
    if home == "pyarrow" and name == "Table":
        return PandasFrame(of_arrow(frame))
    if hasattr(frame, "iloc") and hasattr(frame, "columns"):
        return PandasFrame(frame)
    following = "Give a pandas or polars DataFrame, a DuckDB relation or an Arrow table."
    if hasattr(frame, "to_frame"):
        following = "Make a frame of it: .to_frame()"
    raise InvalidInput(what=f"a {name} is no frame", where=where, next=following)


def pages(length: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of pages."""
    for start in range(0, length, size):
        yield start, min(start + size, length)
