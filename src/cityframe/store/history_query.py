"""Parts of queries over a layer's history, and the agreed types of what they give."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import sqlalchemy as sa

from cityframe.core.arrow_rows import row_schema
from cityframe.model.layer import Layer
from cityframe.store.tables import SYSTEM_COLUMNS, history_table

_UIDS_A_QUERY = 10_000


def as_schema(batches: Iterable[pa.RecordBatch], names: Iterable[str], layer: Layer) -> pa.Table:
    """Return batches as one table whose columns have the agreed types, in the order of names."""
    known = row_schema(layer, SYSTEM_COLUMNS)
    fields = [pa.field("fid", pa.int64()) if name == "fid" else known.field(name) for name in names]
    schema = pa.schema(fields)
    tables = [
        pa.Table.from_batches([batch]).select(schema.names).cast(schema)
        for batch in batches
        if batch.num_rows
    ]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def valid_time_text(moment: dt.datetime) -> str:
    """Return a moment as valid times are stored: UTC, whole seconds, ``Z``."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_known(table: sa.Table, release: int) -> sa.ColumnElement[bool]:
    """Return the condition that a release knows a row of a history table."""
    return (table.c.release_from <= release) & (
        table.c.release_to.is_(None) | (table.c.release_to > release)
    )


def by_uid(layer: Layer, uids: Sequence[str]) -> Iterator[sa.ColumnElement[bool]]:
    """Yield conditions that together choose the uids of a layer's history."""
    yield from in_parts(history_table(layer).c.uid, uids)


def in_parts(
    column: sa.ColumnElement[str], values: Iterable[str]
) -> Iterator[sa.ColumnElement[bool]]:
    """Yield conditions that together choose values; a list in the text is what GDAL can read."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _UIDS_A_QUERY):
        quoted = ", ".join(
            f"'{value.replace(chr(39), chr(39) * 2)}'"
            for value in ordered[start : start + _UIDS_A_QUERY]
        )
        # as it is: a colon in it is no parameter, a backslash no escape
        yield column.op("IN", is_comparison=True)(sa.literal_column(f"({quoted})"))
