"""The layer is not empty, nor nearly so: a feed has not fallen silent.

It has at least `min_count` features and, where there is a current release, at least `min_share`
of its count. One finding for the layer; the place is the extent of the release.

```yaml
kind: silent_feed
parameters: {min_count: 100, min_share: 0.5}
```
"""

import math

import pandas as pd
from pydantic import Field

from cityframe.rules.context import Context, geometries
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.extent import extent
from cityframe.rules.kind import Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class SilentFeedParameters(Parameters):
    """What `silent_feed` needs."""

    min_count: int = Field(default=1, ge=0, description="least features")
    min_share: float = Field(
        default=0.5, ge=0, le=1, description="least features as a share of the current release"
    )


def check(context: Context, parameters: SilentFeedParameters) -> pd.DataFrame:
    """Return one defect if there are too few features."""
    previous = context.previous
    before = 0 if previous is None else len(previous)
    least = max(parameters.min_count, parameters.min_share * before)
    if len(context.frame) >= least:
        return no_defects()
    return defects(
        found=words(en="{n} features", zh="仅 {n} 个要素", n=[len(context.frame)]),
        expected=words(en=f"at least {math.ceil(least)}", zh=f"不少于 {math.ceil(least)} 个"),
        geometry=[extent(context.geometry if previous is None else geometries(previous))],
    )


KIND = RuleKind(
    name="silent_feed",
    number=89,
    group="L across versions",
    measure=iso_measure("6"),
    params=SilentFeedParameters,
    reach="layer",
    check=check,
    depends_on_time=True,
)
