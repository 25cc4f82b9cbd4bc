"""Parquet and GeoParquet."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyproj

from cityframe.config.source import Feed
from cityframe.connectors.columns import frame
from cityframe.connectors.contents import ContentFile, staged
from cityframe.connectors.geometry import from_wkb
from cityframe.connectors.headers import check_names
from cityframe.connectors.limits import MAX_UNPACKED_BYTES
from cityframe.core.source_table import GeometryArray, SourceTable
from cityframe.errors import DeclarationError, QuarantinedError

_LON_LAT = "EPSG:4326"
"""What GeoParquet means by a missing CRS: OGC:CRS84, in x, y like all coordinates here."""


def read_parquet(file: ContentFile, feed: Feed) -> SourceTable:
    """Read a Parquet file; of a GeoParquet file the primary geometry.

    Raises
    ------
    QuarantinedError
        If the file is damaged, unpacks to too much, or its geometry is not well-known binary.
    """
    if feed.table:
        raise DeclarationError(
            found=f"table {feed.table!r} for {file.path}", remedy="a Parquet file has one table"
        )
    with tempfile.TemporaryDirectory() as folder:
        staged({file.name: file}, Path(folder))
        try:
            with pq.ParquetFile(Path(folder, file.name)) as source:
                _check_size(source, file.path)
                check_names(file.path, source.schema_arrow.names)
                metadata = source.schema_arrow.metadata or {}
                table = source.read()
        except (pa.ArrowException, OSError) as error:
            raise QuarantinedError(
                found=f"a damaged Parquet file ({error})",
                where=file.path,
                expected="Parquet",
                remedy="have the source write it again",
            ) from error
    geo = _geo(metadata, file.path)
    geometry: GeometryArray | None = None
    crs: str | None = None
    defects: dict[int, str] = {}
    if geo is not None:
        name = geo["primary_column"]
        geometry, defects = _geometry(table, name, file.path)
        crs = _crs(geo["columns"][name], file.path)
        table = table.drop_columns([name])
    return SourceTable(
        file=file.path,
        table="",
        frame=frame(dict(zip(table.column_names, table.columns, strict=True)), table.num_rows),
        geometry=geometry,
        crs=crs,
        defects=defects,
    )


def _check_size(source: pq.ParquetFile, where: str) -> None:
    groups = [source.metadata.row_group(place) for place in range(source.num_row_groups)]
    total = sum(group.total_byte_size for group in groups)
    if total > MAX_UNPACKED_BYTES:
        raise QuarantinedError(
            found=f"{total} bytes unpacked", where=where, expected=f"at most {MAX_UNPACKED_BYTES}"
        )


def _geo(metadata: Mapping[bytes, bytes], where: str) -> Any:
    if b"geo" not in metadata:
        return None
    try:
        geo = json.loads(metadata[b"geo"])
        column = geo["columns"][geo["primary_column"]]
        encoding = column["encoding"]
    except (ValueError, KeyError, TypeError) as error:
        raise QuarantinedError(
            found=f"damaged GeoParquet metadata ({error})", where=where, expected="GeoParquet 1.1"
        ) from error
    if encoding != "WKB":
        raise QuarantinedError(
            found=f"geometry encoding {encoding!r}",
            where=where,
            expected="WKB",
            remedy="have the source write GeoParquet with WKB",
        )
    return geo


def _geometry(table: pa.Table, name: str, where: str) -> tuple[GeometryArray, dict[int, str]]:
    if name not in table.column_names:
        raise QuarantinedError(
            found=f"no column {name!r}", where=where, expected="the geometry that the file names"
        )
    encoded = table[name]
    if isinstance(encoded.type, pa.BaseExtensionType):
        encoded = encoded.cast(encoded.type.storage_type)
    return from_wkb(encoded.to_pylist())


def _crs(column: Mapping[str, Any], where: str) -> str | None:
    if "crs" not in column:
        return _LON_LAT
    if column["crs"] is None:
        return None
    try:
        crs = pyproj.CRS.from_json_dict(column["crs"])
    except (pyproj.exceptions.CRSError, TypeError) as error:
        raise QuarantinedError(
            found=f"a CRS that can't be read ({error})", where=where, expected="PROJJSON"
        ) from error
    authority = crs.to_authority(min_confidence=100)
    if authority is None:
        return str(crs.to_wkt())
    code = ":".join(authority)
    return _LON_LAT if code == "OGC:CRS84" else code
