import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cityframe.conform.values import Reading, arrow_values, as_text, parse
from cityframe.core.frames import COLUMN_TYPES
from cityframe.model.layer import AttributeType

T = AttributeType


def read(values: Any, kind: AttributeType, **reading: Any) -> tuple[list[Any], list[bool]]:
    column = values if isinstance(values, pd.Series) else pd.Series(values, dtype="str")
    parsed, is_bad = parse(arrow_values(column), kind, Reading(**reading))
    assert str(parsed.dtype) == COLUMN_TYPES[kind]
    return [None if pd.isna(value) else value for value in parsed], is_bad.tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7), ("-7", -7), ("+7", 7), ("007", 7), (" 7 ", 7), ("7.0", 7), ("7.", 7),
        ("999999999999999999", 999999999999999999), ("", None), ("  ", None),
    ],
)  # fmt: skip
def test_integer_text_reads(text: str, expected: int | None) -> None:
    assert read([text], T.INTEGER) == ([expected], [False])


@pytest.mark.parametrize(
    "text",
    ["7.5", "7e3", "1,000", "seven", "0x10", "--7", "٣", "７", "99999999999999999999", "nan"],
)
def test_integer_text_that_is_none_is_bad(text: str) -> None:
    assert read([text], T.INTEGER) == ([None], [True])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1.0), ("-1.5", -1.5), ("+.5", 0.5), ("5.", 5.0), ("1e-3", 0.001), ("1E3", 1000.0)],
)
def test_real_text_reads(text: str, expected: float) -> None:
    assert read([text], T.REAL) == ([expected], [False])


@pytest.mark.parametrize("text", ["1,5", "1 000.5", "inf", "NaN", "1e999", "5m", "."])
def test_real_text_that_is_none_is_bad(text: str) -> None:
    assert read([text], T.REAL) == ([None], [True])


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("FALSE", False), ("1", True), ("0", False)]
)
def test_boolean_text_reads(text: str, expected: bool) -> None:
    assert read([text], T.BOOLEAN) == ([expected], [False])


@pytest.mark.parametrize("text", ["yes", "是", "2", "t"])
def test_other_booleans_need_codes(text: str) -> None:
    assert read([text], T.BOOLEAN) == ([None], [True])


def test_dates_read_as_iso_only() -> None:
    values, is_bad = read(
        ["2024-02-29", "2023-02-29", "2024-2-9", "29.02.2024", "2024-02-29T00:00:00", ""], T.DATE
    )
    assert values == [pd.Timestamp("2024-02-29"), None, None, None, None, None]
    assert is_bad == [False, True, True, True, True, False]


def test_dates_before_the_nanosecond_range_read() -> None:
    assert read(["0960-02-04"], T.DATE)[0] == [pd.Timestamp("0960-02-04").as_unit("s")]


def test_declared_format_reads_dates() -> None:
    values, is_bad = read(["5/3/2014", "2014-03-05"], T.DATE, format="%d/%m/%Y")
    assert values == [pd.Timestamp("2014-03-05"), None]
    assert is_bad == [False, True]


def test_declared_format_may_cut_the_time_of_a_date() -> None:
    values, _ = read(["2014年3月5日 08时"], T.DATE, format="%Y年%m月%d日 %H时")
    assert values == [pd.Timestamp("2014-03-05")]


def test_date_times_with_an_offset_become_utc() -> None:
    values, is_bad = read(
        ["2024-05-01T08:00:00+08:00", "2024-05-01 00:00Z", "2024-05-01T00:00:00.1234567Z"],
        T.DATETIME,
    )
    start = pd.Timestamp("2024-05-01T00:00Z")
    assert values == [start, start, start + pd.Timedelta(microseconds=123456)]
    assert is_bad == [False] * 3


def test_date_times_without_an_offset_need_a_time_zone() -> None:
    assert read(["2024-05-01T08:00:00"], T.DATETIME) == ([None], [True])
    values, _ = read(["2024-05-01T08:00:00"], T.DATETIME, time_zone="Asia/Shanghai")
    assert values == [pd.Timestamp("2024-05-01T00:00Z")]


def test_hours_that_a_zone_skips_or_has_twice_are_bad() -> None:
    values, is_bad = read(
        ["2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-10-27 04:30:00"],
        T.DATETIME,
        time_zone="Europe/Berlin",
    )
    assert is_bad == [True, True, False]
    assert values[2] == pd.Timestamp("2024-10-27T03:30Z")


