"""No signal of a sensor fades: it keeps varying as much as its quantity does.

The variation at a value is the standard deviation, or the range, of the values of the last
``window_s`` seconds, its own included. Below ``suspect_below`` the value is suspect, below
``fail_below`` it fails. It is the attenuated signal test of the QARTOD manuals (test 10), and so
are the flags: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing. Not evaluated are values with
fewer observations in their window than ``min_share`` of those that the stream's usual interval
gives, as at the start of a stream and after a gap. Times count to the second; of several values of
one stream at one second the first counts.

The values are those of a layer of observations (``stream``, ``time``, ``value``), or, with
``stream`` alone, the observations that the feeds of a layer of sensors brought since the cycle
before. A finding is a run of such values of one stream, one after the other; it stands on the
first observation, or on the sensor.

```yaml
kind: attenuated_signal
parameters: {stream: stream, window_s: 86400, suspect_below: 0.1, fail_below: 0.01}
```
"""

from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from cityframe.rules.context import Context
from cityframe.rules.kind import RuleKind
from cityframe.rules.moments import Moments
from cityframe.rules.observed.qartod import (
    NOT_EVALUATED,
    Flags,
    flags_by_stream,
    qartod_measure,
    qartod_tests,
)
from cityframe.rules.observed.runs import demand, demands, durations, in_order, run_defects, runs
from cityframe.rules.observed.series import Series, ValueParameters, Values, series_of


class AttenuatedSignalParameters(ValueParameters):
    """What `attenuated_signal` needs."""

    window_s: int = Field(gt=0, description="time over which the signal must vary, in seconds")
    suspect_below: float | None = Field(
        default=None, gt=0, description="least usual variation, in the unit of the value"
    )
    fail_below: float | None = Field(
        default=None, gt=0, description="least variation that can be, in the unit of the value"
    )
    variation: Literal["std", "range"] = Field(
        default="std", description="standard deviation, or highest less lowest value"
    )
    min_share: float = Field(
        default=0.75, gt=0, le=1, description="least share of the window's observations"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        in_order(suspect_below=self.suspect_below, fail_below=self.fail_below)
        return self


def flags(series: Series, parameters: AttenuatedSignalParameters) -> Flags:
    """Return the flag of each value."""
    return flags_by_stream(
        series, lambda value, time: _flags_of_stream(value, time, parameters), least=2
    )


def _flags_of_stream(value: Values, time: Moments, parameters: AttenuatedSignalParameters) -> Flags:
    interval_s = np.median(np.diff(time)).astype("timedelta64[s]").astype(int)
    expected = int(parameters.window_s // interval_s)
    least = int(np.ceil(parameters.min_share * expected))
    if least < 2:  # one value does not vary
        return np.full(len(value), NOT_EVALUATED, dtype=np.uint8)
    suspect, fail = parameters.suspect_below, parameters.fail_below
    flagged: Flags = qartod_tests().attenuated_signal_test(
        value,
        time,
        suspect if suspect is not None else fail,
        fail if fail is not None else -np.inf,
        test_period=parameters.window_s,
        min_obs=least,
        check_type=parameters.variation,
    )
    return flagged


def check(context: Context, parameters: AttenuatedSignalParameters) -> pd.DataFrame:
    """Return the runs of values where the signal faded."""
    series = series_of(context, parameters, parameters.value).of_distinct_times()
    found = runs(series, flags(series, parameters), parameters.from_flag)
    (window,) = durations([parameters.window_s])
    english = {"std": "standard deviation", "range": "range"}[parameters.variation]
    chinese = {"std": "标准差", "range": "极差"}[parameters.variation]
    template = f"a {english} over {window} of at least {{:g}}", f"{window} 内{chinese}不小于 {{:g}}"
    expected = demands(
        demand(*template, parameters.suspect_below), demand(*template, parameters.fail_below)
    )
    return run_defects(series, found, expected)


KIND = RuleKind(
    name="attenuated_signal",
    number=77,
    group="K sensors",
    measure=qartod_measure("10", "attenuated signal test"),
    params=AttenuatedSignalParameters,
    reach="layer",
    check=check,
    depends_on_time=True,
)
