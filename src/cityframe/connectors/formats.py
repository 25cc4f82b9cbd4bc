"""The file formats that are read, and which files belong together."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class VectorFormat:
    """How files of one suffix are read with GDAL.

    Attributes
    ----------
    drivers : tuple of str
        The only GDAL drivers that may open it.
    companions : tuple of str
        Suffixes of the files that belong to it.
    options : mapping of str to str
        Open options of the driver.
    has_encoding : bool
        Whether its text has an encoding that the file may not say.
    is_copied : bool
        Whether the driver writes beside the file, so that it needs a copy.
    """

    drivers: tuple[str, ...]
    companions: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    is_xml: bool = False
    has_encoding: bool = False
    is_copied: bool = False


_GML_OPTIONS = {"WRITE_GFS": "NO", "DOWNLOAD_SCHEMA": "NO", "EXPOSE_GML_ID": "YES"}
VECTOR_FORMATS: Mapping[str, VectorFormat] = {
    ".shp": VectorFormat(("ESRI Shapefile",), (".shx", ".dbf", ".prj", ".cpg"), has_encoding=True),
    ".dbf": VectorFormat(("ESRI Shapefile",), (".cpg",), has_encoding=True),
    # SQLite takes in what lies in a journal, and writes to do so
    ".gpkg": VectorFormat(("GPKG",), (".gpkg-wal", ".gpkg-journal"), is_copied=True),
    ".fgb": VectorFormat(("FlatGeobuf",)),
    ".gdb": VectorFormat(("OpenFileGDB",)),
    ".tab": VectorFormat(("MapInfo File",), (".dat", ".map", ".id", ".ind")),
    ".mif": VectorFormat(("MapInfo File",), (".mid",)),
    ".dxf": VectorFormat(("DXF",)),
    ".dgn": VectorFormat(("DGN",)),
    ".gml": VectorFormat(("GML",), options=_GML_OPTIONS, is_xml=True),
    ".xml": VectorFormat(("LVBAG",), is_xml=True),
    ".kml": VectorFormat(("LIBKML",), is_xml=True),
    ".gpx": VectorFormat(("GPX",), is_xml=True),
    ".topojson": VectorFormat(("TopoJSON",)),
}
TEXT_SUFFIXES = frozenset({".csv", ".tsv", ".txt"})
JSON_SUFFIXES = frozenset({".geojson", ".json"})
SPREADSHEET_SUFFIXES = frozenset({".xlsx", ".xlsm"})
PARQUET_SUFFIXES = frozenset({".parquet", ".geoparquet"})
SUFFIXES = frozenset(
    {
        *VECTOR_FORMATS, *TEXT_SUFFIXES, *JSON_SUFFIXES, *SPREADSHEET_SUFFIXES, *PARQUET_SUFFIXES,
    }
)  # fmt: skip
NAMED_ONLY = frozenset({".txt", ".xml", ".dbf"})
"""Suffixes that often hold no data: such files are read only if the feed's pattern ends so."""
FOLDER_SUFFIX = ".gdb"
"""Suffix of a format that is a folder."""
