"""The layer as a whole is not shifted against check points.

The bias (系统误差) is the mean of the differences between features and check points, east and
north; its length must not exceed `max_bias_m`. Check points are paired with features as in
`position_rmse`. A difference that lies farther than three declared accuracies of the layer from the
median of all differences is gross and takes no part: one swapped point is no shift. Without
`max_bias_m` a third of the layer's declared accuracy is allowed, beside which a systematic error
may be neglected.

One finding for the layer; the place is all displacement lines, from the features to their check
points.

```yaml
kind: position_bias
parameters: {layer: check_points, within_m: 5.0, max_bias_m: 0.1}
```
"""

import numpy as np
import pandas as pd
from pydantic import Field

from cityframe.rules.context import Context
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.control_points import (
    ControlParameters,
    displacement,
    residuals,
    too_few,
)
from cityframe.rules.kind import SPATIAL, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class PositionBiasParameters(ControlParameters):
    """What `position_bias` needs."""

    max_bias_m: float | None = Field(
        default=None,
        gt=0,
        description="longest mean shift allowed, in metres; without it a third of the accuracy",
    )


def check(context: Context, parameters: PositionBiasParameters) -> pd.DataFrame:
    """Return one defect if the mean shift is too long."""
    pairs = residuals(context, parameters)
    lacking = too_few(context, parameters, pairs)
    if lacking is not None or not len(pairs.row):
        return no_defects() if lacking is None else lacking
    accuracy_m = context.layer.accuracy_m
    allowed_m = parameters.max_bias_m or accuracy_m / 3
    spread = pairs.step_m - np.median(pairs.step_m, axis=0)
    kept = np.hypot(spread[:, 0], spread[:, 1]) <= 3 * accuracy_m
    if not kept.any():  # an even number of points that contradict each other
        kept[:] = True
    shift = pairs.step_m[kept].mean(axis=0)
    length_m = float(np.hypot(*shift))
    if length_m <= allowed_m:
        return no_defects()
    return defects(
        found=words(
            en="a mean shift of {length:.3f} m at {n} check points: "
            "east {east:+.3f} m, north {north:+.3f} m",
            zh="{n} 个检测点的平均偏移 {length:.3f} m：东 {east:+.3f} m，北 {north:+.3f} m",
            length=[length_m],
            n=[np.count_nonzero(kept)],
            east=[shift[0]],
            north=[shift[1]],
        ),
        expected=words(en=f"at most {allowed_m:.3f} m", zh=f"系统误差不大于 {allowed_m:.3f} m"),
        geometry=[displacement(pairs.place[kept])],
    )


KIND = RuleKind(
    name="position_bias",
    number=59,
    group="G position",
    measure=iso_measure("128"),
    params=PositionBiasParameters,
    reach="layer",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
