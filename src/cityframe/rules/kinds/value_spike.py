"""No value of a sensor stands out from the values just before and after it.

The spike of a value is its distance from the mean of its two neighbours (``method: average``), or
the smaller of its distances to them where both lie on the same side of it (``method:
differential``, which a step does not trip). Above ``suspect_above`` a value is suspect, above
``fail_above`` it fails. It is the spike test of the QARTOD manuals (test 6), and so are the flags:
1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing. Not evaluated are the first and the last
value of a stream and those beside a null. Of several values of one stream at one second the first
counts.

The values are those of a layer of observations (``stream``, ``time``, ``value``), or, with
``stream`` alone, the observations that the feeds of a layer of sensors brought since the cycle
before. A finding is a run of such values of one stream, one after the other; it stands on the
first observation, or on the sensor.

```yaml
kind: value_spike
parameters: {stream: stream, suspect_above: 5, fail_above: 20}
```
"""

from typing import Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from cityframe.rules.context import Context
from cityframe.rules.kind import RuleKind
from cityframe.rules.observed.qartod import Flags, flags_by_stream, qartod_measure, qartod_tests
from cityframe.rules.observed.runs import demand, demands, in_order, run_defects, runs
from cityframe.rules.observed.series import Series, ValueParameters, series_of


class ValueSpikeParameters(ValueParameters):
    """What `value_spike` needs."""

    suspect_above: float | None = Field(
        default=None, gt=0, description="highest usual spike, in the unit of the value"
    )
    fail_above: float | None = Field(
        default=None, gt=0, description="highest spike that can be, in the unit of the value"
    )
    method: Literal["average", "differential"] = Field(
        default="average", description="how a spike is measured"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        in_order(suspect_above=self.suspect_above, fail_above=self.fail_above)
        return self


def flags(series: Series, parameters: ValueSpikeParameters) -> Flags:
    """Return the flag of each value."""
    test = qartod_tests().spike_test
    return flags_by_stream(
        series,
        lambda value, _: test(
            value, parameters.suspect_above, parameters.fail_above, method=parameters.method
        ),
        least=3,
    )


def check(context: Context, parameters: ValueSpikeParameters) -> pd.DataFrame:
    """Return the runs of spikes."""
    series = series_of(context, parameters, parameters.value).of_distinct_times()
    found = runs(series, flags(series, parameters), parameters.from_flag)
    template = "a spike of at most {:g}", "尖峰不大于 {:g}"
    expected = demands(
        demand(*template, parameters.suspect_above), demand(*template, parameters.fail_above)
    )
    return run_defects(series, found, expected)


KIND = RuleKind(
    name="value_spike",
    number=74,
    group="K sensors",
    measure=qartod_measure("6", "spike test"),
    params=ValueSpikeParameters,
    reach="layer",
    check=check,
    depends_on_time=True,
)
