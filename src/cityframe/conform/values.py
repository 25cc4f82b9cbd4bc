"""Read delivered values strictly as the logical types of a contract.

Values pass as Arrow arrays, so that a million of them cost a fraction of a second. Nothing is
guessed: a value that is not written as its type demands comes back as null and marked as bad.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from cityframe.core.frames import COLUMN_TYPES
from cityframe.model.layer import AttributeType
from cityframe.model.text import Title

Mask = npt.NDArray[np.bool_]
ArrowArray: TypeAlias = Any
"""A pyarrow array; pyarrow's stubs take no union of array types."""

# the stubs lack functions that pyarrow has, such as utf8_normalize
pc: Any = pyarrow.compute

_INTEGER = r"^[+-]?[0-9]{1,18}(\.0*)?$"
_REAL = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_CLOCK = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_OFFSET = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
_WHOLE_LIMIT = 2.0**53

EXPECTED: dict[AttributeType, Title] = {
    AttributeType.STRING: Title("文本", "text"),
    AttributeType.INTEGER: Title("不超过 18 位的整数", "a whole number of at most 18 digits"),
    AttributeType.REAL: Title(
        "使用小数点且无千位分隔符的数值",
        "a number with a decimal point and without separators of thousands",
    ),
    AttributeType.BOOLEAN: Title("true、false、1 或 0", "true, false, 1 or 0"),
    AttributeType.DATE: Title(
        "YYYY-MM-DD 或声明格式的日期", "a date written YYYY-MM-DD, or in the declared format"
    ),
    AttributeType.DATETIME: Title(
        "YYYY-MM-DDTHH:MM:SS 加时差或声明时区的日期时间，或声明格式",
        "a date-time written YYYY-MM-DDTHH:MM:SS with an offset or a declared time_zone, "
        "or in the declared format",
    ),
}
"""How a value of each type is to be written."""


@dataclass(frozen=True)
class Reading:
    """How texts of dates and times are written, from a `ColumnMapping`.

    Attributes
    ----------
    format : str
        A strptime format; empty for ISO 8601.
    time_zone : str
        Where date-times without an offset were written; empty if that is not declared.
    allows_date : bool
        Whether a date alone is a date-time: its midnight in ``time_zone``, else in UTC.
    """

    format: str = ""
    time_zone: str = ""
    allows_date: bool = False


def arrow_values(column: pd.Series) -> ArrowArray:
    """Return a delivered column as an Arrow array, texts trimmed, in NFC and null where blank.

    Integers come as int64, floats as float64, dates as date32, date-times as timestamps; values
    of mixed or other kinds as the texts that show them.
    """
    try:
        array = pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        array = _shown(column)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _clean(array.cast(pa.large_string()))
    if pa.types.is_uint64(kind):
        return _clean(array.cast(pa.large_string()))
    if pa.types.is_integer(kind):
        return array.cast(pa.int64())
    if pa.types.is_floating(kind):
        return array.cast(pa.float64())
    if pa.types.is_date64(kind):
        return array.cast(pa.date32())
    known = (pa.types.is_null, pa.types.is_boolean, pa.types.is_date, pa.types.is_timestamp)
    if any(check(kind) for check in known):
        return array
    return _clean(_shown(column))


def as_text(array: ArrowArray) -> ArrowArray:
    """Return the values as texts: whole floats without a fraction, times in ISO 8601."""
    kind = array.type
    if pa.types.is_large_string(kind):
        return array
    if pa.types.is_floating(kind):
        whole = pc.and_(pc.equal(pc.floor(array), array), pc.less(pc.abs(array), _WHOLE_LIMIT))
        integers = pc.if_else(whole, array, None).cast(pa.int64()).cast(pa.large_string())
        return pc.coalesce(integers, array.cast(pa.large_string()))
    if pa.types.is_timestamp(kind):
        return _shown_moments(array)
    return array.cast(pa.large_string())


