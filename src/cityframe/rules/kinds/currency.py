"""The content is not older than promised.

The age of a feature is the time from a date or time attribute to the moment of the check. Nulls
pass.

```yaml
kind: currency
parameters: {column: surveyed_on, max_days: 730}
```
"""

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
from cityframe.rules.words import words


class CurrencyParameters(Parameters):
    """What `currency` needs."""

    column: Name = Field(description="attribute with the date or time of the last survey")
    max_days: float = Field(gt=0, description="highest age allowed, in days")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute."""
        del layer
        return {self.column: TIMES}


def check(context: Context, parameters: CurrencyParameters) -> pd.DataFrame:
    """Return the features that are too old."""
    column = context.frame[parameters.column]
    age_days = (moment_for(column, context.as_of) - moments(column)) / np.timedelta64(1, "D")
    row = np.flatnonzero(age_days > parameters.max_days)
    return defects(
        row=row,
        found=words(
            en=f"{parameters.column}: {{age:.0f}} days old",
            zh=f"{parameters.column}：距今 {{age:.0f}} 天",
            age=age_days[row],
        ),
        expected=words(
            en=f"at most {parameters.max_days:g} days", zh=f"不超过 {parameters.max_days:g} 天"
        ),
    )


KIND = RuleKind(
    name="currency",
    number=70,
    group="J time",
    measure=iso_measure("16"),
    params=CurrencyParameters,
    reach="feature",
    check=check,
    depends_on_time=True,
)
