"""The tables of a package in one GeoPackage, written by GDAL.

What would make two builds differ is taken out: the time of the last change is the release's own,
and the file is copied page by page (``VACUUM INTO``), which leaves its count of writes behind.
"""

import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyogrio
import pyogrio.raw

from cityframe.errors import DeclarationError, IntegrityError
from cityframe.model.layer import AttributeType, GeometryType, Layer
from cityframe.products.package.table import GEOMETRY, GROUP_ROWS, table_schema, to_frame

_MAGIC = b"SQLite format 3\x00"


def append_to_geopackage(
    path: Path, batches: Iterable[pa.RecordBatch], layer: Layer, *, with_sides: bool
) -> None:
    """Write a layer's table into a GeoPackage that has no such table yet; make the file if needed.

    The rows must have passed `check_moments`.
    """
    schema = table_schema(layer, with_sides=with_sides)
    has_geometry = layer.geometry is not GeometryType.NONE
    options = {"FID": "fid", "IDENTIFIER": layer.name, "DESCRIPTION": layer.title.zh}
    if has_geometry:
        options["GEOMETRY_NAME"] = "geom"
    pyogrio.raw.write_arrow(
        pa.RecordBatchReader.from_batches(schema, batches),
        path,
        layer=layer.name,
        driver="GPKG",
        geometry_name=GEOMETRY if has_geometry else None,
        geometry_type=f"{layer.geometry}{' Z' if layer.has_z else ''}" if has_geometry else None,
        crs=layer.crs if has_geometry else None,
        append=path.exists(),
        dataset_options={} if path.exists() else {"VERSION": "1.4"},
        layer_options=options,
    )


def finish_geopackage(path: Path, changed_at: str) -> None:
    """Set the time of the last change (ISO 8601) and copy the file page by page."""
    moment = dt.datetime.fromisoformat(changed_at).astimezone(dt.UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE gpkg_contents SET last_change = ?", (text,))
        copy = path.with_suffix(".copy")
        connection.execute("VACUUM INTO ?", (str(copy),))
    copy.replace(path)


def check_geopackage(path: Path, layers: Iterable[str]) -> None:
    """Check that a file is a GeoPackage with just these tables.

    Raises
    ------
    IntegrityError
        If it is not.
    """
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    if magic != _MAGIC:
        raise IntegrityError(where=str(path), found=f"{magic!r}", expected="a SQLite file")
    found = sorted(str(name) for name in pyogrio.list_layers(path)[:, 0])
    if found != sorted(layers):
        raise IntegrityError(
            where=str(path), found=f"tables {found}", expected=f"tables {sorted(layers)}"
        )


def read_geopackage(path: Path, layer: Layer) -> Iterator[gpd.GeoDataFrame]:
    """Read a layer's table of a full package in batches.

    Raises
    ------
    IntegrityError
        If the columns or the CRS are not those of the contract.
    """
    schema = table_schema(layer)
    has_geometry = layer.geometry is not GeometryType.NONE
    with pyogrio.raw.open_arrow(path, layer=layer.name, batch_size=GROUP_ROWS) as (meta, stream):
        reader = pa.RecordBatchReader.from_stream(stream)
        names = [GEOMETRY if name == "geom" else name for name in reader.schema.names]
        if sorted(names) != sorted(schema.names):
            raise IntegrityError(
                where=f"{path} table {layer.name}",
                found=f"columns {', '.join(names)}",
                expected=", ".join(schema.names),
            )
        if has_geometry and meta["crs"] != layer.crs:
            raise IntegrityError(
                where=f"{path} table {layer.name}", found=f"CRS {meta['crs']}", expected=layer.crs
            )
        for batch in reader:
            columns = [batch.column(names.index(field.name)).cast(field.type) for field in schema]
            yield to_frame(pa.record_batch(columns, schema=schema), layer)


def check_moments(frame: gpd.GeoDataFrame, layer: Layer) -> None:
    """Check that a GeoPackage can hold the moments in a layer frame.

    Raises
    ------
    DeclarationError
        If one is finer than milliseconds, or than seconds before 1970.
    """
    names = [one.name for one in layer.attributes if one.type is AttributeType.DATETIME]
    for name in ("valid_from", *names):
        moments = frame[name].dropna()
        microseconds = moments.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype("i8")
        # GDAL turns a fraction of a second before 1970 into the next second
        too_fine = (microseconds % 1000 != 0) | ((microseconds < 0) & (microseconds % 10**6 != 0))
        if too_fine.any():
            raise DeclarationError(
                where=f"layer {layer.name} column {name}",
                found=str(moments.iloc[int(np.flatnonzero(too_fine)[0])]),
                expected="whole milliseconds, and before 1970 whole seconds, for a GeoPackage",
                remedy="round the moments in the source's mapping, or build geoparquet only",
            )
