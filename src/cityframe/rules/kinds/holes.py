"""Polygons have no holes, or none that are too small.

Without `max_area_m2` each hole is a defect; with it those up to that area, which are rather the
noise of digitising than courtyards. Null, empty and invalid geometries pass. The places are the
holes.

```yaml
kind: holes
parameters: {max_area_m2: 1.0}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.geometry.polygon_parts import polygon_parts
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class HolesParameters(Parameters):
    """What `holes` needs."""

    max_area_m2: float | None = Field(
        default=None, gt=0, description="holes up to this area are defects, in m²; none for all"
    )


def check(context: Context, parameters: HolesParameters) -> pd.DataFrame:
    """Return the holes."""
    parts, row = polygon_parts(context.geometry)
    has_holes = np.flatnonzero(shapely.get_num_interior_rings(parts) > 0)
    has_holes = has_holes[shapely.is_valid(context.geometry[row[has_holes]])]
    # the holes of a polygon are its rings but the first
    rings, part = shapely.get_rings(parts[has_holes], return_index=True)
    is_hole = np.zeros(len(rings), dtype=bool)
    is_hole[1:] = part[1:] == part[:-1]
    hole = np.asarray(shapely.polygons(rings[is_hole]), dtype=object)
    owner = row[has_holes][part[is_hole]]
    area_m2 = shapely.area(hole)
    limit = parameters.max_area_m2
    bad = np.flatnonzero(area_m2 <= (np.inf if limit is None else limit))
    return defects(
        row=owner[bad],
        found=words("a hole of {area:.2f} m²", "空洞 {area:.2f} m²", area=area_m2[bad]),
        expected=words("no holes", "面内无空洞")
        if limit is None
        else words(f"holes of more than {limit:g} m²", f"空洞面积大于 {limit:g} m²"),
        geometry=hole[bad],
    )


KIND = RuleKind(
    name="holes",
    number=28,
    group="C geometry",
    measure=iso_measure("10"),
    params=HolesParameters,
    reach="feature",
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
