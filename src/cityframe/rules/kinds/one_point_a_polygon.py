"""Each polygon holds as many points of another layer as it should: by default exactly one.

A point on a border counts for each polygon that it touches. The place is the polygon where points
are missing, the points where there are too many. Null and invalid geometries pass.

```yaml
kind: one_point_a_polygon
parameters: {layer: addresses, min: 1, max: 1}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.rules.context import Context, feature_ids, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.kind import AREAS, POINTS, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure


class OnePointAPolygonParameters(Parameters):
    """What `one_point_a_polygon` needs."""

    layer: Name = Field(description="layer of the points")
    min: int = Field(default=1, ge=0, description="least points a polygon")
    max: int | None = Field(default=1, ge=0, description="most points a polygon; null for any")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max is not None and self.max < self.min:
            message = "a max that is not below min"
            raise ValueError(message)
        return self

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the points."""
        return (OtherLayer(name=self.layer, geometry=POINTS),)


def check(context: Context, parameters: OnePointAPolygonParameters) -> pd.DataFrame:
    """Return the polygons with too few or too many points."""
    frame = context.other(parameters.layer)
    points = usable_geometries(frame)
    polygons = context.geometry[context.usable]
    polygon, point = shapely.STRtree(points).query(polygons, predicate="intersects")
    count = np.bincount(polygon, minlength=len(polygons))
    most = np.inf if parameters.max is None else parameters.max
    wrong = np.flatnonzero((count < parameters.min) | (count > most))

    inside = pd.DataFrame({"polygon": polygon, "point": point, "id": feature_ids(frame)[point]})
    crowd = inside[inside["polygon"].isin(wrong)].sort_values(["polygon", "point"])
    places = np.full(len(polygons), None, dtype=object)
    if len(crowd):
        named, index = np.unique(crowd["polygon"].to_numpy(), return_inverse=True)
        places[named] = shapely.geometrycollections(points[crowd["point"]], indices=index)
    places[count < parameters.min] = None
    others = crowd.groupby("polygon")["id"].agg(",".join).reindex(wrong, fill_value="")
    return defects(
        row=context.usable[wrong],
        other=others,
        found=[f"{number} of {parameters.layer} inside" for number in count[wrong]],
        expected=_wanted(parameters),
        geometry=places[wrong],
    )


def _wanted(parameters: OnePointAPolygonParameters) -> str:
    if parameters.max is None:
        return f"at least {parameters.min}"
    if parameters.min == parameters.max:
        return f"exactly {parameters.min}"
    return f"{parameters.min} to {parameters.max}"


KIND = RuleKind(
    name="one_point_a_polygon",
    number=41,
    group="E across layers",
    measure=iso_measure("10"),
    params=OnePointAPolygonParameters,
    reach="neighbourhood",
    geometry=AREAS,
    check=check,
)
