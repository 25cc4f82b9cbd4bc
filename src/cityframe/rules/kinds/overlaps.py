"""No two polygons of the layer overlap.

Found are partial overlaps, containments and duplicates alike; both features fail. Overlaps up to
`min_area_m2` are the noise of shared borders drawn twice. The place is the overlap itself. Null
and invalid geometries pass; their own rules find them.

```yaml
kind: overlaps
parameters: {min_area_m2: 0.05}
```

How: polygons whose edges are not matched in the coverage (GEOS) are candidates; each is compared
with the whole layer, since of two nested polygons only the inner one shows such an edge.
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import iso_measure


class OverlapsParameters(Parameters):
    """What `overlaps` needs."""

    min_area_m2: float = Field(
        default=0.01, ge=0, description="overlaps up to this area are passed over, in m²"
    )


def check(context: Context, parameters: OverlapsParameters) -> pd.DataFrame:
    """Return the overlaps, each once."""
    left, right = _touching_pairs(context)
    common = shapely.intersection(context.geometry[left], context.geometry[right])
    area_m2 = shapely.area(common)
    large = area_m2 > parameters.min_area_m2
    return defects(
        row=left[large],
        other_row=right[large],
        found=[f"an overlap of {area:.2f} m²" for area in area_m2[large]],
        expected=f"at most {parameters.min_area_m2:g} m²",
        geometry=common[large],
    )


def _touching_pairs(context: Context) -> tuple[Positions, Positions]:
    """Return the pairs that may overlap: left < right, sorted, each once."""
    candidates = context.usable[context.breaks_coverage]
    found, touched = context.tree.query(context.geometry[candidates], predicate="intersects")
    one = candidates[found]
    pairs = np.stack([np.minimum(one, touched), np.maximum(one, touched)], axis=1)
    pairs = np.unique(pairs[one != touched], axis=0)
    return pairs[:, 0], pairs[:, 1]


KIND = RuleKind(
    name="overlaps",
    number=32,
    group="D within a layer",
    measure=iso_measure("11"),
    params=OverlapsParameters,
    reach="neighbourhood",
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
