"""Features as Arrow: the form in which many rows pass between files, databases and digests.

Columns have the types of `ARROW_TYPES`; the geometry is ISO WKB, little-endian, with heights where
the layer has them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from cityframe.core.frames import COLUMN_TYPES, SYSTEM_COLUMN_TYPES
from cityframe.model.layer import AttributeType, GeometryType, Layer

MOMENT = pa.timestamp("us", tz="UTC")
ARROW_TYPES: dict[AttributeType, "pa.DataType"] = {
    AttributeType.STRING: pa.string(),
    AttributeType.INTEGER: pa.int64(),
    AttributeType.REAL: pa.float64(),
    AttributeType.BOOLEAN: pa.bool_(),
    AttributeType.DATE: pa.date32(),
    AttributeType.DATETIME: MOMENT,
}
GEOMETRY = "geom"
_COLUMN_TYPES_OF_SYSTEM: dict[str, "pa.DataType"] = {
    "str": pa.string(),
    "Int64": pa.int64(),
    "object": pa.binary(),
    "datetime64[us, UTC]": MOMENT,
    "bool": pa.bool_(),
}


def row_schema(layer: Layer, system: Iterable[str] = ()) -> pa.Schema:
    """Return the Arrow schema of a layer's rows: system columns, attributes, geometry."""
    fields = [pa.field(name, _COLUMN_TYPES_OF_SYSTEM[SYSTEM_COLUMN_TYPES[name]]) for name in system]
    fields += [pa.field(one.name, ARROW_TYPES[one.type]) for one in layer.attributes]
    if layer.geometry is not GeometryType.NONE:
        fields.append(pa.field(GEOMETRY, pa.binary()))
    return pa.schema(fields)


def to_arrow(frame: gpd.GeoDataFrame, layer: Layer, system: Iterable[str] = ()) -> pa.Table:
    """Return a layer frame as Arrow.

    Parameters
    ----------
    frame : GeoDataFrame, n rows
        Layer frame with all attributes and the system columns, in the layer's CRS.
    layer : Layer
        The contract.
    system : iterable of str
        Names of the system columns, in the order wanted.

    Returns
    -------
    Table, n rows
        Of `row_schema`.
    """
    schema = row_schema(layer, system)
    arrays = [
        pa.array(wkb_of(frame.geometry.to_numpy(), layer), type=pa.binary())
        if field.name == GEOMETRY
        else _array(frame[field.name], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def to_frame(table: pa.Table, layer: Layer) -> gpd.GeoDataFrame:
    """Return Arrow rows as a layer frame with the system columns that they have."""
    names = [name for name in table.column_names if name != GEOMETRY]
    columns: dict[str, Any] = {}
    types = _column_types(layer)
    for name in names:
        columns[name] = _series(table.column(name), types.get(name))
    geometry = (
        np.full(table.num_rows, None, dtype=object)
        if layer.geometry is GeometryType.NONE or GEOMETRY not in table.column_names
        else shapely.from_wkb(table.column(GEOMETRY).to_numpy())
    )
    return gpd.GeoDataFrame(
        pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows)),
        geometry=gpd.GeoSeries(geometry, crs=layer.crs),
        crs=layer.crs,
    )


def wkb_of(geometry: "np.ndarray[Any, np.dtype[np.object_]]", layer: Layer) -> Any:
    """Return geometries as ISO WKB, with heights where the layer has them; null stays null."""
    return shapely.to_wkb(
        geometry, byte_order=1, flavor="iso", output_dimension=3 if layer.has_z else 2
    )


def _column_types(layer: Layer) -> Mapping[str, str]:
    attributes = {one.name: COLUMN_TYPES[one.type] for one in layer.attributes}
    return {**SYSTEM_COLUMN_TYPES, **attributes}


def _array(column: pd.Series, kind: "pa.DataType") -> "pa.Array[Any] | pa.ChunkedArray[Any]":
    if pa.types.is_binary(kind):
        # bytes of digests; pandas' own conversion looks at each value twice
        return pa.array(column.to_numpy(dtype=object), type=kind)
    return pa.array(column, type=kind, from_pandas=True)


def _series(column: Any, kind: str | None) -> Any:
    if kind is None or kind == "object":
        return pd.Series(column.to_numpy(), dtype=object)
    if kind == "bool":
        return column.fill_null(False).to_pandas()
    if kind in ("Int64", "boolean"):
        return column.to_pandas(types_mapper=_NULLABLE.get).astype(kind)
    if kind == "str":
        return column.cast(pa.large_string()).to_pandas().astype("str")
    series = column.to_pandas(date_as_object=False)
    return series if str(series.dtype) == kind else series.astype(kind)


_NULLABLE = {
    pa.int64(): pd.Int64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
