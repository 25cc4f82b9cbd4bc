"""The expression language: syntax, types, unknown values."""

import numpy as np
import pandas as pd
import pytest

from cityframe.model.layer import AttributeType
from cityframe.rules.expression import ExpressionError, parse_expression

TYPES = {
    "count": AttributeType.INTEGER,
    "height": AttributeType.REAL,
    "name": AttributeType.STRING,
    "is_open": AttributeType.BOOLEAN,
    "day": AttributeType.DATE,
    "at": AttributeType.DATETIME,
}


@pytest.fixture
def frame():
    days = pd.to_datetime(["2020-01-01", None, "2021-01-01"])
    return pd.DataFrame(
        {
            "count": pd.array([1, None, 3], dtype="Int64"),
            "height": [1.5, 2.0, np.nan],
            "name": pd.array(["x", None, "z"], dtype="str"),
            "is_open": pd.array([True, False, None], dtype="boolean"),
            "day": days.astype("datetime64[s]"),
            "at": days.tz_localize("UTC").astype("datetime64[us, UTC]"),
        }
    )


# T true, F false, - unknown, one letter a row
@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("count > 1", "F-T"),
        ("0 < count <= 2", "T-F"),
        ("count / 0 > 1", "---"),
        ("-count + 2 * height == 2", "T--"),
        ("is_open", "TF-"),
        ("not is_open", "FT-"),
        ("name in ('x', 'y')", "T-F"),
        ("name not in ['x', 'y']", "F-T"),
        ("name < 'y'", "T-F"),
        ("name is None", "FTF"),
        ("name is not None", "TFT"),
        ("count is not None and height > 1", "TF-"),
        ("count == 9 or height > 1", "TT-"),
        ("count == 3 or height > 1", "TTT"),
        ("day < '2020-06-01'", "T-F"),
        ("'2020-06-01' > day", "T-F"),
        ("day in ('2020-01-01', '2019-01-01')", "T-F"),
        ("at >= '2021-01-01T08:00:00+08:00'", "F-T"),
        ("day <= at", "T-T"),
        ("True", "TTT"),
        ("1 > 2 and count > 1", "FFF"),
    ],
)
def test_outcome_of_each_row(frame, text, outcome):
    expression = parse_expression(text)
    assert expression.misfit(TYPES) == ""
    flags = zip(expression.is_true(frame), expression.is_false(frame), strict=True)
    assert "".join("T" if yes else "F" if no else "-" for yes, no in flags) == outcome


def test_an_empty_frame_gives_no_flags(frame):
    assert len(parse_expression("count > 1 and name == 'x'").is_false(frame.iloc[:0])) == 0


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "name.upper() == 'X'",
        "name[0] == 'x'",
        "count ** 9 > 1",
        "count if is_open else 2",
        "lambda: True",
        "f'{name}' == 'x'",
        "(count := 3) > 2",
        "count & 1",
        "name in count",
        "name is height",
        "None == name",
        "count >",
        "",
        "b'x' == name",
        "1j == count",
        "[x for x in count]",
    ],
)
def test_nothing_but_the_language_is_read(text):
    with pytest.raises(ExpressionError):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count + 1", "gives a number"),
        ("name == 1", "'name' is a text, '1' a number"),
        ("day == 'soon'", "'day' is a time"),
        ("day < '2020' + name", "is a text"),
        ("not count", "'count' is a number, not a boolean"),
        ("is_open and count", "'count' is a number"),
        ("-name == 'x'", "'name' is a text, not a number"),
        ("count in (1, 'x')", "'x'"),
    ],
)
def test_types_that_do_not_fit_are_named(text, message):
    assert message in parse_expression(text).misfit(TYPES)


def test_columns_are_known_before_any_data():
    assert parse_expression("a > 1 and (b is None or c in (1, 2))").columns == {"a", "b", "c"}