def test_a_date_alone_is_no_date_time_unless_allowed() -> None:
    assert read(["2024-05-01"], T.DATETIME, time_zone="Asia/Shanghai")[1] == [True]
    allowed, _ = read(["2024-05-01"], T.DATETIME, allows_date=True)
    assert allowed == [pd.Timestamp("2024-05-01T00:00Z")]
    local, _ = read(["2024-05-01"], T.DATETIME, allows_date=True, time_zone="Asia/Shanghai")
    assert local == [pd.Timestamp("2024-04-30T16:00Z")]


def test_declared_format_with_an_offset_is_absolute() -> None:
    values, _ = read(["01.05.2024 08:00 +0800"], T.DATETIME, format="%d.%m.%Y %H:%M %z")
    assert values == [pd.Timestamp("2024-05-01T00:00Z")]


# typed columns


def test_whole_floats_become_integers_and_others_are_bad() -> None:
    column = pd.Series([3.0, np.nan, 3.5, np.inf, 2.0**60])
    assert read(column, T.INTEGER) == (
        [3, None, None, None, None],
        [False, False, True, True, True],
    )


def test_infinite_reals_are_bad_and_missing_ones_null() -> None:
    assert read(pd.Series([1.5, np.nan, -np.inf]), T.REAL) == (
        [1.5, None, None],
        [False, False, True],
    )


def test_decimals_of_a_database_read_as_numbers_and_texts() -> None:
    column = pd.Series([decimal.Decimal("1.10"), None], dtype=object)
    assert read(column, T.REAL)[0] == [1.1, None]
    assert read(column, T.STRING)[0] == ["1.10", None]


def test_typed_times_are_dates_at_midnight_only() -> None:
    column = pd.Series(pd.to_datetime(["2024-05-01 00:00", "2024-05-01 10:00"]))
    assert read(column, T.DATE) == ([pd.Timestamp("2024-05-01"), None], [False, True])


def test_typed_naive_times_need_a_time_zone() -> None:
    column = pd.Series(pd.to_datetime(["2024-05-01 08:00"]))
    assert read(column, T.DATETIME)[1] == [True]
    aware = column.dt.tz_localize("Asia/Shanghai")
    assert read(aware, T.DATETIME)[0] == [pd.Timestamp("2024-05-01T00:00Z")]
    assert read(column, T.DATETIME, time_zone="Asia/Shanghai")[0] == read(aware, T.DATETIME)[0]


def test_typed_dates_read() -> None:
    column = pd.Series([dt.date(2024, 5, 1), None], dtype=object)
    assert read(column, T.DATE)[0] == [pd.Timestamp("2024-05-01"), None]


def test_a_number_is_no_date_and_a_boolean_no_number() -> None:
    assert read(pd.Series([20240501]), T.DATE)[1] == [True]
    assert read(pd.Series([True]), T.INTEGER)[1] == [True]
    assert read(pd.Series([20240501.0]), T.DATETIME)[1] == [True]


def test_numbers_are_booleans_as_one_and_nought_only() -> None:
    assert read(pd.Series([1.0, 0.0, 2.0]), T.BOOLEAN) == (
        [True, False, None],
        [False, False, True],
    )


@pytest.mark.parametrize("kind", list(AttributeType))
def test_a_column_of_nulls_reads_as_any_type(kind: AttributeType) -> None:
    assert read(pd.Series([None, None], dtype=object), kind) == ([None, None], [False, False])
    assert read(pd.Series([], dtype=object), kind) == ([], [])


# texts


def test_texts_are_trimmed_and_in_nfc() -> None:
    column = pd.Series(["  Cafe\u0301\u3000", "\u00a0中山路\t", "　"], dtype="str")
    assert as_text(arrow_values(column)).to_pylist() == ["Café", "中山路", None]


def test_typed_values_show_as_their_plain_texts() -> None:
    def shown(values: Any) -> list[Any]:
        return list(as_text(arrow_values(pd.Series(values))).to_pylist())

    assert shown([1.0, 2.5, np.nan]) == ["1", "2.5", None]
    assert shown([7, 8]) == ["7", "8"]
    assert shown([2**63, 1]) == ["9223372036854775808", "1"]
    assert shown([True, False]) == ["true", "false"]
    assert shown(pd.to_datetime(["2024-05-01 10:00"])) == ["2024-05-01T10:00:00"]
    assert shown(pd.Categorical(["a", "b"])) == ["a", "b"]


def test_mixed_columns_of_a_sheet_read_as_texts() -> None:
    column = pd.Series(["12a", 12.0, dt.date(2024, 5, 1), True, None], dtype=object)
    assert as_text(arrow_values(column)).to_pylist() == ["12a", "12", "2024-05-01", "true", None]


def test_other_kinds_read_as_texts() -> None:
    assert as_text(arrow_values(pd.Series([[1, 2], None], dtype=object))).to_pylist() == [
        "[1, 2]",
        None,
    ]
