"""Read the tables of a delivery that one feed means."""

from pathlib import Path

from cityframe.config.source import Feed, Source
from cityframe.connectors.contents import contents
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
from cityframe.errors import QuarantinedError
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
