"""Layer frames: the one in-memory form of features between the rooms.

A layer frame is a GeoDataFrame with a RangeIndex, the layer's CRS, the attributes of the contract
as columns and the geometry in ``geometry`` (all null for a layer without geometry). System columns
(`cityframe.model.layer.RESERVED_COLUMNS`) stand beside the attributes.

=========  ======================
attribute  column type
=========  ======================
string     ``str`` (null: NaN)
integer    ``Int64``
real       ``float64`` (null: NaN)
boolean    ``boolean``
date       ``datetime64[s]``
datetime   ``datetime64[us, UTC]``
=========  ======================
"""

from collections.abc import Iterable

import geopandas as gpd
import pandas as pd
import pyarrow as pa

from cityframe.model.layer import AttributeType, Layer

COLUMN_TYPES: dict[AttributeType, str] = {
    AttributeType.STRING: "str",
    AttributeType.INTEGER: "Int64",
    AttributeType.REAL: "float64",
    AttributeType.BOOLEAN: "boolean",
    AttributeType.DATE: "datetime64[s]",
    AttributeType.DATETIME: "datetime64[us, UTC]",
}

SYSTEM_COLUMN_TYPES: dict[str, str] = {
    "uid": "str",
    "record": "Int64",
    "source_id": "str",
    "source_key": "str",
    "operation": "str",
    "digest": "object",
    "seal": "object",
    "delivery": "str",
    "basis": "str",
    "ended_by": "str",
    "valid_from": "datetime64[us, UTC]",
    "valid_to": "datetime64[us, UTC]",
    "release_from": "Int64",
    "release_to": "Int64",
    "change": "str",
    "has_new_attributes": "bool",
}


def empty_frame(layer: Layer, system_columns: Iterable[str] = ()) -> gpd.GeoDataFrame:
    """Return a layer frame without rows: system columns, attributes, geometry."""
    columns = {
        **{name: pd.Series(dtype=SYSTEM_COLUMN_TYPES[name]) for name in system_columns},
        **{
            attribute.name: pd.Series(dtype=COLUMN_TYPES[attribute.type])
            for attribute in layer.attributes
        },
    }
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=layer.crs), crs=layer.crs)


def with_column_types(frame: gpd.GeoDataFrame, layer: Layer) -> gpd.GeoDataFrame:
    """Return the frame with each present attribute in its contract's column type.

    Values must already be of the logical type; files and databases bring them back in types of
    their own (dates as objects, integers as floats), and this undoes that.

    Raises
    ------
    ValueError, TypeError
        If a value does not fit its type.
    """
    types: dict[str, str] = {
        attribute.name: COLUMN_TYPES[attribute.type]
        for attribute in layer.attributes
        if attribute.name in frame.columns
    }
    types |= {name: kind for name, kind in SYSTEM_COLUMN_TYPES.items() if name in frame.columns}
    wanted = {name: kind for name, kind in types.items() if str(frame[name].dtype) != kind}
    if not wanted:
        return frame
    typed = frame.copy(deep=False)
    for name, kind in wanted.items():
        if kind == "datetime64[us, UTC]":
            typed[name] = pd.to_datetime(typed[name], utc=True).astype(kind)
        elif kind == "datetime64[s]":
            typed[name] = pd.to_datetime(typed[name]).astype(kind)
        else:
            typed[name] = typed[name].astype(kind)
    return typed


def with_plain_dates(frame: gpd.GeoDataFrame, layer: Layer) -> gpd.GeoDataFrame:
    """Return the frame with dates as dates, for writing to files: no time of day is invented."""
    dates = [
        attribute.name
        for attribute in layer.attributes
        if attribute.type is AttributeType.DATE and attribute.name in frame.columns
    ]
    return frame.astype(dict.fromkeys(dates, pd.ArrowDtype(pa.date32())))


def key_text(frame: pd.DataFrame, key: tuple[str, ...]) -> pd.Series:
    r"""Return each row's key as one text, its parts joined by ``|``; null where a part is null.

    In a key of several parts a ``|`` of a part is written ``\\|``, so that no two keys are one.
    """
    if not key:
        return pd.Series(pd.NA, index=frame.index, dtype="str")
    parts = [frame[name].astype("str") for name in key]
    if len(parts) > 1:
        parts = [part.str.replace("|", "\\|", regex=False) for part in parts]
    text = parts[0]
    for part in parts[1:]:
        text = text.str.cat(part, sep="|")
    return text
