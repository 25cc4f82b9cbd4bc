"""What a delivery holds: its files, and the tables inside those that its source's feeds mean."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from cityframe.config.source import Source
from cityframe.connectors.contents import contents
from cityframe.connectors.datasets import Dataset, matching_datasets
from cityframe.connectors.formats import SPREADSHEET_SUFFIXES, VECTOR_FORMATS
from cityframe.connectors.spreadsheet import sheet_names
from cityframe.connectors.vector import layer_names

_ONE_TABLE = frozenset({".shp", ".dbf", ".fgb", ".tab", ".mif"})
"""Vector formats whose only table is called as the file."""


def file_sizes(files: Path) -> Mapping[str, int]:
    """Return the bytes of each file of a delivery by its path, those inside archives too.

    Raises
    ------
    QuarantinedError
        If an archive is damaged or hostile.
    """
    return {file.path: file.size for file in contents(files)}


def tables_held(files: Path, source: Source) -> frozenset[str]:
    """Return the names of the tables in the files that any feed of the source means.

    Layers and sheets by their names, whether or not a feed reads them; a format with one table
    by the file's stem.

    Raises
    ------
    QuarantinedError
        If a file can't be read at all, or is hostile.
    """
    found = contents(files)
    datasets = {
        one.path: one for feed in source.feeds for one in matching_datasets(found, feed.file)
    }
    return frozenset(name for dataset in datasets.values() for name in _names(dataset))


def _names(dataset: Dataset) -> list[str]:
    if dataset.suffix in SPREADSHEET_SUFFIXES:
        return sheet_names(dataset.main)
    if dataset.suffix in VECTOR_FORMATS and dataset.suffix not in _ONE_TABLE:
        return layer_names(dataset)
    return [PurePosixPath(dataset.path).stem]
