"""Columns from plain values and from Arrow: one type each, no value lost or bent."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import pandas as pd
import pyarrow as pa

ArrowArray: TypeAlias = "pa.Array[Any]"
ArrowColumn: TypeAlias = "pa.ChunkedArray[Any]"
_EXACT = 1 << 53
"""Up to here a real number holds each whole number."""
_DECIMAL_DIGITS = 38
_PLAIN_TYPES = {bool, int, float, str, bytes, dt.date, dt.datetime, Decimal}
_PANDAS_TYPES = {
    pa.int64(): pd.Int64Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def typed_column(values: Sequence[Any]) -> ArrowArray:
    """Return values of one column as an Arrow array of one type; of type null if all are null.

    Whole numbers, real numbers, truth values, dates, moments, decimals, bytes and text keep their
    type. Lists and objects become JSON text. Mixed types become text; whole and real numbers
    become real ones where that is exact.
    """
    types = set(map(type, values)) - {type(None)}
    if not types <= _PLAIN_TYPES:
        values = [_plain(value) for value in values]
        types = set(map(type, values)) - {type(None)}
    column: ArrowArray
    if types == {int, float} and _is_exact(values):
        values = [None if value is None else float(value) for value in values]
        types = {float}
    if len(types) < 2 and not _is_mixed(values, types):
        try:
            column = pa.array(values)
        except (OverflowError, pa.ArrowInvalid):
            # numbers that Arrow has no type for stay exact as text
            pass
        else:
            return column
    texts = [None if value is None else _text(value) for value in values]
    column = pa.array(texts, pa.string())
    return column


def common_type(types: Iterable[pa.DataType]) -> pa.DataType:
    """Return the type that holds the values of all types; text if there is no other."""
    known = {kind for kind in types if not pa.types.is_null(kind)}
    if len(known) == 1:
        return known.pop()
    if known == {pa.int64(), pa.float64()}:
        return pa.float64()
    decimals = [kind for kind in known if isinstance(kind, pa.Decimal128Type)]
    if known and len(decimals) == len(known):
        scale = max(kind.scale for kind in decimals)
        digits = scale + max(kind.precision - kind.scale for kind in decimals)
        return pa.decimal128(digits, scale) if digits <= _DECIMAL_DIGITS else pa.string()
    return pa.string()


def as_type(column: ArrowArray, kind: pa.DataType) -> ArrowArray:
    """Return a column in the common type of its parts.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a value can't be held exactly.
    """
    if column.type == kind:
        return column
    if pa.types.is_string(kind) and not pa.types.is_null(column.type):
        values = column.to_pylist()
        return pa.array([None if one is None else _text(one) for one in values], pa.string())
    return column.cast(kind)


def unified(chunks: Sequence[ArrowArray]) -> ArrowColumn:
    """Return the parts of one column as one column of their common type."""
    kind: Any = common_type(chunk.type for chunk in chunks)
    try:
        parts = [as_type(chunk, kind) for chunk in chunks]
    except pa.ArrowInvalid:
        kind = pa.string()
        parts = [as_type(chunk, kind) for chunk in chunks]
    column: ArrowColumn = pa.chunked_array(parts, kind)
    return column


def frame(columns: Mapping[str, ArrowColumn], count: int) -> pd.DataFrame:
    """Return Arrow columns of ``count`` values as a frame with a RangeIndex.

    Null differs from NaN and whole numbers stay whole: the column types are those of
    `cityframe.core.frames` where there is one, to the microsecond; a moment without a zone keeps
    none; what has no type of its own there is of type object.
    """
    if not columns:
        return pd.DataFrame(index=pd.RangeIndex(count))
    table = pa.Table.from_arrays([_plain_type(one) for one in columns.values()], [*columns])
    return table.to_pandas(types_mapper=_PANDAS_TYPES.get, date_as_object=False)


def _plain_type(column: ArrowColumn) -> ArrowColumn:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain_type(column.cast(kind.storage_type))
    if isinstance(kind, pa.DictionaryType):
        return _plain_type(column.cast(kind.value_type))
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("s"))
    if isinstance(kind, pa.TimestampType):
        return column.cast(pa.timestamp("us", None if kind.tz is None else "UTC"), safe=False)
    return column


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, UUID | dt.time | dt.timedelta):
        return str(value)
    return value


def _is_exact(values: Sequence[Any]) -> bool:
    return all(abs(value) <= _EXACT for value in values if type(value) is int)


def _is_mixed(values: Sequence[Any], types: set[type]) -> bool:
    """Return whether there are moments with a zone and without."""
    if types != {dt.datetime}:
        return False
    return len({value.tzinfo is None for value in values if value is not None}) > 1


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)
