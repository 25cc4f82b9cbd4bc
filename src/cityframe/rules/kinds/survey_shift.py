"""A feature surveyed again stands where it stood, within what both surveys are accurate to.

Of features with the same uid in the current release, the shift is the way of the centroid. Two
surveys with mean errors m1 and m2 differ by σ_d = √(m1² + m2²); beyond `factor` times σ_d the
difference is no error of measurement (限差). Without `accuracy_m` and `previous_accuracy_m` both
are the layer's declared accuracy, and σ_d is √2 times that.

A feature whose area or length has changed by more than `max_size_change` was rebuilt, not shifted,
and passes; so do new features and those without a valid geometry. `moved_too_far` is for moves that
no such feature can make. The place is the line from the old to the new centroid.

```yaml
kind: survey_shift
parameters: {accuracy_m: 0.1, previous_accuracy_m: 0.5}
```
"""

import math

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.model.finding import Scope
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, usable_geometries
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.mean_error import Floats
from cityframe.rules.kind import SPATIAL, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class SurveyShiftParameters(Parameters):
    """What `survey_shift` needs."""

    accuracy_m: float | None = Field(
        default=None,
        gt=0,
        description="mean error of the new survey, in metres; without it the layer's accuracy",
    )
    previous_accuracy_m: float | None = Field(
        default=None,
        gt=0,
        description="mean error of the prior survey, in metres; without it the layer's accuracy",
    )
    factor: float = Field(default=2.0, gt=0, description="shift allowed, in multiples of σ_d")
    max_size_change: float = Field(
        default=0.01,
        ge=0,
        description="change of area or length beyond which a feature was rebuilt, as a share",
    )

    def limit_m(self, layer: Layer) -> float:
        """Return the longest shift that the two accuracies allow, in metres."""
        now, before = self.accuracy_m, self.previous_accuracy_m
        return self.factor * math.hypot(now or layer.accuracy_m, before or layer.accuracy_m)


def check(context: Context, parameters: SurveyShiftParameters) -> pd.DataFrame:
    """Return the features that are shifted."""
    previous = context.previous
    if previous is None:
        return no_defects()
    before = context.place_before
    was = usable_geometries(previous)
    row = context.usable[before[context.usable] >= 0]
    row = row[~shapely.is_missing(was[before[row]])]
    now, was = context.geometry[row], was[before[row]]
    path = np.stack([_centroid(was), _centroid(now)], axis=1)
    shift_m = np.hypot(*(path[:, 1] - path[:, 0]).T)
    limit_m = parameters.limit_m(context.layer)
    changed = np.abs(_size(now) - _size(was)) > parameters.max_size_change * _size(was)
    far = (shift_m > limit_m) & ~changed
    return defects(
        row=row[far],
        found=words(
            en="shifted by {shift:.3f} m against the prior survey",
            zh="与上期测量相比位移 {shift:.3f} m",
            shift=shift_m[far],
        ),
        expected=words(en=f"at most {limit_m:.3f} m", zh=f"不超过限差 {limit_m:.3f} m"),
        geometry=np.asarray(shapely.linestrings(path[far]), dtype=object),
    )


def _centroid(geometry: Geometries) -> Floats:
    xy: Floats = shapely.get_coordinates(shapely.centroid(geometry))
    return xy


def _size(geometry: Geometries) -> Floats:
    """Return area or length; of points, how many they are."""
    dimension = shapely.get_dimensions(geometry)
    size: Floats = np.select(
        [dimension == 2, dimension == 1],
        [shapely.area(geometry), shapely.length(geometry)],
        default=shapely.get_num_geometries(geometry),
    )
    return size


KIND = RuleKind(
    name="survey_shift",
    number=61,
    group="G position",
    measure=iso_measure("30"),
    params=SurveyShiftParameters,
    reach="versions",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
    scopes=frozenset({Scope.CANDIDATE}),
)
