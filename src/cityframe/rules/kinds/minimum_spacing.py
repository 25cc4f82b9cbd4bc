"""Features that do not touch keep their distance: at least `min_m` lies between them.

Two features less than `min_m` apart fail; those that are at most `touching_m` apart touch and pass
(with `touching_m: null` they fail too). The place is the shortest line between the two, the point
where they touch. Null, empty and invalid geometries pass. Reach: `min_m`.

```yaml
kind: minimum_spacing
parameters: {min_m: 0.5, touching_m: 0.001}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.crowds import require_no_crowd
from cityframe.rules.kind import SPATIAL, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class MinimumSpacingParameters(Parameters):
    """What `minimum_spacing` needs."""

    min_m: float = Field(gt=0, description="least distance, in metres")
    touching_m: float | None = Field(
        default=0.001,
        ge=0,
        description="features up to this distance touch and pass, in metres; null for none",
    )

    @model_validator(mode="after")
    def _touching_is_nearer(self) -> Self:
        if self.touching_m is not None and self.touching_m >= self.min_m:
            message = "touching_m below min_m"
            raise ValueError(message)
        return self

    def reach_m(self, layer: Layer) -> float:
        """Return the least distance."""
        del layer
        return self.min_m


def check(context: Context, parameters: MinimumSpacingParameters) -> pd.DataFrame:
    """Return the pairs that are too near."""
    left, right = _near(context, parameters.min_m)
    distance_m = shapely.distance(context.geometry[left], context.geometry[right])
    is_close = distance_m < parameters.min_m
    if parameters.touching_m is not None:
        is_close &= distance_m > parameters.touching_m
    left, right, distance_m = left[is_close], right[is_close], distance_m[is_close]
    return defects(
        row=left,
        other_row=right,
        found=words("{distance:.3f} m apart", "间距 {distance:.3f} m", distance=distance_m),
        expected=words(
            f"at least {parameters.min_m:g} m apart", f"间距不小于 {parameters.min_m:g} m"
        ),
        geometry=_between(context.geometry[left], context.geometry[right]),
    )


def _near(context: Context, distance_m: float) -> tuple[Positions, Positions]:
    """Return the pairs whose extents are so near: left < right, sorted."""
    low_x, low_y, high_x, high_y = shapely.bounds(context.geometry[context.usable]).T
    extent = shapely.box(
        low_x - distance_m, low_y - distance_m, high_x + distance_m, high_y + distance_m
    )
    require_no_crowd(context.usable_geometry)
    found, right = context.tree.query(extent)
    left = context.usable[found]
    is_first = left < right
    left, right = left[is_first], right[is_first]
    order = np.lexsort([right, left])
    return left[order], right[order]


def _between(one: Geometries, two: Geometries) -> Geometries:
    """Return the shortest line between each two, a point where they touch."""
    lines = np.asarray(shapely.shortest_line(one, two), dtype=object)
    is_point = shapely.length(lines) == 0
    lines[is_point] = shapely.get_point(lines[is_point], 0)
    return lines


KIND = RuleKind(
    name="minimum_spacing",
    number=38,
    group="D within a layer",
    measure=iso_measure("10"),
    params=MinimumSpacingParameters,
    reach="neighbourhood",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
