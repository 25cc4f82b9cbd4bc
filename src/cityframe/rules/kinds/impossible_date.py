"""A date or time is possible: not before a first day, not in the future.

The future begins after the moment of the check; `future_days` lets dates be that far ahead (a
planned completion). Nulls pass.

```yaml
kind: impossible_date
parameters: {column: built_on, earliest: 1800-01-01}
```
"""

import datetime as dt

import numpy as np
import pandas as pd
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.kind import TIMES, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.moments import moment_for, moments
from cityframe.rules.values import quoted
from cityframe.rules.words import words


class ImpossibleDateParameters(Parameters):
    """What `impossible_date` needs."""

    column: Name = Field(description="attribute with the date or time")
    earliest: dt.date = Field(default=dt.date(1900, 1, 1), description="first day possible")
    future_days: int = Field(default=0, ge=0, description="days that it may lie ahead")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute."""
        del layer
        return {self.column: TIMES}


def check(context: Context, parameters: ImpossibleDateParameters) -> pd.DataFrame:
    """Return the features with an impossible date."""
    column = context.frame[parameters.column]
    when = moments(column)
    latest = moment_for(column, context.as_of + dt.timedelta(days=parameters.future_days))
    row = np.flatnonzero((when < np.datetime64(parameters.earliest, "us")) | (when > latest))
    return defects(
        row=row,
        found=quoted(context.frame, [parameters.column], row),
        expected=words(
            en=f"from {parameters.earliest} to {str(latest)[:10]}",
            zh=f"{parameters.earliest} 至 {str(latest)[:10]} 之间",
        ),
    )


KIND = RuleKind(
    name="impossible_date",
    number=71,
    group="J time",
    measure=iso_measure("159"),
    params=ImpossibleDateParameters,
    reach="feature",
    check=check,
    depends_on_time=True,
)
