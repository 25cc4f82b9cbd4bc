"""No part of a polygon is a sliver: small and thin at once.

A part is a sliver if its area is at most `max_area_m2` and its thickness 4πA/P² (1 for a circle,
0.79 for a square) is at most `max_thickness`. The places are the parts. Invalid geometries pass.

```yaml
kind: slivers
parameters: {max_area_m2: 15.0, max_thickness: 0.1}
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


class SliversParameters(Parameters):
    """What `slivers` needs."""

    max_area_m2: float = Field(gt=0, description="slivers are at most as large, in m²")
    max_thickness: float = Field(
        default=0.1, gt=0, le=1, description="slivers are at most as thick; 4πA/P²"
    )


def check(context: Context, parameters: SliversParameters) -> pd.DataFrame:
    """Return the parts that are slivers."""
    parts, row = shapely.get_parts(context.usable_geometry, return_index=True)
    area_m2 = shapely.area(parts)
    thickness = 4 * np.pi * area_m2 / shapely.length(parts) ** 2
    thin = (area_m2 <= parameters.max_area_m2) & (thickness <= parameters.max_thickness)
    return defects(
        row=row[thin],
        found=[
            f"{area:.2f} m² with a thickness of {value:.3f}"
            for area, value in zip(area_m2[thin], thickness[thin], strict=True)
        ],
        expected=f"above {parameters.max_area_m2:g} m² or {parameters.max_thickness:g}",
        geometry=parts[thin],
    )


KIND = RuleKind(
    name="slivers",
    number=26,
    group="C geometry",
    measure=iso_measure("25"),
    params=SliversParameters,
    reach="feature",
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
