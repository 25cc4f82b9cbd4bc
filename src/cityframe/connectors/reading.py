"""Read the tables of a delivery that one feed means."""

from glob import escape
from pathlib import Path

from cityframe.config.source import Feed, Source
from cityframe.connectors.contents import ARCHIVE_SUFFIXES, contents, single
from cityframe.connectors.datasets import Dataset, matching_datasets
from cityframe.connectors.delimited import read_delimited
from cityframe.connectors.formats import (
    JSON_SUFFIXES,
    PARQUET_SUFFIXES,
    SPREADSHEET_SUFFIXES,
    TEXT_SUFFIXES,
)
from cityframe.connectors.geojson import read_geojson
from cityframe.connectors.parquet import read_parquet
from cityframe.connectors.spreadsheet import read_spreadsheet
from cityframe.connectors.vector import read_vector
from cityframe.core.source_table import SourceTable
from cityframe.errors import DeclarationError, QuarantinedError
from cityframe.model.delivery import DeliveryKind


def read_tables(files: Path, source: Source, feed: Feed) -> list[SourceTable]:
    """Read the tables that a feed means: one for each file that matches, ordered by path.

    Parameters
    ----------
    files : Path
        Folder with the landed bytes of a delivery; nothing is written to it.

    Returns
    -------
    list of SourceTable
        Empty if the delivery does not hold the feed's file, or, where a missing layer is
        unchanged, the file does not hold the feed's table.

    Raises
    ------
    QuarantinedError
        If a file can't be read at all, is hostile, or does not hold the feed's table.
    DeclarationError
        If the feed does not say which table or encoding it means, or names what does not exist.
    """
    tables: list[SourceTable] = []
    for dataset in matching_datasets(contents(files), feed.file):
        table = _read(dataset, feed)
        if table is not None:
            tables.append(table)
        elif source.delivery is not DeliveryKind.LAYERS_CHANGED_ONLY:
            raise QuarantinedError(
                found=f"no table {feed.table!r}",
                where=dataset.path,
                expected=f"the table of the feed for layer {feed.layer}",
                remedy="have the source deliver it, or mend table in the feed",
            )
    return tables


def read_file(path: Path, table: str = "") -> SourceTable:
    """Read one table of a file that belongs to no delivery.

    Parameters
    ----------
    path : Path
        A file of a known format, a zip archive that holds one, or a folder that is one (.gdb).
    table : str
        Layer or sheet; empty for the only one.

    Raises
    ------
    DeclarationError
        If there is no such file, nothing reads it, or it is not clear what is meant.
    QuarantinedError
        If it can't be read, is hostile, or has no such table.
    """
    is_archive = path.suffix.casefold() in ARCHIVE_SUFFIXES
    feed = Feed(
        layer="file", file="*" if is_archive else escape(path.name), table=table, columns={}
    )
    datasets = matching_datasets(single(path), feed.file)
    if len(datasets) != 1:
        raise DeclarationError(
            found=", ".join(one.path for one in datasets) or "no table",
            where=str(path),
            expected="one file that can be read",
            remedy="name a file of a known format; unpack an archive that holds several",
        )
    read = _read(datasets[0], feed)
    if read is None:
        raise QuarantinedError(
            found=f"no table {table!r}", where=str(path), remedy="name one that it holds"
        )
    return read


def _read(dataset: Dataset, feed: Feed) -> SourceTable | None:
    if dataset.suffix in TEXT_SUFFIXES:
        return read_delimited(dataset.main, feed)
    if dataset.suffix in JSON_SUFFIXES:
        return read_geojson(dataset.main, feed)
    if dataset.suffix in SPREADSHEET_SUFFIXES:
        return read_spreadsheet(dataset.main, feed)
    if dataset.suffix in PARQUET_SUFFIXES:
        return read_parquet(dataset.main, feed)
    return read_vector(dataset, feed)
