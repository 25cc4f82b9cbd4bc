"""Each feature lies inside the polygons of another layer.

One polygon may cover it, or several together. What sticks out by no more than `tolerance_m` is
passed over. The place is the part that lies outside. Null and invalid geometries
pass. Reach: `tolerance_m`.

```yaml
kind: covered_by
parameters: {layer: districts, tolerance_m: 0.1}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.geometry.sizes import sized
from cityframe.rules.kind import AREAS, SPATIAL, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class CoveredByParameters(Parameters):
    """What `covered_by` needs."""

    layer: Name = Field(description="layer of the polygons that cover")
    tolerance_m: float = Field(
        default=0.001, gt=0, description="how far a feature may stick out, in metres"
    )

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the polygons."""
        return (OtherLayer(name=self.layer, geometry=AREAS),)

    def reach_m(self, layer: Layer) -> float:
        """Return the tolerance."""
        del layer
        return self.tolerance_m


def check(context: Context, parameters: CoveredByParameters) -> pd.DataFrame:
    """Return the features that are not covered, with the part outside."""
    covers = usable_geometries(context.other(parameters.layer))
    # asked of the polygons, since the one that asks is prepared and they are the larger
    _, inside = context.tree.query(covers, predicate="covers")
    row = np.setdiff1d(context.usable, inside)
    union = _union_around(covers, context.geometry[row], parameters.tolerance_m)
    beyond = shapely.difference(context.geometry[row], union)
    rest = shapely.difference(beyond, shapely.buffer(union, parameters.tolerance_m))
    is_outside = ~shapely.is_empty(rest)
    row, beyond = row[is_outside], beyond[is_outside]
    return defects(
        row=row,
        found=sized("{size} outside", "超出范围的部分：{size}", beyond),
        expected=words(f"inside {parameters.layer}", f"位于 {parameters.layer} 之内"),
        geometry=beyond,
    )


def _union_around(covers: Geometries, features: Geometries, distance: float) -> Geometries:
    """Return for each feature the union of the polygons near it; an empty one where none is."""
    tree = shapely.STRtree(covers)
    feature, near = tree.query(features, predicate="dwithin", distance=distance)
    union = np.full(len(features), shapely.Polygon(), dtype=object)
    if len(feature):
        found, index = np.unique(feature, return_inverse=True)
        collections = shapely.geometrycollections(covers[near], indices=index)
        union[found] = shapely.unary_union(collections[:, np.newaxis], axis=1)
    return union


KIND = RuleKind(
    name="covered_by",
    number=40,
    group="E across layers",
    measure=iso_measure("10"),
    params=CoveredByParameters,
    reach="neighbourhood",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
