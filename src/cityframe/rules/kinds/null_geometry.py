"""Each feature has a geometry that is neither null nor empty.

```yaml
kind: null_geometry
```
"""

import numpy as np
import pandas as pd
import shapely

from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.kind import SPATIAL, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


class NullGeometryParameters(Parameters):
    """`null_geometry` takes no parameters."""


def check(context: Context, parameters: NullGeometryParameters) -> pd.DataFrame:
    """Return the features without geometry."""
    del parameters
    is_null = shapely.is_missing(context.geometry)
    row = np.flatnonzero(is_null | shapely.is_empty(context.geometry))
    found = Words(
        np.where(is_null[row], "null geometry", "empty geometry"),
        np.where(is_null[row], "几何为空值", "几何无坐标"),
    )
    return defects(row=row, found=found, expected=words("a geometry", "有几何图形"))


KIND = RuleKind(
    name="null_geometry",
    number=17,
    group="C geometry",
    measure=iso_measure("6"),
    params=NullGeometryParameters,
    reach="feature",
    geometry=SPATIAL,
    check=check,
)
