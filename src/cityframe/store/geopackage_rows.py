"""Rows in the forms of SQLite and GDAL: moments as text, geometries as blobs, and back."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyogrio.errors
import pyogrio.raw

from cityframe.core.arrow_rows import GEOMETRY, MOMENT
from cityframe.errors import IntegrityError, SourceUnreachableError
from cityframe.model.layer import GeometryType, Layer
from cityframe.store import geopackage
from cityframe.store.ahead import ahead
from cityframe.store.home import Bulk

FID = "number_of_row"
"""How a query names the number of a row, which GDAL would keep out of the rows."""
_SECONDS, _MILLISECONDS = pa.timestamp("s", tz="UTC"), pa.timestamp("ms", tz="UTC")


def as_sqlite(rows: pa.Table, layer: Layer) -> pa.Table:
    """Return rows in the types of SQLite's driver: moments and dates as text, geometry as blobs."""
    rows = with_text_moments(rows)
    for place, field in enumerate(rows.schema):
        if pa.types.is_date(field.type):
            rows = rows.set_column(place, field.name, rows.column(place).cast(pa.string()))
    if layer.geometry is GeometryType.NONE:
        return rows
    return geopackage.geometry_blobs(rows, layer)


def with_text_moments(rows: pa.Table) -> pa.Table:
    """Return rows with moments as text: valid times in seconds, others in milliseconds."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            kind: Any = _SECONDS if field.name in ("valid_from", "valid_to") else _MILLISECONDS
            rows = rows.set_column(place, field.name, _text(rows.column(place).cast(kind)))
    return rows


def _text(moments: Any) -> "pa.Array[Any]":
    # few different ones in many rows, and formatting is slow
    encoded: Any = moments.combine_chunks().dictionary_encode()
    texts: Any = pc.strftime(encoded.dictionary, format="%Y-%m-%dT%H:%M:%SZ")
    result: pa.Array[Any] = texts.take(encoded.indices)
    return result


def as_agreed(batch: pa.RecordBatch, moments: Sequence[str], fid: str) -> pa.RecordBatch:
    """Return what GDAL read in the agreed types; it gives moments without a zone or as text.

    The column `FID` gets the name that the table has for it.
    """
    columns, fields = [], []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        value = column
        if name in moments:
            value = _moment(column)
        elif pa.types.is_int32(column.type) or pa.types.is_int16(column.type):
            value = column.cast(pa.int64())
        columns.append(value)
        fields.append(pa.field(fid if name == FID else name, value.type))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _moment(column: Any) -> "pa.Array[Any]":
    if pa.types.is_timestamp(column.type) and column.type.tz is None:
        column = pc.assume_timezone(column, "UTC")
    moments: pa.Array[Any] = column.cast(MOMENT)
    return moments


def write_bulk(path: Path, bulk: Bulk) -> None:
    """Write the first rows of a layer as a table of a GeoPackage, with its R-tree.

    Raises
    ------
    SourceUnreachableError
        If the file can't be written.
    """
    layer = bulk.layer
    has_geometry = layer.geometry is not GeometryType.NONE
    batches = iter(bulk.batches)
    first = next(batches, None)
    if first is None:
        raise IntegrityError(where=f"layer {layer.name}", found="no rows", expected="some")

    def plain() -> Iterator[pa.RecordBatch]:
        for batch in (first, *batches):
            yield from with_text_moments(pa.Table.from_batches([batch])).to_batches()

    schema = with_text_moments(first.schema.empty_table()).schema
    kind = f"{layer.geometry}{' Z' if layer.has_z else ''}"
    try:
        with ahead(plain()) as rows:
            pyogrio.raw.write_arrow(
                pa.RecordBatchReader.from_batches(schema, rows),
                path,
                layer=layer.name,
                append=path.exists(),
                driver="GPKG",
                geometry_name=GEOMETRY if has_geometry else None,
                geometry_type=kind if has_geometry else None,
                crs=layer.crs if has_geometry else None,
                layer_options={"FID": "fid", **({"GEOMETRY_NAME": "geom"} if has_geometry else {})},
            )
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise SourceUnreachableError(
            where=str(path.parent),
            found=f"the file of first rows can't be written ({error})",
            remedy="nothing was written; make room or look at the disk, then try again",
        ) from error
