"""The mean error of the layer's positions against check points is no larger than allowed.

The check points (检测点) are another layer, of higher accuracy, or of the same one with
`same_accuracy`. They are paired by the key `column`, or, without it, each with the nearest vertex
within `within_m`. From the differences Δ between feature and check point come the mean errors
(中误差) east and north, m = √(ΣΔ²/n), and in the plane, √(mE² + mN²); with `same_accuracy`
m = √(ΣΔ²/2n). Gross errors, beyond `gross_factor` times the allowed mean error (√2 times as much
with `same_accuracy`), take no part; `gross_error_rate` reports them. With fewer than `few` points
the mean of the amounts stands for the mean error. So GB/T 24356 and GB/T 18316; ISO 19157 calls it
the root mean square error of planimetry.

One finding for the layer; the place is all displacement lines, from the features to their check
points. A layer where fewer than `min_points` check points have a feature fails too: nothing can be
said of it. A layer without features passes.

```yaml
kind: position_rmse
parameters: {layer: check_points, column: point_no, max_mean_error_m: 0.25}
```
"""

import numpy as np
import pandas as pd

from cityframe.rules.context import Context
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.control_points import (
    ControlParameters,
    displacement,
    residuals,
    too_few,
)
from cityframe.rules.geometry.mean_error import MeanErrorParameters, kept_errors
from cityframe.rules.kind import SPATIAL, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class PositionRmseParameters(ControlParameters, MeanErrorParameters):
    """What `position_rmse` needs."""


def check(context: Context, parameters: PositionRmseParameters) -> pd.DataFrame:
    """Return one defect if the mean error is too large."""
    pairs = residuals(context, parameters)
    lacking = too_few(context, parameters, pairs)
    if lacking is not None or not len(pairs.row):
        return no_defects() if lacking is None else lacking
    allowed_m = parameters.allowed_m(context.layer)
    kept = kept_errors(pairs.length_m, parameters.gross_limit_m(context.layer))
    plane_m = parameters.mean_error_m(pairs.length_m[kept])
    if plane_m <= allowed_m:
        return no_defects()
    east_m, north_m = (parameters.mean_error_m(errors) for errors in pairs.step_m[kept].T)
    return defects(
        found=words(
            en="mean error of {n} check points: east {east:.3f} m, north {north:.3f} m, "
            "plane {plane:.3f} m; {gross} gross errors left out",
            zh="{n} 个检测点的中误差：东方向 {east:.3f} m，北方向 {north:.3f} m，"
            "点位 {plane:.3f} m；剔除粗差 {gross} 个",
            n=[np.count_nonzero(kept)],
            east=[east_m],
            north=[north_m],
            plane=[plane_m],
            gross=[np.count_nonzero(~kept)],
        ),
        expected=words(en=f"plane at most {allowed_m:g} m", zh=f"点位中误差不大于 {allowed_m:g} m"),
        geometry=[displacement(pairs.place[kept])],
    )


KIND = RuleKind(
    name="position_rmse",
    number=57,
    group="G position",
    measure=iso_measure("47"),
    params=PositionRmseParameters,
    reach="layer",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
