"""No two polygons of the layer overlap.

Found are partial overlaps, containments and duplicates alike; both features fail. Overlaps up to
`min_area_m2` are the noise of shared borders drawn twice. The place is the overlap itself. Null
and invalid geometries pass; their own rules find them. Reach: the features that it touches.

```yaml
kind: overlaps
parameters: {min_area_m2: 0.05}
```

How: polygons whose edges are not matched in the coverage (GEOS) are candidates; each is compared
with the whole layer, since of two nested polygons only the inner one shows such an edge.
"""

import pandas as pd
import shapely
from pydantic import Field

from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.geometry.interiors import overlapping_pairs
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class OverlapsParameters(Parameters):
    """What `overlaps` needs."""

    min_area_m2: float = Field(
        default=0.01, ge=0, description="overlaps up to this area are passed over, in m²"
    )


def check(context: Context, parameters: OverlapsParameters) -> pd.DataFrame:
    """Return the overlaps, each once."""
    left, right = overlapping_pairs(context)
    common = shapely.intersection(context.geometry[left], context.geometry[right])
    area_m2 = shapely.area(common)
    large = area_m2 > parameters.min_area_m2
    limit = f"{parameters.min_area_m2:g} m²"
    return defects(
        row=left[large],
        other_row=right[large],
        found=words(
            "an overlap of {area:.2f} m²", "面重叠，重叠面积 {area:.2f} m²", area=area_m2[large]
        ),
        expected=words(f"at most {limit}", f"不超过 {limit}"),
        geometry=common[large],
    )


KIND = RuleKind(
    name="overlaps",
    number=32,
    group="D within a layer",
    measure=iso_measure("11"),
    params=OverlapsParameters,
    reach="neighbourhood",
    is_pairwise=True,
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
