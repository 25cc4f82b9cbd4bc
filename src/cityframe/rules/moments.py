"""Dates and times of a column against the moment of the check."""

import datetime as dt

import numpy as np
import numpy.typing as npt
import pandas as pd

Moments = npt.NDArray[np.datetime64]


def moments(column: pd.Series) -> Moments:
    """Return a date or time column as plain moments (times in UTC); null is NaT."""
    naive = column.dt.tz_localize(None) if column.dt.tz is not None else column
    return naive.to_numpy().astype("datetime64[us]")


def moment_for(column: pd.Series, moment: dt.datetime) -> np.datetime64:
    """Return an aware moment as `moments` gives the column: a date column counts local days."""
    if column.dt.tz is None:
        return np.datetime64(moment.date(), "us")
    return np.datetime64(moment.astimezone(dt.UTC).replace(tzinfo=None), "us")
