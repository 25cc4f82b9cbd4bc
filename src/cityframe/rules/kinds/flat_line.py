"""No sensor repeats one value for longer than its quantity stands still.

A value is suspect when the values of the last ``suspect_s`` seconds, its own included, lie less
than ``tolerance`` apart, and fails when those of ``fail_s`` seconds do. Seconds count as that many
observations at the stream's usual interval, the median, so that a gap does not break a flat line.
It is the flat line test of the QARTOD manuals (test 8), and so are the flags: 1 good, 2 not
evaluated, 3 suspect, 4 fail, 9 missing. A stream is not evaluated if its interval is longer than
the shorter of the times. Times count to the second; of several values of one stream at one second
the first counts.

The values are those of a layer of observations (``stream``, ``time``, ``value``), or, with
``stream`` alone, the observations that the feeds of a layer of sensors brought since the cycle
before. A finding is a run of such values of one stream, one after the other; it stands on the
first observation, or on the sensor. A flat line thus begins that time before its first value
flagged.

```yaml
kind: flat_line
parameters: {stream: stream, suspect_s: 10800, fail_s: 18000, tolerance: 0.001}
```
"""

from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from cityframe.rules.context import Context
from cityframe.rules.kind import RuleKind
from cityframe.rules.moments import Moments
from cityframe.rules.observed.qartod import (
    FAIL,
    NOT_EVALUATED,
    SUSPECT,
    Flags,
    flags_by_stream,
    qartod_measure,
    qartod_tests,
)
from cityframe.rules.observed.runs import demand, demands, durations, in_order, run_defects, runs
from cityframe.rules.observed.series import Series, ValueParameters, Values, series_of

_CELLS = 4_000_000
"""Values of all windows at hand at once; the test writes the windows of a stream out."""


class FlatLineParameters(ValueParameters):
    """What `flat_line` needs."""

    suspect_s: int | None = Field(default=None, gt=0, description="longest usual time, in seconds")
    fail_s: int | None = Field(default=None, gt=0, description="longest time possible, in seconds")
    tolerance: float = Field(
        gt=0, description="values that lie less than this apart count as one, in their unit"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        in_order(suspect_s=self.suspect_s, fail_s=self.fail_s)
        return self


def flags(series: Series, parameters: FlatLineParameters) -> Flags:
    """Return the flag of each value."""
    return flags_by_stream(
        series, lambda value, time: _flags_of_stream(value, time, parameters), least=3
    )


def _flags_of_stream(value: Values, time: Moments, parameters: FlatLineParameters) -> Flags:
    """Return the flags of one stream, tested piece by piece."""
    test = qartod_tests().flat_line_test
    interval = np.median(np.diff(time)).astype("timedelta64[s]")
    suspect_s, fail_s = _times(parameters)
    if suspect_s < interval.astype(int):
        return np.full(len(value), NOT_EVALUATED, dtype=np.uint8)
    window = int(fail_s // interval.astype(int))
    size = max(_CELLS // (window + 1), window + 1)
    flagged = np.empty(len(value), dtype=np.uint8)
    for start in range(0, len(value), size):
        # the windows of a piece reach back; the test takes no series of less than three values
        begin = max(start - max(window, 2), 0)
        piece = value[begin : start + size]
        # of the times it takes the median interval only, which must be that of the whole stream
        regular = time[0] + np.arange(len(piece)) * interval
        given = test(piece, regular, suspect_s, fail_s, parameters.tolerance)
        flagged[start : start + size] = given[start - begin :]
    if parameters.fail_s is None:
        flagged[flagged == FAIL] = SUSPECT
    return flagged


def _times(parameters: FlatLineParameters) -> tuple[int, int]:
    """Return the times of suspect and fail, one for the other where it is not given."""
    suspect_s, fail_s = parameters.suspect_s, parameters.fail_s
    either = suspect_s or fail_s or 0
    return suspect_s or either, fail_s or either


def check(context: Context, parameters: FlatLineParameters) -> pd.DataFrame:
    """Return the flat lines."""
    series = series_of(context, parameters, parameters.value).of_distinct_times()
    found = runs(series, flags(series, parameters), parameters.from_flag)
    limits = [
        None if limit is None else durations([limit])[0]
        for limit in (parameters.suspect_s, parameters.fail_s)
    ]
    template = "a change within {}", "{} 内有变化"
    return run_defects(
        series, found, demands(demand(*template, limits[0]), demand(*template, limits[1]))
    )


KIND = RuleKind(
    name="flat_line",
    number=76,
    group="K sensors",
    measure=qartod_measure("8", "flat line test"),
    params=FlatLineParameters,
    reach="layer",
    check=check,
    depends_on_time=True,
)
