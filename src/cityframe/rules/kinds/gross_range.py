"""No value of a sensor lies outside the range that its instrument or its site can give.

Outside ``fail_min`` to ``fail_max`` (what the instrument can measure) a value fails, outside
``suspect_min`` to ``suspect_max`` (what the site is known for) it is suspect; the limits
themselves are allowed. It is the gross range test of the QARTOD manuals (test 4), and so are the
flags: 1 good, 3 suspect, 4 fail, 9 missing. Nulls pass.

The values are those of a layer of observations (``stream``, ``time``, ``value``), or, with
``stream`` alone, the observations that the feeds of a layer of sensors brought since the cycle
before. A finding is a run of such values of one stream, one after the other; it stands on the
first observation, or on the sensor.

```yaml
kind: gross_range
parameters: {stream: stream, fail_min: 0, fail_max: 200, suspect_max: 120}
```
"""

from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from cityframe.rules.context import Context
from cityframe.rules.kind import RuleKind
from cityframe.rules.observed.qartod import Flags, flags_of, qartod_measure, qartod_tests
from cityframe.rules.observed.runs import demands, run_defects, runs, within
from cityframe.rules.observed.series import Series, ValueParameters, series_of


class GrossRangeParameters(ValueParameters):
    """What `gross_range` needs."""

    fail_min: float | None = Field(default=None, description="lowest value that can be, its unit")
    fail_max: float | None = Field(default=None, description="highest value that can be, its unit")
    suspect_min: float | None = Field(default=None, description="lowest usual value, in its unit")
    suspect_max: float | None = Field(default=None, description="highest usual value, in its unit")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not _given(self.fail_span) and not _given(self.suspect_span):
            message = "at least one limit"
            raise ValueError(message)
        low, high = self.suspect_span
        if not self.fail_span[0] <= low <= high <= self.fail_span[1]:
            message = "fail_min <= suspect_min <= suspect_max <= fail_max"
            raise ValueError(message)
        return self

    @property
    def fail_span(self) -> tuple[float, float]:
        """Lowest and highest value that can be."""
        low = -np.inf if self.fail_min is None else self.fail_min
        return low, np.inf if self.fail_max is None else self.fail_max

    @property
    def suspect_span(self) -> tuple[float, float]:
        """Lowest and highest usual value."""
        low, high = self.fail_span
        return (
            low if self.suspect_min is None else self.suspect_min,
            high if self.suspect_max is None else self.suspect_max,
        )


def _given(span: tuple[float, float]) -> bool:
    return bool(np.isfinite(span).any())


def flags(series: Series, parameters: GrossRangeParameters) -> Flags:
    """Return the flag of each value."""
    test = qartod_tests().gross_range_test
    return flags_of(
        series, lambda value, _: test(value, parameters.fail_span, parameters.suspect_span)
    )


def check(context: Context, parameters: GrossRangeParameters) -> pd.DataFrame:
    """Return the runs of values outside the ranges."""
    series = series_of(context, parameters, parameters.value)
    found = runs(series, flags(series, parameters), parameters.from_flag)
    expected = demands(
        within(parameters.suspect_min, parameters.suspect_max),
        within(parameters.fail_min, parameters.fail_max),
    )
    return run_defects(series, found, expected)


KIND = RuleKind(
    name="gross_range",
    number=73,
    group="K sensors",
    measure=qartod_measure("4", "gross range test"),
    params=GrossRangeParameters,
    reach="layer",
    check=check,
    depends_on_time=True,
)
