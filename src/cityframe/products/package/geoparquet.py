"""A layer's table as GeoParquet 1.1: WKB, one file, row groups of one size.

Without geometry it is plain Parquet. The CRS stands in the file as PROJJSON.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely

from cityframe.errors import IntegrityError
from cityframe.model.layer import GeometryType, Layer
from cityframe.products.package.table import (
    GEOMETRY,
    GROUP_ROWS,
    in_groups,
    table_schema,
    to_batch,
    to_frame,
)

_VERSION = "1.1.0"


def write_geoparquet(path: Path, frames: Iterable[gpd.GeoDataFrame], layer: Layer) -> None:
    """Write a layer's table; one batch is in memory at a time.

    Parameters
    ----------
    frames : iterable of GeoDataFrame
        Layer frames with the system columns of a full table, in the order of the file.
    """
    schema = table_schema(layer)
    extent = _Extent()

    def batches() -> Iterator[pa.RecordBatch]:
        for frame in frames:
            if layer.geometry is not GeometryType.NONE:
                extent.add(frame)
            yield to_batch(frame, layer, schema)

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in in_groups(batches(), schema):
            writer.write_batch(batch, row_group_size=GROUP_ROWS)
        if layer.geometry is not GeometryType.NONE:
            writer.add_key_value_metadata({"geo": json.dumps(extent.metadata(layer.crs))})


def read_geoparquet(path: Path, layer: Layer) -> Iterator[gpd.GeoDataFrame]:
    """Read a layer's table of a full package in batches.

    Raises
    ------
    IntegrityError
        If the columns or the CRS are not those of the contract.
    """
    schema = table_schema(layer)
    with pq.ParquetFile(path) as file:
        if not file.schema_arrow.remove_metadata().equals(schema):
            raise IntegrityError(
                where=str(path),
                found=f"columns {_columns(file.schema_arrow)}",
                expected=_columns(schema),
            )
        if layer.geometry is not GeometryType.NONE:
            _check_crs(path, file.metadata.metadata or {}, layer)
        for batch in file.iter_batches(batch_size=GROUP_ROWS):
            yield to_frame(batch, layer)


def geoparquet_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Give the rows of a file that this module wrote, as they are."""
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=GROUP_ROWS)


class _Extent:
    """Gathers what the file's metadata says of all geometries."""

    def __init__(self) -> None:
        self._types: set[str] = set()
        self._low = np.full(2, np.inf)
        self._high = np.full(2, -np.inf)

    def add(self, frame: gpd.GeoDataFrame) -> None:
        geometry = frame.geometry.to_numpy()
        present = geometry[~shapely.is_missing(geometry)]
        kinds = np.stack([shapely.get_type_id(present), shapely.has_z(present)], axis=1)
        for kind, has_z in np.unique(kinds, axis=0):
            name = _TYPE_NAMES[int(kind)]
            self._types.add(f"{name} Z" if has_z else name)
        # an empty geometry has NaN bounds, which fmin and fmax pass over
        bounds = shapely.bounds(present)
        self._low = np.fmin(self._low, np.fmin.reduce(bounds[:, :2], axis=0, initial=np.inf))
        self._high = np.fmax(self._high, np.fmax.reduce(bounds[:, 2:], axis=0, initial=-np.inf))

    def metadata(self, crs: str) -> dict[str, Any]:
        column: dict[str, Any] = {
            "encoding": "WKB",
            "crs": pyproj.CRS(crs).to_json_dict(),
            "geometry_types": sorted(self._types),
        }
        if np.isfinite(self._low).all():
            column["bbox"] = [*self._low.tolist(), *self._high.tolist()]
        return {"version": _VERSION, "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}


_TYPE_NAMES = {
    kind.value: name
    for kind, name in (
        (shapely.GeometryType.POINT, "Point"),
        (shapely.GeometryType.LINESTRING, "LineString"),
        (shapely.GeometryType.POLYGON, "Polygon"),
        (shapely.GeometryType.MULTIPOINT, "MultiPoint"),
        (shapely.GeometryType.MULTILINESTRING, "MultiLineString"),
        (shapely.GeometryType.MULTIPOLYGON, "MultiPolygon"),
    )
}


def _check_crs(path: Path, metadata: dict[bytes, bytes], layer: Layer) -> None:
    geo = json.loads(metadata.get(b"geo", b"null"))
    expected = pyproj.CRS(layer.crs).to_json_dict()
    found = geo["columns"][geo["primary_column"]].get("crs") if geo else None
    if found is None or found.get("id") != expected.get("id"):
        raise IntegrityError(
            where=str(path),
            found=f"CRS {found.get('id') if found else None}",
            expected=str(expected.get("id")),
        )


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
