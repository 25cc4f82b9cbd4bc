"""No value of a sensor changes faster than its quantity does.

The rate is the distance from the value before, over the time between the two. Above
``suspect_per_h`` the later value is suspect, above ``fail_per_h`` it fails. It is the rate of
change test of the QARTOD manuals (test 7), and so are the flags: 1 good, 3 suspect, 4 fail,
9 missing. The first value of a stream and one after a null pass. Times count to the second; of
several values of one stream at one second the first counts.

The values are those of a layer of observations (``stream``, ``time``, ``value``), or, with
``stream`` alone, the observations that the feeds of a layer of sensors brought since the cycle
before. A finding is a run of such values of one stream, one after the other; it stands on the
first observation, or on the sensor.

```yaml
kind: rate_of_change
parameters: {stream: stream, suspect_per_h: 4, fail_per_h: 20}
```
"""

from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from cityframe.rules.context import Context
from cityframe.rules.kind import RuleKind
from cityframe.rules.observed.qartod import Flags, flags_by_stream, qartod_measure, qartod_tests
from cityframe.rules.observed.runs import demand, demands, in_order, run_defects, runs
from cityframe.rules.observed.series import Series, ValueParameters, series_of

_HOUR_S = 3600.0


class RateOfChangeParameters(ValueParameters):
    """What `rate_of_change` needs."""

    suspect_per_h: float | None = Field(
        default=None, gt=0, description="fastest usual change, in the unit of the value an hour"
    )
    fail_per_h: float | None = Field(
        default=None, gt=0, description="fastest change that can be, in that unit an hour"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        in_order(suspect_per_h=self.suspect_per_h, fail_per_h=self.fail_per_h)
        return self


def flags(series: Series, parameters: RateOfChangeParameters) -> Flags:
    """Return the flag of each value."""
    test = qartod_tests().rate_of_change_test
    suspect, fail = parameters.suspect_per_h, parameters.fail_per_h
    suspect_per_s = np.inf if suspect is None else suspect / _HOUR_S
    fail_per_s = None if fail is None else fail / _HOUR_S
    return flags_by_stream(series, lambda value, time: test(value, time, suspect_per_s, fail_per_s))


def check(context: Context, parameters: RateOfChangeParameters) -> pd.DataFrame:
    """Return the runs of values that change too fast."""
    series = series_of(context, parameters, parameters.value).of_distinct_times()
    found = runs(series, flags(series, parameters), parameters.from_flag)
    template = "a change of at most {:g} an hour", "每小时变化不大于 {:g}"
    expected = demands(
        demand(*template, parameters.suspect_per_h), demand(*template, parameters.fail_per_h)
    )
    return run_defects(series, found, expected)


KIND = RuleKind(
    name="rate_of_change",
    number=75,
    group="K sensors",
    measure=qartod_measure("7", "rate of change test"),
    params=RateOfChangeParameters,
    reach="layer",
    check=check,
    depends_on_time=True,
)
