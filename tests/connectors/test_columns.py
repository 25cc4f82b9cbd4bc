"""Columns: one type each, no value lost or bent."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pytest

from cityframe.connectors.columns import frame, typed_column, unified

AWARE = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
NAIVE = AWARE.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2], pa.int64()),
        ([1.5, None], pa.float64()),
        ([1, 2.5], pa.float64()),
        ([True, None], pa.bool_()),
        (["a", None], pa.string()),
        ([b"a"], pa.binary()),
        ([dt.date(2024, 5, 1)], pa.date32()),
        ([NAIVE], pa.timestamp("us")),
        ([AWARE], pa.timestamp("us", "UTC")),
        ([Decimal("1.10"), Decimal("22.2")], pa.decimal128(4, 2)),
        ([None, None], pa.null()),
        ([], pa.null()),
    ],
)
def test_one_type_stays(values: list[Any], kind: pa.DataType) -> None:
    column = typed_column(values)
    assert column.type == kind
    assert column.to_pylist() == values


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, "1a"], ["1", "1a"]),
        ([True, "x", None], ["true", "x", None]),
        ([2**53 + 1, 0.5], ["9007199254740993", "0.5"]),
        ([2**64], ["18446744073709551616"]),
        ([NAIVE, AWARE], ["2024-05-01T12:00:00", "2024-05-01T12:00:00+00:00"]),
        ([{"a": [1, "中"]}], ['{"a": [1, "中"]}']),
        ([[1, None]], ["[1, null]"]),
        ([UUID(int=1)], ["00000000-0000-0000-0000-000000000001"]),
        ([Decimal("NaN")], ["NaN"]),
        ([True, 1], ["true", "1"]),
    ],
)
def test_what_has_no_one_type_becomes_text_as_it_is(values: list[Any], texts: list[str]) -> None:
    column = typed_column(values)
    assert column.type == pa.string()
    assert column.to_pylist() == texts


@pytest.mark.parametrize(
    ("parts", "kind", "values"),
    [
        ([[1], [None], [2]], pa.int64(), [1, None, 2]),
        ([[1], [0.5]], pa.float64(), [1.0, 0.5]),
        ([[2**53 + 1], [0.5]], pa.string(), ["9007199254740993", "0.5"]),
        ([[1], ["b"]], pa.string(), ["1", "b"]),
        ([[Decimal("1.1")], [Decimal("22.22")]], pa.decimal128(4, 2),
         [Decimal("1.10"), Decimal("22.22")]),
        ([[None], [None]], pa.string(), [None, None]),
    ],
)  # fmt: skip
def test_parts_are_brought_to_the_type_that_holds_them_all(
    parts: list[list[Any]], kind: pa.DataType, values: list[Any]
) -> None:
    column = unified([typed_column(part) for part in parts])
    assert column.type == kind
    assert column.to_pylist() == values


def test_frame_has_the_column_types_of_the_rooms() -> None:
    columns = {
        "whole": pa.chunked_array([pa.array([1, None], pa.int16())]),
        "real": pa.chunked_array([pa.array([1.5, None], pa.float32())]),
        "text": pa.chunked_array([pa.array(["a", None]).dictionary_encode()]),
        "truth": pa.chunked_array([pa.array([True, None])]),
        "day": pa.chunked_array([pa.array([dt.date(2024, 5, 1), None])]),
        "moment": pa.chunked_array([pa.array([AWARE, None], pa.timestamp("ns", "Asia/Shanghai"))]),
        "local": pa.chunked_array([pa.array([NAIVE, None], pa.timestamp("s"))]),
        "nothing": pa.chunked_array([pa.nulls(2)]),
        "number": pa.chunked_array([pa.array([Decimal("1.1"), None])]),
    }
    result = frame(columns, 2)
    assert {name: str(kind) for name, kind in result.dtypes.items()} == {
        "whole": "Int64",
        "real": "float64",
        "text": "str",
        "truth": "boolean",
        "day": "datetime64[s]",
        "moment": "datetime64[us, UTC]",
        "local": "datetime64[us]",
        "nothing": "str",
        "number": "object",
    }
    assert result["moment"][0] == pd.Timestamp(AWARE)
    assert result["number"][0] == Decimal("1.1")
    assert result.isna().iloc[1].all()


def test_frame_without_columns_keeps_its_rows() -> None:
    assert len(frame({}, 3)) == 3
