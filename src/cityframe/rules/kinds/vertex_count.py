"""A feature has neither too few nor too many vertices.

Counted are the vertices of all parts and rings; the closing vertex of a ring does not count, so
that a square has four. Null and empty geometries pass. The place is the feature.

```yaml
kind: vertex_count
parameters: {max_count: 50000}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.polygon_parts import polygon_parts
from cityframe.rules.kind import SPATIAL, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class VertexCountParameters(Parameters):
    """What `vertex_count` needs."""

    min_count: int = Field(default=1, ge=1, description="fewest vertices of a feature")
    max_count: int | None = Field(default=None, ge=1, description="most vertices of a feature")

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.max_count is None and self.min_count == 1:
            message = "min_count or max_count"
            raise ValueError(message)
        if self.max_count is not None and self.max_count < self.min_count:
            message = "max_count of min_count or more"
            raise ValueError(message)
        return self


def check(context: Context, parameters: VertexCountParameters) -> pd.DataFrame:
    """Return the features with too few or too many vertices."""
    least = parameters.min_count
    most = np.inf if parameters.max_count is None else parameters.max_count
    coordinates = shapely.get_num_coordinates(context.geometry)
    # one coordinate in four or more is a closing vertex, so that this misses none
    is_candidate = (coordinates > most) | (coordinates < 2 * least)
    candidate = np.flatnonzero(is_candidate & (coordinates > 0))
    count = coordinates[candidate] - _rings(context.geometry[candidate])
    is_bad = (count > most) | (count < least)
    en, zh = f"at least {least} vertices", f"顶点不少于 {least} 个"
    if parameters.max_count is not None:
        en, zh = f"{least} to {most} vertices", f"顶点 {least} 至 {most} 个"
    return defects(
        row=candidate[is_bad],
        found=words("{count} vertices", "顶点 {count} 个", count=count[is_bad]),
        expected=words(en, zh),
    )


def _rings(geometry: Geometries) -> Positions:
    """Return the number of rings of each geometry."""
    parts, owner = polygon_parts(geometry)
    rings = np.where(shapely.is_empty(parts), 0, 1 + shapely.get_num_interior_rings(parts))
    return np.bincount(owner, rings, minlength=len(geometry)).astype(np.int64)


KIND = RuleKind(
    name="vertex_count",
    number=29,
    group="C geometry",
    measure=iso_measure("10"),
    params=VertexCountParameters,
    reach="feature",
    geometry=SPATIAL,
    check=check,
)
