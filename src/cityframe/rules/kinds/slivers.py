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

from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class SliversParameters(Parameters):
    """What `slivers` needs."""

    max_area_m2: float = Field(gt=0, description="slivers are at most as large, in m²")
    max_thickness: float = Field(
        default=0.1, gt=0, le=1, description="slivers are at most as thick; 4πA/P²"
    )


def check(context: Context, parameters: SliversParameters) -> pd.DataFrame:
    """Return the parts that are slivers."""
    small = _candidates(context.geometry, parameters.max_area_m2)
    parts, feature = shapely.get_parts(context.geometry[small], return_index=True)
    row = small[feature]
    area_m2 = shapely.area(parts)
    thickness = 4 * np.pi * area_m2 / shapely.length(parts) ** 2
    thin = (area_m2 <= parameters.max_area_m2) & (thickness <= parameters.max_thickness)
    return defects(
        row=row[thin],
        found=words(
            "{area:.2f} m² with a thickness of {value:.3f}",
            "狭长图斑，面积 {area:.2f} m²，紧凑度 {value:.3f}",
            area=area_m2[thin],
            value=thickness[thin],
        ),
        expected=words(
            f"above {parameters.max_area_m2:g} m² or {parameters.max_thickness:g}",
            f"面积大于 {parameters.max_area_m2:g} m² 或紧凑度大于 {parameters.max_thickness:g}",
        ),
        geometry=parts[thin],
    )


def _candidates(geometry: Geometries, max_area_m2: float) -> Positions:
    """Return the valid features with a part that may be small enough."""
    is_small = shapely.area(geometry) <= max_area_m2
    row = np.flatnonzero(is_small | (shapely.get_num_geometries(geometry) > 1))
    return row[shapely.is_valid(geometry[row]) & ~shapely.is_empty(geometry[row])]


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
