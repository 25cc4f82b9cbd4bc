"""Dates and times of a column against the moment of the check."""

import datetime as dt

import numpy as np
import numpy.typing as npt
import pandas as pd

Moments = npt.NDArray[np.datetime64]


def plain_times(column: pd.Series) -> pd.Series:
    """Return a column of times in UTC without the time zone; any other column as it is.

    Great Expectations reads `Series.values`, which pandas 3.1 deprecates for times with a zone.
    """
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        return column
    plain: pd.Series = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return plain


def moments(column: pd.Series) -> Moments:
    """Return a date or time column as plain moments (times in UTC); null is NaT."""
    return plain_times(column).to_numpy().astype("datetime64[us]")


def moment_for(column: pd.Series, moment: dt.datetime) -> np.datetime64:
    """Return an aware moment as `moments` gives the column: a date column counts local days."""
    if column.dt.tz is None:
        return np.datetime64(moment.date(), "us")
    return np.datetime64(moment.astimezone(dt.UTC).replace(tzinfo=None), "us")
