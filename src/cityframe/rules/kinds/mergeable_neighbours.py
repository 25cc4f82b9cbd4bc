"""No two neighbours are alike: polygons with equal `columns` that share a border are one feature.

Two land-cover patches of one class side by side should be merged, and so the border between them
dropped. They are neighbours if more than `min_border_m` of the border of one lies within
`tolerance_m` of that of the other. A null is like nothing. Both features fail; the place is the
border between them. Null and invalid geometries pass. Reach: `tolerance_m`.

```yaml
kind: mergeable_neighbours
parameters: {columns: [land_use], min_border_m: 1.0}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.crowds import require_no_crowd
from cityframe.rules.kind import ANY_TYPE, AREAS, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.values import quoted
from cityframe.rules.words import words


class MergeableNeighboursParameters(Parameters):
    """What `mergeable_neighbours` needs."""

    columns: tuple[Name, ...] = Field(
        min_length=1, description="attributes that are equal in what should be one feature"
    )
    tolerance_m: float = Field(
        default=0.001, ge=0, description="distance up to which borders are one, in metres"
    )
    min_border_m: float = Field(
        default=0.1, ge=0, description="common borders up to this length are passed over, in metres"
    )

    @model_validator(mode="after")
    def _border_is_longer(self) -> Self:
        # where two features touch in a corner, some tolerances of border are near the other
        if self.min_border_m < 10 * self.tolerance_m:
            message = "min_border_m of at least 10 tolerance_m"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes that are compared."""
        del layer
        return dict.fromkeys(self.columns, ANY_TYPE)

    def reach_m(self, layer: Layer) -> float:
        """Return the tolerance."""
        del layer
        return self.tolerance_m


def check(context: Context, parameters: MergeableNeighboursParameters) -> pd.DataFrame:
    """Return the pairs of neighbours that are alike."""
    left, right = _alike(context, parameters)
    one, two = context.geometry[left], context.geometry[right]
    is_near = shapely.dwithin(one, two, parameters.tolerance_m)
    left, right, one, two = left[is_near], right[is_near], one[is_near], two[is_near]
    common = _common_border(one, two, parameters)
    length_m = shapely.length(common)
    long = length_m > parameters.min_border_m
    texts = quoted(context.frame, parameters.columns, left[long])
    return defects(
        row=left[long],
        other_row=right[long],
        found=words(
            "{length:.2f} m of border between two with {texts}",
            "相邻要素 {texts} 相同，公共边长 {length:.2f} m",
            length=length_m[long],
            texts=texts,
        ),
        expected=words("one feature", "合并为一个要素"),
        geometry=shapely.line_merge(common[long]),
    )


def _common_border(
    one: Geometries, two: Geometries, parameters: MergeableNeighboursParameters
) -> Geometries:
    """Return the border that each two share: to the last digit if that is enough."""
    border, other = (np.asarray(shapely.boundary(each), dtype=object) for each in (one, two))
    common = np.asarray(shapely.intersection(border, other), dtype=object)
    short = np.flatnonzero(shapely.length(common) <= parameters.min_border_m)
    if parameters.tolerance_m:
        wider = shapely.buffer(other[short], parameters.tolerance_m)
        common[short] = shapely.intersection(border[short], wider)
    return common


def _alike(
    context: Context, parameters: MergeableNeighboursParameters
) -> tuple[Positions, Positions]:
    """Return the pairs with equal values whose extents meet: left < right, sorted."""
    values = context.frame[list(parameters.columns)].reset_index(drop=True)
    is_known = values.notna().all(axis=1).to_numpy()
    group = values.groupby(list(parameters.columns), sort=False).ngroup().to_numpy()
    rows = context.usable[is_known[context.usable]]
    low_x, low_y, high_x, high_y = shapely.bounds(context.geometry[rows]).T
    step = parameters.tolerance_m
    extent = shapely.box(low_x - step, low_y - step, high_x + step, high_y + step)
    require_no_crowd(context.usable_geometry)
    found, right = context.tree.query(extent)
    left = rows[found]
    is_alike = (left < right) & (group[left] == group[right])
    left, right = left[is_alike], right[is_alike]
    order = np.lexsort([right, left])
    return left[order], right[order]


KIND = RuleKind(
    name="mergeable_neighbours",
    number=37,
    group="D within a layer",
    measure=iso_measure("10"),
    params=MergeableNeighboursParameters,
    reach="neighbourhood",
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
