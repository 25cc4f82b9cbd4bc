"""No feature moves farther from one release to the next than such a feature can.

Compared are the centroids under one uid. A farther move is rather a recycled id or a wrong CRS
than a survey. The place is the line from the old to the new centroid.

```yaml
kind: moved_too_far
parameters: {max_m: 50.0}
```
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field

from cityframe.model.finding import Scope
from cityframe.rules.context import Context, Geometries, geometries
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.kind import SPATIAL, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class MovedTooFarParameters(Parameters):
    """What `moved_too_far` needs."""

    max_m: float = Field(gt=0, description="farthest move allowed, in metres")


def check(context: Context, parameters: MovedTooFarParameters) -> pd.DataFrame:
    """Return the features that moved too far."""
    previous = context.previous
    if previous is None:
        return no_defects()
    before = context.place_before
    row = np.flatnonzero(before >= 0)
    path = np.stack(
        [
            _centroids(geometries(previous)[before[row]]),
            _centroids(context.geometry[row]),
        ],
        axis=1,
    )
    step = path[:, 1] - path[:, 0]
    moved_m = np.hypot(step[:, 0], step[:, 1])
    far = moved_m > parameters.max_m
    return defects(
        row=row[far],
        found=words(
            en="moved by {distance:.2f} m", zh="移位 {distance:.2f} m", distance=moved_m[far]
        ),
        expected=words(
            en=f"at most {parameters.max_m:g} m", zh=f"移位不大于 {parameters.max_m:g} m"
        ),
        geometry=np.asarray(shapely.linestrings(path[far]), dtype=object),
    )


def _centroids(geometry: Geometries) -> npt.NDArray[np.float64]:
    """Return x and y of the centroids; NaN for null and empty geometries."""
    xy = np.full((len(geometry), 2), np.nan)
    found, place = shapely.get_coordinates(shapely.centroid(geometry), return_index=True)
    xy[place] = found
    return xy


KIND = RuleKind(
    name="moved_too_far",
    number=84,
    group="L across versions",
    measure=iso_measure("30"),
    params=MovedTooFarParameters,
    reach="versions",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
    scopes=frozenset({Scope.CANDIDATE}),
)
