"""The shares of an attribute's values stay near those of the current release.

Compared is the share of each value, null among them. A mapping that puts a new value into the
wrong class shows so although every code is legal. One finding for the layer, naming the values;
the place is the layer's extent.

```yaml
kind: distribution_drift
parameters: {column: usage, max_change: 0.05}
```
"""

import pandas as pd
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import AttributeType, Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.extent import extent
from cityframe.rules.kind import TEXT, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import own_measure
from cityframe.rules.words import words


class DistributionDriftParameters(Parameters):
    """What `distribution_drift` needs."""

    column: Name = Field(description="attribute with the category")
    max_change: float = Field(
        gt=0,
        le=1,
        description="highest change of a value's share; 0.05 is five points in a hundred",
    )

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute; categories are texts, integers or truths."""
        del layer
        return {self.column: TEXT | {AttributeType.INTEGER, AttributeType.BOOLEAN}}


def check(context: Context, parameters: DistributionDriftParameters) -> pd.DataFrame:
    """Return one defect if a share has changed too much."""
    previous = context.previous
    if previous is None or previous.empty or context.frame.empty:
        return no_defects()
    before, after = _shares(previous[parameters.column]), _shares(context.frame[parameters.column])
    change = after.sub(before, fill_value=0.0)
    large = change[change.abs() > parameters.max_change].sort_index()
    if large.empty:
        return no_defects()
    drift = ", ".join(
        f"{value} {before.get(value, 0.0):.1%} → {after.get(value, 0.0):.1%}"
        for value in large.index
    )
    return defects(
        found=words(
            en="{column}: {drift}",
            zh="{column} 各值占比变化：{drift}",
            column=[parameters.column],
            drift=[drift],
        ),
        expected=words(
            en=f"shares within {parameters.max_change:.1%} of those of the release",
            zh=f"占比与现行版本相差不超过 {parameters.max_change:.1%}",
        ),
        geometry=[extent(context.geometry)],
    )


def _shares(column: pd.Series) -> pd.Series:
    texts = column.astype("str").where(column.notna(), "null")
    return texts.value_counts(normalize=True).astype(float)


KIND = RuleKind(
    name="distribution_drift",
    number=86,
    group="L across versions",
    measure=own_measure("distribution-drift", "largest change of the share of a category"),
    params=DistributionDriftParameters,
    reach="versions",
    check=check,
)
