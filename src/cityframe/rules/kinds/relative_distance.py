"""Distances between features agree with distances that were measured in the field.

Another layer, mostly a table, has one measured distance a row (间距, 检测边): the keys of two
features of this layer and the distance in metres. The computed distance is the shortest between the
two geometries, as a tape measures from wall to wall; the error is computed less measured. The mean
error m = √(ΣΔ²/n) (with `same_accuracy` √(ΣΔ²/2n)) must not exceed `max_mean_error_m`; beyond
`gross_factor` times that an error is gross and takes no part. So GB/T 24356 (间距中误差).

A gross error is a finding on both features; its place is the line between them. Too large a mean
error is a finding for the layer, at all these lines. Distances with an unknown key, with a key that
occurs twice, or with one feature without a valid geometry are passed over.

```yaml
kind: relative_distance
parameters:
  layer: tape_measurements
  column: building_no
  from_column: building_a
  to_column: building_b
  distance_column: distance_m
  max_mean_error_m: 0.2
```
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.core.frames import key_text
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.control_points import KEYS, displacement
from cityframe.rules.geometry.mean_error import Floats, MeanErrorParameters, kept_errors
from cityframe.rules.kind import NUMBERS, SPATIAL, ColumnNeeds, OtherLayer, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class RelativeDistanceParameters(MeanErrorParameters):
    """What `relative_distance` needs."""

    layer: Name = Field(description="layer or table of the measured distances")
    column: Name = Field(description="attribute that names the features of this layer")
    from_column: Name = Field(default="from_key", description="there, the first feature's name")
    to_column: Name = Field(default="to_key", description="there, the second feature's name")
    distance_column: Name = Field(
        default="distance_m", description="there, the measured distance, in metres"
    )

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute with the key."""
        del layer
        return {self.column: KEYS}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the distances."""
        columns = {
            self.from_column: KEYS,
            self.to_column: KEYS,
            self.distance_column: NUMBERS,
        }
        return (OtherLayer(self.layer, columns),)


def check(context: Context, parameters: RelativeDistanceParameters) -> pd.DataFrame:
    """Return the gross errors, and one defect for the layer if the mean error is too large."""
    one, two, measured_m = _pairs(context, parameters)
    if not len(one):
        return no_defects()
    computed_m = shapely.distance(context.geometry[one], context.geometry[two])
    errors = computed_m - measured_m
    place = shapely.shortest_line(context.geometry[one], context.geometry[two])
    limit_m = parameters.gross_limit_m(context.layer)
    far = np.abs(errors) > limit_m
    single = defects(
        row=one[far],
        other_row=two[far],
        found=words(
            en="a distance of {computed:.3f} m, measured {measured:.3f} m ({error:+.3f} m)",
            zh="图上间距 {computed:.3f} m，实测 {measured:.3f} m（差 {error:+.3f} m）",
            computed=computed_m[far],
            measured=measured_m[far],
            error=errors[far],
        ),
        expected=words(en=f"within {limit_m:.3f} m", zh=f"较差不大于 {limit_m:.3f} m"),
        geometry=place[far],
    )
    kept = kept_errors(errors, limit_m)
    return pd.concat(
        [single, _mean(errors[kept], place[kept], parameters, context.layer)], ignore_index=True
    )


def _pairs(
    context: Context, parameters: RelativeDistanceParameters
) -> tuple[Positions, Positions, npt.NDArray[np.float64]]:
    """Return the two features (first < second) of each measured distance, and the distance."""
    keys = key_text(context.frame, (parameters.column,)).to_numpy(dtype=object)
    known = pd.Series(context.usable, index=keys[context.usable])
    known = known[known.index.notna() & ~known.index.duplicated(keep=False)]
    frame = context.other(parameters.layer)
    ends = [
        known.reindex(key_text(frame, (column,)).to_numpy(dtype=object)).to_numpy(dtype=float)
        for column in (parameters.from_column, parameters.to_column)
    ]
    measured = frame[parameters.distance_column].to_numpy(dtype=float, na_value=np.nan)
    is_whole = np.isfinite(ends[0]) & np.isfinite(ends[1]) & np.isfinite(measured)
    is_whole &= ends[0] != ends[1]
    pair = np.sort(np.stack(ends)[:, is_whole].astype(np.int64), axis=0)
    return pair[0], pair[1], measured[is_whole]


def _mean(
    errors: Floats, place: Geometries, parameters: RelativeDistanceParameters, layer: Layer
) -> pd.DataFrame:
    mean_m, allowed_m = parameters.mean_error_m(errors), parameters.allowed_m(layer)
    if mean_m <= allowed_m:
        return no_defects()
    return defects(
        found=words(
            en="mean error {mean:.3f} m of {n} distances",
            zh="{n} 条检测边的间距中误差 {mean:.3f} m",
            mean=[mean_m],
            n=[len(errors)],
        ),
        expected=words(en=f"at most {allowed_m:g} m", zh=f"间距中误差不大于 {allowed_m:g} m"),
        geometry=[displacement(place)],
    )


KIND = RuleKind(
    name="relative_distance",
    number=60,
    group="G position",
    measure=iso_measure("53"),
    params=RelativeDistanceParameters,
    reach="layer",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
