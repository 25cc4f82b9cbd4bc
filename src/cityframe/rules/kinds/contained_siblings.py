"""No polygon lies inside another of the same layer.

A polygon is contained if at least `min_share` of its area lies inside one other polygon; a share
below 1 lets borders drawn twice differ. Of two that contain each other (duplicates) the smaller is
the contained one, of two of one size the second in the layer. A polygon in the hole of another is
beside it.

A finding stands on the contained feature and names the one around it; the place is what of it lies
inside. Null and invalid geometries pass. Reach: the features that it touches.

```yaml
kind: contained_siblings
parameters: {min_share: 0.99}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.geometry.interiors import overlapping_pairs
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words

# areas of one shape, computed along two ways, differ in their last digits
_NOISE = 1e-9


class ContainedSiblingsParameters(Parameters):
    """What `contained_siblings` needs."""

    min_share: float = Field(
        default=1.0, gt=0.5, le=1, description="least share of its area inside, from 0.5 to 1"
    )


def check(context: Context, parameters: ContainedSiblingsParameters) -> pd.DataFrame:
    """Return the contained features, one defect a feature around."""
    left, right = overlapping_pairs(context)
    area = shapely.area(context.geometry)
    is_right = area[right] <= area[left] * (1 + _NOISE)
    inner, outer = np.where(is_right, right, left), np.where(is_right, left, right)
    common = shapely.intersection(context.geometry[inner], context.geometry[outer])
    share = shapely.area(common) / area[inner]
    is_inside = share >= parameters.min_share - _NOISE
    order = np.flatnonzero(is_inside)[np.lexsort([outer[is_inside], inner[is_inside]])]
    return defects(
        row=inner[order],
        other=context.ids[outer[order]],
        found=words(
            "{share:.1%} inside another feature",
            "{share:.1%} 位于同层另一要素之内",
            share=np.minimum(share[order], 1.0),
        ),
        expected=words("beside other features", "不包含于同层要素"),
        geometry=common[order],
    )


KIND = RuleKind(
    name="contained_siblings",
    number=36,
    group="D within a layer",
    measure=iso_measure("11"),
    params=ContainedSiblingsParameters,
    reach="neighbourhood",
    geometry=AREAS,
    check=check,
)
