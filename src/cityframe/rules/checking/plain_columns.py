"""Columns in the form that Great Expectations compares at once, not value by value."""

import numpy as np
import pandas as pd

from cityframe.rules.moments import plain_times

_EXACT = 2**53
"""Whole numbers up to this are exact as floats."""


def plain_column(column: pd.Series) -> pd.Series:
    """Return a nullable column of numbers as plain numbers, times without their zone.

    Null becomes NaN. Whole numbers with nulls become floats, unless one is too large for that: then
    the column stays as it is, and is compared value by value.
    """
    if not pd.api.types.is_extension_array_dtype(column.dtype) or not (
        pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    ):
        return plain_times(column)
    if not column.hasnans and pd.api.types.is_integer_dtype(column.dtype):
        return column.astype(np.int64)
    largest = column.abs().max()
    if pd.api.types.is_integer_dtype(column.dtype) and largest is not pd.NA and largest > _EXACT:
        return column
    plain: pd.Series = column.astype(np.float64)
    return plain
