import numpy as np
import pandas as pd
import pytest

from cityframe.rules.checking.plain_columns import plain_column


@pytest.mark.parametrize(
    ("values", "dtype", "plain"),
    [
        ([1, 2], "Int64", np.int64),
        ([1, None], "Int64", np.float64),
        ([None, None], "Int64", np.float64),
        ([1.5, None], "Float64", np.float64),
        ([2**60, None], "Int64", pd.Int64Dtype()),
        ([2**60, 1], "Int64", np.int64),
        ([True, None], "boolean", pd.BooleanDtype()),
        ([1.0, 2.0], "float64", np.float64),
    ],
)
def test_numbers_become_plain_where_nothing_is_lost(values, dtype, plain):
    column = pd.Series(pd.array(values, dtype=dtype))
    found = plain_column(column)
    assert found.dtype == plain
    assert found.isna().tolist() == column.isna().tolist()
    assert found.dropna().tolist() == column.dropna().tolist()


def test_times_lose_their_zone_and_texts_stay():
    times = pd.Series(pd.to_datetime(["2026-01-01T08:00:00+08:00"]).as_unit("us"))
    assert plain_column(times)[0] == pd.Timestamp("2026-01-01")
    texts = pd.Series(["a", None], dtype="str")
    assert plain_column(texts) is texts
