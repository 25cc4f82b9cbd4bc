"""The source date of a feature never goes back from one release to the next.

Compared is the date or time under one uid in the current release and in the candidate. An earlier
one says that an old survey has replaced a newer one. A date that is lost is a defect too, unless
`may_vanish`; where there was none, any will do. The place is the feature.

```yaml
kind: date_monotone
parameters: {column: surveyed_on}
```
"""

import numpy as np
import pandas as pd
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.finding import Scope
from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.kind import TIMES, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.moments import moments
from cityframe.rules.values import quoted
from cityframe.rules.words import words


class DateMonotoneParameters(Parameters):
    """What `date_monotone` needs."""

    column: Name = Field(description="attribute with the source date or time")
    may_vanish: bool = Field(default=False, description="whether a date may become null")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute."""
        del layer
        return {self.column: TIMES}


def check(context: Context, parameters: DateMonotoneParameters) -> pd.DataFrame:
    """Return the features whose date goes back."""
    previous, column = context.previous, parameters.column
    if previous is None or column not in previous.columns:
        return no_defects()
    place = context.place_before
    row = np.flatnonzero(place >= 0)
    before, after = moments(previous[column])[place[row]], moments(context.frame[column])[row]
    is_back = after < before
    if not parameters.may_vanish:
        is_back |= np.isnat(after) & ~np.isnat(before)
    bad = row[is_back]
    was = previous[column].iloc[place[bad]].astype("str").to_numpy(dtype=object)
    return defects(
        row=bad,
        found=quoted(context.frame, [column], bad),
        expected=words("{was} or later", "不早于 {was}", was=was),
    )


KIND = RuleKind(
    name="date_monotone",
    number=72,
    group="J time",
    measure=iso_measure("159"),
    params=DateMonotoneParameters,
    reach="versions",
    check=check,
    scopes=frozenset({Scope.CANDIDATE}),
)
