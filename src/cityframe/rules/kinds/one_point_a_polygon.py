"""Each polygon holds as many points of another layer as it should: by default exactly one.

A point on a border counts for each polygon that it touches. The place is the polygon where points
are missing, the points where there are too many. Null and invalid geometries pass. Reach: what
touches the polygon.

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
from cityframe.rules.geometry.crowds import require_no_crowd
from cityframe.rules.kind import AREAS, POINTS, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


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
    require_no_crowd(points)
    require_no_crowd(polygons)
    polygon, point = shapely.STRtree(points).query(polygons, predicate="intersects")
    count = np.bincount(polygon, minlength=len(polygons))
    most = np.inf if parameters.max is None else parameters.max
    wrong = np.flatnonzero((count < parameters.min) | (count > most))

    is_named = np.isin(polygon, wrong)
    crowd = pd.DataFrame({"polygon": polygon[is_named], "point": point[is_named]})
    crowd = crowd.sort_values(["polygon", "point"])
    crowd["id"] = feature_ids(frame)[crowd["point"]]
    places = np.full(len(polygons), None, dtype=object)
    if len(crowd):
        named, index = np.unique(crowd["polygon"].to_numpy(), return_inverse=True)
        places[named] = shapely.geometrycollections(points[crowd["point"]], indices=index)
    places[count < parameters.min] = None
    others = crowd.groupby("polygon")["id"].agg(",".join).reindex(wrong, fill_value="")
    return defects(
        row=context.usable[wrong],
        other=others,
        found=words(
            f"{{number}} of {parameters.layer} inside",
            f"内有 {parameters.layer} {{number}} 个",
            number=count[wrong],
        ),
        expected=_wanted(parameters),
        geometry=places[wrong],
    )


def _wanted(parameters: OnePointAPolygonParameters) -> Words:
    if parameters.max is None:
        return words(f"at least {parameters.min}", f"不少于 {parameters.min} 个")
    if parameters.min == parameters.max:
        return words(f"exactly {parameters.min}", f"恰为 {parameters.min} 个")
    return words(
        f"{parameters.min} to {parameters.max}", f"{parameters.min} 至 {parameters.max} 个"
    )


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