def _shown_moments(array: ArrowArray) -> ArrowArray:
    whole = array.cast(pa.timestamp("s", array.type.tz), safe=False)
    exact = whole if pc.all(pc.equal(whole.cast(array.type), array)).as_py() else array
    offset = "%z" if array.type.tz else ""
    return pc.strftime(exact, format=f"%Y-%m-%dT%H:%M:%S{offset}").cast(pa.large_string())


def parse(array: ArrowArray, kind: AttributeType, reading: Reading) -> tuple[pd.Series, Mask]:
    """Read values as a logical type.

    Parameters
    ----------
    array : Arrow array of `arrow_values`, n

    Returns
    -------
    tuple
        A series of the contract's column type, and a mask of the values that do not read as it
        (null in the series).
    """
    readers: dict[AttributeType, Callable[[], Any]] = {
        AttributeType.STRING: lambda: as_text(array),
        AttributeType.INTEGER: lambda: _integers(array),
        AttributeType.REAL: lambda: _reals(array),
        AttributeType.BOOLEAN: lambda: _booleans(array),
        AttributeType.DATE: lambda: _dates(array, reading),
        AttributeType.DATETIME: lambda: _datetimes(array, reading),
    }
    values = _series(readers[kind](), kind)
    return values, values.isna().to_numpy() & ~is_null(array)


def is_null(array: ArrowArray) -> Mask:
    """Return which values of an Arrow array are null."""
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=bool)


def _shown(column: pd.Series) -> ArrowArray:
    shown = [
        None if is_missing else _show(value)
        for value, is_missing in zip(column, column.isna(), strict=True)
    ]
    return pa.array(shown, type=pa.large_string())


def _show(value: object) -> str:
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_LIMIT:
        return str(int(value))
    return str(value)


def _clean(array: ArrowArray) -> ArrowArray:
    text = pc.utf8_trim_whitespace(pc.utf8_normalize(array, form="NFC"))
    return pc.if_else(pc.equal(text, ""), None, text)


def _matching(text: ArrowArray, pattern: str) -> ArrowArray:
    return pc.if_else(pc.match_substring_regex(text, pattern), text, None)


def _nulls(array: ArrowArray, kind: Any) -> ArrowArray:
    return pa.nulls(len(array), kind)


def _integers(array: ArrowArray) -> ArrowArray:
    if pa.types.is_integer(array.type):
        return array
    if pa.types.is_floating(array.type):
        whole = pc.and_(
            pc.equal(pc.floor(array), array), pc.less_equal(pc.abs(array), _WHOLE_LIMIT)
        )
        return pc.if_else(whole, array, None).cast(pa.int64())
    if pa.types.is_large_string(array.type):
        digits = pc.replace_substring_regex(_matching(array, _INTEGER), r"^\+|\.0*$", "")
        return digits.cast(pa.int64())
    return _nulls(array, pa.int64())


def _reals(array: ArrowArray) -> ArrowArray:
    if pa.types.is_integer(array.type):
        return array.cast(pa.float64(), safe=False)
    if pa.types.is_large_string(array.type):
        array = _matching(array, _REAL).cast(pa.float64())
    if pa.types.is_floating(array.type):
        return pc.if_else(pc.is_finite(array), array, None)
    return _nulls(array, pa.float64())


def _booleans(array: ArrowArray) -> ArrowArray:
    if pa.types.is_boolean(array.type):
        return array
    if pa.types.is_large_string(array.type):
        text = pc.utf8_lower(array)
    elif pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        text = as_text(array)
    else:
        return _nulls(array, pa.bool_())
    is_true = pc.is_in(text, pa.array(["true", "1"], pa.large_string()))
    is_false = pc.is_in(text, pa.array(["false", "0"], pa.large_string()))
    return pc.if_else(pc.or_(is_true, is_false), is_true, None)


