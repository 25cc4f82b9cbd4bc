"""No value of a sensor is unusual for its season or its time of day.

Each of `seasons` says from when to when it is, and what range of values is usual (``suspect_min``
to ``suspect_max``) and possible (``fail_min`` to ``fail_max``) then. `unit` is what ``first`` and
``last`` count: ``month``, ``week`` (ISO 8601), ``day_of_year``, ``day_of_week`` (0 for Monday),
``hour``, ``quarter`` or ``year``, both ends included, in local time. A winter is two seasons
(November to December, January to March). A later season decides where two overlap. It is the
climatology test of the QARTOD manuals (test 5), and so are the flags: 1 good, 2 not evaluated (no
season), 3 suspect, 4 fail, 9 missing.

The values are those of a layer of observations (``stream``, ``time``, ``value``), or, with
``stream`` alone, the observations that the feeds of a layer of sensors brought since the cycle
before. A finding is a run of such values of one stream, one after the other; it stands on the
first observation, or on the sensor.

```yaml
kind: climatology
parameters:
  stream: stream
  seasons:
    - {unit: month, first: 6, last: 8, suspect_min: 10, suspect_max: 38, fail_max: 50}
    - {unit: month, first: 12, last: 12, suspect_min: -20, suspect_max: 20}
```
"""

import zoneinfo
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from cityframe.config.document import Declaration
from cityframe.rules.context import Context
from cityframe.rules.kind import RuleKind
from cityframe.rules.moments import Moments
from cityframe.rules.observed.qartod import Flags, flags_of, qartod_measure, qartod_tests
from cityframe.rules.observed.runs import demands, run_defects, runs, within
from cityframe.rules.observed.series import Series, ValueParameters, Values, series_of
from cityframe.rules.words import Words

_CHINESE = {
    "month": "月份", "week": "周次", "day_of_year": "年内日序", "day_of_week": "星期（0 为周一）",
    "hour": "时", "quarter": "季度", "year": "年份",
}  # fmt: skip


class Season(Declaration):
    """A part of the year, the week or the day, with the values of that time."""

    unit: Literal["month", "week", "day_of_year", "day_of_week", "hour", "quarter", "year"] = Field(
        description="what first and last count"
    )
    first: int = Field(ge=0, description="first month (week, day, hour) of the season")
    last: int = Field(ge=0, description="last one, included")
    suspect_min: float = Field(description="lowest usual value, in its unit")
    suspect_max: float = Field(description="highest usual value, in its unit")
    fail_min: float | None = Field(default=None, description="lowest value that can be")
    fail_max: float | None = Field(default=None, description="highest value that can be")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            message = "a first that is not after last; a season over the new year is two"
            raise ValueError(message)
        low, high = self.fail_span
        if not low <= self.suspect_min <= self.suspect_max <= high:
            message = "fail_min <= suspect_min <= suspect_max <= fail_max"
            raise ValueError(message)
        return self

    @property
    def fail_span(self) -> tuple[float, float]:
        """Lowest and highest value that can be."""
        low = -np.inf if self.fail_min is None else self.fail_min
        return low, np.inf if self.fail_max is None else self.fail_max

    def member(self) -> dict[str, Any]:
        """Return the season as the test reads it."""
        return {
            "tspan": (self.first, self.last),
            "vspan": (self.suspect_min, self.suspect_max),
            "fspan": self.fail_span,
            "period": self.unit,
        }

    def words(self) -> Words:
        """Return when it is and what is expected then."""
        expected = demands(
            within(self.suspect_min, self.suspect_max), within(self.fail_min, self.fail_max)
        )
        when = f"{self.first}–{self.last}"
        return Words(
            f"{self.unit.replace('_', ' ')} {when}: {expected.en}",
            f"{_CHINESE[self.unit]} {when}：{expected.zh}",
        )


class ClimatologyParameters(ValueParameters):
    """What `climatology` needs."""

    seasons: tuple[Season, ...] = Field(min_length=1, description="seasons with their values")
    time_zone: str = Field(
        default="Asia/Shanghai", description="where the seasons are, an IANA name"
    )

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            message = "a time zone of the IANA database"
            raise ValueError(message)
        return value


def flags(series: Series, parameters: ClimatologyParameters) -> Flags:
    """Return the flag of each value."""
    members = [season.member() for season in parameters.seasons]
    test = qartod_tests().climatology_test

    def tested(value: Values, time: Moments) -> Any:
        local = pd.DatetimeIndex(time, tz="UTC").tz_convert(parameters.time_zone)
        depth = np.full(len(value), np.nan)
        return test(members, value, local.tz_localize(None).to_numpy(), depth)

    return flags_of(series, tested)


def check(context: Context, parameters: ClimatologyParameters) -> pd.DataFrame:
    """Return the runs of values that are unusual for their season."""
    series = series_of(context, parameters, parameters.value)
    found = runs(series, flags(series, parameters), parameters.from_flag)
    seasons = [season.words() for season in parameters.seasons]
    expected = Words(
        ", or ".join(str(season.en) for season in seasons),
        "；或 ".join(str(season.zh) for season in seasons),
    )
    return run_defects(series, found, expected)


KIND = RuleKind(
    name="climatology",
    number=78,
    group="K sensors",
    measure=qartod_measure("5", "climatology test"),
    params=ClimatologyParameters,
    reach="layer",
    check=check,
    depends_on_time=True,
)
