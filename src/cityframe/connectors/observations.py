"""Observations of a sensor feed: append-only Parquet files, each value once.

The layout is specified in ``docs/formats/observations.md``. One process writes
(`cityframe.connectors.observation_writer`), any number reads at the same time.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cityframe.connectors.columns import ArrowArray

MOMENT: pa.DataType = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        ("stream", pa.string()),
        ("time", MOMENT),
        ("value", pa.float64()),
        ("received", MOMENT),
        ("batch", pa.int64()),
    ]
)
"""``batch`` counts the writes of the feed; a later one revises an earlier one."""
CURRENT = "current.parquet"


def read_observations(
    folder: Path, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> pa.Table:
    """Return the observations of a feed from ``since`` up to but without ``until``.

    Returns
    -------
    pyarrow.Table
        Columns of `SCHEMA`, one row a stream and time (the last revision), sorted by them.
    """
    dates = [
        date
        for date in dates_of(folder)
        if (since is None or date >= since.astimezone(dt.UTC).date().isoformat())
        and (until is None or date <= until.astimezone(dt.UTC).date().isoformat())
    ]
    table = _retried(lambda: read_files(files_of(folder, dates)))
    if since is not None:
        table = table.filter(pc.field("time") >= pa.scalar(since, MOMENT))
    if until is not None:
        table = table.filter(pc.field("time") < pa.scalar(until, MOMENT))
    return deduplicated(table)


def read_batches(folder: Path, after: int) -> pa.Table:
    """Return the observations that were stored after a batch, in no order, revisions included."""

    def read() -> pa.Table:
        files = [file for file in files_of(folder, dates_of(folder)) if last_batch_of(file) > after]
        return read_files(files).filter(pc.field("batch") > after)

    return _retried(read)


def current_state(folder: Path) -> pa.Table:
    """Return the latest value of each stream: columns of `SCHEMA`, sorted by stream."""
    known, batch = SCHEMA.empty_table(), 0
    if (folder / CURRENT).exists():
        known = pq.read_table(folder / CURRENT, partitioning=None)
        batch = int((known.schema.metadata or {})[b"batch"])
        known = known.replace_schema_metadata(None)
    table = deduplicated(pa.concat_tables([known, read_batches(folder, batch)]))
    return table.filter(_is_last(table, ["stream"]))


def last_batch(folder: Path) -> int:
    """Return the number of the last batch that was stored; 0 for none."""
    return max(map(last_batch_of, files_of(folder, dates_of(folder))), default=0)


def last_batch_of(file: Path) -> int:
    """Return the last batch in a file, which its name ends with."""
    return int(file.stem.partition("-")[2])


def dates_of(folder: Path) -> list[str]:
    """Return the dates of which there are observations, in order."""
    return sorted(path.name.removeprefix("date=") for path in folder.glob("date=*"))


def files_of(folder: Path, dates: Iterable[str]) -> list[Path]:
    """Return the files of dates in order."""
    return [
        file for date in dates for file in sorted((folder / f"date={date}").glob("[0-9]*.parquet"))
    ]


def read_files(files: Sequence[Path]) -> pa.Table:
    """Return the rows of files as they stand there."""
    tables = [pq.read_table(file, schema=SCHEMA, partitioning=None) for file in files]
    return pa.concat_tables([SCHEMA.empty_table(), *tables])


def _retried(read: Callable[[], pa.Table]) -> pa.Table:
    """Read again if files were merged away in between."""
    for _ in range(10):
        try:
            return read()
        except FileNotFoundError:
            continue
    return read()


def deduplicated(table: pa.Table) -> pa.Table:
    """Return the last revision for each stream and time, sorted by them."""
    ordered = table.sort_by(
        [("stream", "ascending"), ("time", "ascending"), ("batch", "ascending")]
    )
    return ordered.filter(_is_last(ordered, ["stream", "time"]))


def _is_last(table: pa.Table, keys: Sequence[str]) -> ArrowArray:
    """Return whether each row of a sorted table is the last with its keys."""
    is_last = np.ones(len(table), dtype=bool)
    if len(table) > 1:
        differs = np.zeros(len(table) - 1, dtype=bool)
        for key in keys:
            column = table[key].combine_chunks()
            differs |= pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
        is_last[:-1] = differs
    return pa.array(is_last)