def _dates(array: ArrowArray, reading: Reading) -> ArrowArray:
    if pa.types.is_date(array.type):
        return array
    if pa.types.is_timestamp(array.type) and array.type.tz is None:
        days = pc.floor_temporal(array, unit="day")
        return pc.if_else(pc.equal(days, array.cast(days.type)), days, None).cast(pa.date32())
    if pa.types.is_large_string(array.type):
        text = array if reading.format else _matching(array, _DATE)
        return _strptime(text, reading.format or "%Y-%m-%d", utc=False).dt.normalize()
    return _nulls(array, pa.date32())


def _datetimes(array: ArrowArray, reading: Reading) -> pd.Series:
    if pa.types.is_timestamp(array.type):
        moments = pd.Series(array.to_pandas()).astype(
            "datetime64[us]" if array.type.tz is None else "datetime64[us, UTC]"
        )
        return moments if array.type.tz is not None else _localised(moments, reading.time_zone)
    if pa.types.is_date(array.type) and reading.allows_date:
        moments = pd.Series(array.cast(pa.timestamp("us")).to_pandas())
        return _localised(moments, reading.time_zone or "UTC")
    if not pa.types.is_large_string(array.type):
        return pd.Series(pd.NaT, index=range(len(array)), dtype="datetime64[us, UTC]")
    if "%z" in reading.format or "%Z" in reading.format:
        return _strptime(array, reading.format, utc=True)
    if reading.format:
        zone = reading.time_zone or ("UTC" if reading.allows_date else "")
        return _localised(_strptime(array, reading.format, utc=False), zone)
    return _iso_datetimes(array, reading)


def _iso_datetimes(array: ArrowArray, reading: Reading) -> pd.Series:
    # digits below the microsecond are cut, the resolution of the contract
    text = pc.replace_substring_regex(array, r"(\.[0-9]{6})[0-9]+", r"\1")
    moments = _strptime(_matching(text, _CLOCK + _OFFSET), "ISO8601", utc=True)
    naive = _strptime(_matching(text, _CLOCK + "$"), "ISO8601", utc=False)
    moments = moments.fillna(_localised(naive, reading.time_zone))
    if not reading.allows_date:
        return moments
    days = _strptime(_matching(text, _DATE), "%Y-%m-%d", utc=False)
    return moments.fillna(_localised(days, reading.time_zone or "UTC"))


def _strptime(text: ArrowArray, form: str, *, utc: bool) -> pd.Series:
    moments = pd.to_datetime(text.to_pandas(), format=form, utc=utc, errors="coerce")
    timed: pd.Series = moments.astype("datetime64[us, UTC]" if utc else "datetime64[us]")
    return timed


def _localised(moments: pd.Series, time_zone: str) -> pd.Series:
    # hours that the zone skips or has twice have no meaning: they become null, hence bad
    if not time_zone:
        return pd.Series(pd.NaT, index=moments.index, dtype="datetime64[us, UTC]")
    local: pd.Series = moments.dt.tz_localize(time_zone, ambiguous="NaT", nonexistent="NaT")
    converted: pd.Series = local.dt.tz_convert("UTC")
    return converted


def _series(values: Any, kind: AttributeType) -> pd.Series:
    if isinstance(values, pd.Series):
        return as_column(values, kind)
    if kind is AttributeType.INTEGER:
        return _masked(pd.arrays.IntegerArray, values, 0)
    if kind is AttributeType.BOOLEAN:
        return _masked(pd.arrays.BooleanArray, values, False)
    if kind is AttributeType.DATE:
        values = values.cast(pa.timestamp("s"))
    return as_column(values.to_pandas(), kind)


def _masked(make: Any, values: ArrowArray, filler: object) -> pd.Series:
    plain = pc.fill_null(values, filler).to_numpy(zero_copy_only=False)
    return pd.Series(make(plain.copy(), is_null(values)))


def as_column(values: Any, kind: AttributeType) -> pd.Series:
    """Return values of the logical type as a series of the contract's column type."""
    column_type: Any = COLUMN_TYPES[kind]
    column: pd.Series = pd.Series(values).astype(column_type)
    return column
