"""No vertex stands where the vertex before it stands, or within a tolerance of it.

The places are the repeated vertices.

```yaml
kind: duplicate_vertices
parameters: {tolerance_m: 0.001}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.geometry.vertices import vertices
from cityframe.rules.kind import AREAS, LINES, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class DuplicateVerticesParameters(Parameters):
    """What `duplicate_vertices` needs."""

    tolerance_m: float = Field(
        default=0.0, ge=0, description="distance up to which two vertices count as one, in metres"
    )


def check(context: Context, parameters: DuplicateVerticesParameters) -> pd.DataFrame:
    """Return the repeated vertices."""
    found = vertices(context.geometry)
    start, _ = found.short_segments(parameters.tolerance_m)
    repeated = start + 1
    return defects(
        row=found.row_of(repeated),
        found=words("a vertex repeats the one before", "相邻节点重复"),
        expected=words(
            f"vertices more than {parameters.tolerance_m:g} m apart",
            f"相邻节点间距大于 {parameters.tolerance_m:g} m",
        ),
        geometry=np.asarray(shapely.points(found.xy[repeated]), dtype=object),
    )


KIND = RuleKind(
    name="duplicate_vertices",
    number=22,
    group="C geometry",
    measure=iso_measure("10"),
    params=DuplicateVerticesParameters,
    reach="feature",
    geometry=LINES | AREAS,
    check=check,
    needs_metres=True,
)
