"""Rows of the register's long tables, the bridge and provenance, as Arrow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from cityframe.store.home import Home

BATCH_ROWS = 65_536
_TYPES: tuple[tuple[type[sa.types.TypeEngine[Any]], "pa.DataType"], ...] = (
    (sa.Text, pa.string()),
    (sa.Integer, pa.int64()),
    (sa.Double, pa.float64()),
    (sa.LargeBinary, pa.binary()),
)


def entry_schema(table: sa.Table, names: Sequence[str]) -> pa.Schema:
    """Return the Arrow schema of columns of a table."""
    return pa.schema([(name, _arrow_type(table.c[name])) for name in names])


def entries_of(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return a frame's columns as entries; what pandas holds for missing is null."""
    columns = [pa.array(frame[field.name], type=field.type, from_pandas=True) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def read_entries(
    home: Home, table: sa.Table, names: Sequence[str], condition: sa.ColumnElement[bool]
) -> pa.Table:
    """Return columns of the rows of a table that a condition chooses, in no order."""
    schema = entry_schema(table, names)
    query = sa.select(*(table.c[name] for name in names)).where(condition)
    batches = [
        pa.Table.from_batches([batch]).select(schema.names).cast(schema)
        for batch in home.read(query)
        if batch.num_rows
    ]
    return pa.concat_tables(batches) if batches else schema.empty_table()


def write_file(path: Path, rows: pa.Table) -> None:
    """Write entries as Parquet; equal rows give equal bytes."""
    pq.write_table(rows.replace_schema_metadata(None), path, compression="zstd")


def read_file(path: Path, schema: pa.Schema) -> pa.Table:
    """Return the entries of a file."""
    return pq.read_table(path).cast(schema)


def _arrow_type(column: sa.Column[Any]) -> "pa.DataType":
    return next(kind for known, kind in _TYPES if isinstance(column.type, known))
