"""The tables of a layer in a package: their columns in Arrow, and the way from and to layer frames.

=======  ==========================================================================
full     ``uid, valid_from, delivery, record, basis``, attributes, geometry; sorted
         by uid
sides    ``side, change``, then as in full; sorted by uid, and within a uid the row
         ``before`` first, then ``after``: the GeoPackage of a change, for people
=======  ==========================================================================
"""

from collections.abc import Iterable, Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyproj
import shapely

from cityframe.core.frames import SYSTEM_COLUMN_TYPES, with_column_types
from cityframe.errors import DeclarationError
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer

compute: Any = pyarrow.compute
"""Its stubs refuse most of what it takes: texts, chunked columns."""
GEOMETRY = "geometry"
GROUP_ROWS = 65536
"""Rows of a Parquet row group, and of all that is read and written at once."""

_ARROW_TYPES: dict[AttributeType, pa.DataType] = {
    AttributeType.STRING: pa.string(),
    AttributeType.INTEGER: pa.int64(),
    AttributeType.REAL: pa.float64(),
    AttributeType.BOOLEAN: pa.bool_(),
    AttributeType.DATE: pa.date32(),
    AttributeType.DATETIME: pa.timestamp("us", tz="UTC"),
}
SYSTEM_TYPES: dict[str, pa.DataType] = {
    "uid": pa.string(),
    "valid_from": pa.timestamp("us", tz="UTC"),
    "delivery": pa.string(),
    "record": pa.int64(),
    "basis": pa.string(),
}
PROVENANCE = ("delivery", "record", "basis")
_PANDAS_TYPES: dict[pa.DataType, pd.api.extensions.ExtensionDtype] = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def table_schema(layer: Layer, *, with_sides: bool = False) -> pa.Schema:
    """Return the Arrow schema of a layer's table; geometry is WKB, last, if the layer has any."""
    sides = ("side", "change") if with_sides else ()
    fields: list[pa.Field[Any]] = [pa.field(name, pa.string()) for name in sides]
    fields += [pa.field(name, kind) for name, kind in SYSTEM_TYPES.items()]
    fields += [pa.field(one.name, attribute_type(one)) for one in layer.attributes]
    if layer.geometry is not GeometryType.NONE:
        fields.append(pa.field(GEOMETRY, pa.binary()))
    return pa.schema(fields)


def attribute_type(attribute: Attribute) -> pa.DataType:
    """Return the Arrow type of an attribute's column."""
    return _ARROW_TYPES[attribute.type]


def with_provenance(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the frame with null provenance in columns where none is known."""
    missing = [name for name in PROVENANCE if name not in frame.columns]
    if not missing:
        return frame
    nulls = {
        name: pd.Series([None] * len(frame), index=frame.index, dtype=SYSTEM_COLUMN_TYPES[name])
        for name in missing
    }
    return frame.assign(**nulls)


def to_batch(frame: gpd.GeoDataFrame, layer: Layer, schema: pa.Schema) -> pa.RecordBatch:
    """Return a layer frame as Arrow; columns that the schema does not name are left out.

    Raises
    ------
    DeclarationError
        If a column is missing or the CRS is not the layer's.
    """
    missing = [name for name in schema.names if name not in frame.columns]
    if missing:
        raise DeclarationError(
            where=f"layer {layer.name}",
            found=f"no column {missing[0]!r}",
            expected=f"columns {', '.join(schema.names)}",
        )
    if frame.crs is None or frame.crs != pyproj.CRS(layer.crs):
        raise DeclarationError(
            where=f"layer {layer.name}", found=f"rows in {frame.crs}", expected=layer.crs
        )
    typed = with_column_types(frame, layer)
    return pa.record_batch(
        [_array(typed, layer, field) for field in schema],
        schema=schema,
    )


def _array(frame: gpd.GeoDataFrame, layer: Layer, field: "pa.Field[Any]") -> "pa.Array[Any]":
    if field.name == GEOMETRY:
        wkb = shapely.to_wkb(
            frame.geometry.to_numpy(),
            byte_order=1,
            flavor="iso",
            output_dimension=3 if layer.has_z else 2,
        )
        geometry: pa.Array[Any] = pa.array(wkb, type=field.type)
        return geometry
    values = pa.array(frame[field.name], type=field.type, from_pandas=True)
    # a text column joined of several frames has several chunks
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def to_frame(batch: pa.RecordBatch, layer: Layer) -> gpd.GeoDataFrame:
    """Return Arrow rows as a layer frame with the system columns that they have.

    Raises
    ------
    GEOSException
        If a geometry is not WKB.
    """
    columns = [name for name in batch.schema.names if name != GEOMETRY]
    plain = batch.select(columns).to_pandas(types_mapper=_PANDAS_TYPES.get, date_as_object=False)
    if layer.geometry is GeometryType.NONE:
        geometry = np.full(len(plain), None, dtype=object)
    else:
        geometry = shapely.from_wkb(batch.column(GEOMETRY).to_numpy(zero_copy_only=False))
    frame = gpd.GeoDataFrame(plain, geometry=gpd.GeoSeries(geometry, crs=layer.crs))
    return with_column_types(frame, layer)


def in_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Cut batches of any size into groups of `GROUP_ROWS`, the last one smaller.

    So the bytes of a file do not depend on how its rows were read.
    """
    pending: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        pending.append(batch)
        rows += batch.num_rows
        if rows >= GROUP_ROWS:
            table = pa.Table.from_batches(pending, schema=schema)
            whole = rows - rows % GROUP_ROWS
            for start in range(0, whole, GROUP_ROWS):
                yield _one_batch(table.slice(start, GROUP_ROWS))
            pending, rows = table.slice(whole).to_batches(), rows - whole
    if rows:
        yield _one_batch(pa.Table.from_batches(pending, schema=schema))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]
