"""A polygon is not smaller than a minimum.

Null and invalid geometries pass; their own rules find them.

```yaml
kind: minimum_area
parameters: {min_m2: 4.0}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class MinimumAreaParameters(Parameters):
    """What `minimum_area` needs."""

    min_m2: float = Field(gt=0, description="smallest area allowed, in m²")


def check(context: Context, parameters: MinimumAreaParameters) -> pd.DataFrame:
    """Return the features that are too small."""
    area_m2 = shapely.area(context.geometry)
    row = np.flatnonzero(area_m2 < parameters.min_m2)
    row = row[shapely.is_valid(context.geometry[row]) & ~shapely.is_empty(context.geometry[row])]
    return defects(
        row=row,
        found=words("{area:.2f} m²", "面积 {area:.2f} m²", area=area_m2[row]),
        expected=words(
            f"at least {parameters.min_m2:g} m²", f"面积不小于 {parameters.min_m2:g} m²"
        ),
    )


KIND = RuleKind(
    name="minimum_area",
    number=25,
    group="C geometry",
    measure=iso_measure("10"),
    params=MinimumAreaParameters,
    reach="feature",
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
