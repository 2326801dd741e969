"""Arrow tables as DataFrames: integers stay integers, times stay aware."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas
    import pyarrow


def frame(table: pyarrow.Table) -> pandas.DataFrame:
    """Return an Arrow table as a DataFrame.

    A column of whole numbers is int64, or the nullable Int64 where a value is missing: money in nano-dollars never becomes a float.
    An answer that a row limit cut off warns, and holds the limit in ``attrs["truncated"]``; one that a SELECT gives too, this in ``attrs["sql"]``.
    """
    import pandas as pd
    import pyarrow as pa

    told = table.schema.metadata or {}
    cut, statement = told.get(b"truncated"), told.get(b"sql")
    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            # A bare sum() over integers is a HUGEINT in DuckDB and numeric in PostgreSQL.
            table = table.set_column(index, field.name, table.column(index).cast(pa.int64()))
    with_gaps = {column for column in table.column_names if pa.types.is_integer(table.schema.field(column).type) and table.column(column).null_count}
    plain = table.to_pandas(integer_object_nulls=True)
    typed: pandas.DataFrame = plain.astype({column: pd.Int64Dtype() for column in with_gaps})
    if statement:
        typed.attrs["sql"] = statement.decode()
    if cut:
        typed.attrs["truncated"] = int(cut)
        warnings.warn(f"These are the first {int(cut)} rows, there are more: raise limit=, or narrow the statement.", stacklevel=3)
    return typed


def arrow_bytes(table: pyarrow.Table) -> bytes:
    """Return a table as an Arrow IPC stream."""
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(memoryview(sink.getvalue()))
