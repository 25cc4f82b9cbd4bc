"""The file of one layer's changes in a candidate: GeoParquet, with a digest a row."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj

from cityframe.core.arrow_rows import GEOMETRY, MOMENT, to_arrow
from cityframe.core.digest import row_digests_of
from cityframe.errors import DeclarationError
from cityframe.model.change import CHANGE_COLUMNS
from cityframe.model.layer import GeometryType, Layer
from cityframe.store.ahead import ahead
from cityframe.store.layer_plan import microseconds

GROUP_ROWS = 65_536
LIGHT_FIELDS: dict[str, "pa.DataType"] = {
    "uid": pa.string(),
    "change": pa.string(),
    "delivery": pa.string(),
    "valid_from": MOMENT,
    "valid_to": MOMENT,
    "digest": pa.binary(),
}


def write_changes(path: Path, frames: Iterable[gpd.GeoDataFrame], layer: Layer) -> pd.DataFrame:
    """Write a layer's changes with their digests, batch by batch; return their `light_rows`.

    Raises
    ------
    DeclarationError
        If a period ends before it begins, or a moment is finer than the store holds.
    """
    lights: list[pa.Table] = []
    writer: pq.ParquetWriter | None = None
    with ahead(_digested(frames, layer)) as tables:
        for rows in tables:
            if writer is None:
                writer = pq.ParquetWriter(path, rows.schema, compression="zstd")
            writer.write_table(rows, row_group_size=GROUP_ROWS)
            lights.append(rows.select(list(LIGHT_FIELDS)))
    if writer is None:
        return light_rows(pa.schema(LIGHT_FIELDS).empty_table())
    writer.close()
    return light_rows(pa.concat_tables(lights))


def _digested(frames: Iterable[gpd.GeoDataFrame], layer: Layer) -> Iterator[pa.Table]:
    for frame in frames:
        if frame.empty:
            continue
        rows = to_arrow(frame, layer, CHANGE_COLUMNS)
        _check_moments(rows, layer)
        rows = rows.add_column(len(CHANGE_COLUMNS), "digest", row_digests_of(rows, layer))
        yield rows.cast(_with_geo(rows.schema, layer))


def light_rows(rows: pa.Table) -> pd.DataFrame:
    """Return what a timeline needs of changes (`LIGHT_FIELDS`), periods in microseconds."""
    return pd.DataFrame(
        {
            "uid": rows.column("uid").to_pandas(),
            "change": rows.column("change").to_pandas(),
            "delivery": rows.column("delivery").to_pandas(),
            "digest": rows.column("digest").to_pandas(),
            "valid_from": rows.column("valid_from").cast(pa.int64()).to_numpy(),
            "valid_to": microseconds(rows.column("valid_to")),
        }
    )


def _check_moments(rows: pa.Table, layer: Layer) -> None:
    """Check that periods end after they begin, and that no moment is finer than both homes hold.

    That is seconds for valid times, else milliseconds.
    """
    begins, ends = microseconds(rows.column("valid_from")), microseconds(rows.column("valid_to"))
    if (ends <= begins).any():
        place = int(np.flatnonzero(ends <= begins)[0])
        raise DeclarationError(
            where=f"layer {layer.name} uid {rows.column('uid')[place]}",
            found=f"a period from {rows.column('valid_from')[place]} "
            f"to {rows.column('valid_to')[place]}",
            expected="an end after the beginning",
            remedy="look at the dates in the source",
        )
    for field in rows.schema:
        if not pa.types.is_timestamp(field.type):
            continue
        unit = 10**6 if field.name in ("valid_from", "valid_to") else 10**3
        moments = rows.column(field.name)
        too_fine = np.flatnonzero(
            (microseconds(moments) % unit != 0) & moments.is_valid().to_numpy()
        )
        if len(too_fine):
            place = int(too_fine[0])
            raise DeclarationError(
                where=f"layer {layer.name} uid {rows.column('uid')[place]} {field.name}",
                found=str(moments[place]),
                expected="whole seconds" if unit == 10**6 else "whole milliseconds",
                remedy="round the moments in the source's mapping",
            )


def _with_geo(schema: pa.Schema, layer: Layer) -> pa.Schema:
    """Return the schema with what makes the file GeoParquet."""
    if layer.geometry is GeometryType.NONE:
        return schema
    column = {
        "encoding": "WKB",
        "geometry_types": [],
        "crs": pyproj.CRS(layer.crs).to_json_dict(),
    }
    geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    return schema.with_metadata({"geo": json.dumps(geo)})
