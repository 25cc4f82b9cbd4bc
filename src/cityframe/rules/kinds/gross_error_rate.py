"""Few check points show gross errors of position.

An error of position is gross (粗差) beyond `gross_factor` times the allowed mean error, √2 times as
much with `same_accuracy`; check points are paired with features as in `position_rmse`. The rate is
the share of the paired check points with a gross error; GB/T 24356 allows 5 %.

Each gross error is a finding on its feature; its place is the displacement line, from the feature
to the check point. Above `max_share` the whole layer fails as well, and that is never tolerated: to
let gross errors below the allowed rate pass the gate, give the rule the same share in `tolerated`.

```yaml
kind: gross_error_rate
parameters: {layer: check_points, within_m: 5.0, max_mean_error_m: 0.25, max_share: 0.05}
```
"""

import numpy as np
import pandas as pd
from pydantic import Field

from cityframe.rules.context import Context
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.control_points import (
    ControlParameters,
    Residuals,
    displacement,
    residuals,
    too_few,
)
from cityframe.rules.geometry.mean_error import AccuracyParameters
from cityframe.rules.kind import SPATIAL, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class GrossErrorRateParameters(ControlParameters, AccuracyParameters):
    """What `gross_error_rate` needs."""

    max_share: float = Field(
        default=0.05, ge=0, lt=1, description="gross errors allowed, as a share of the check points"
    )


def check(context: Context, parameters: GrossErrorRateParameters) -> pd.DataFrame:
    """Return the gross errors, and one defect for the layer if they are too many."""
    pairs = residuals(context, parameters)
    lacking = too_few(context, parameters, pairs)
    if lacking is not None or not len(pairs.row):
        return no_defects() if lacking is None else lacking
    limit_m = parameters.gross_limit_m(context.layer)
    gross = np.flatnonzero(pairs.length_m > limit_m)
    single = defects(
        row=pairs.row[gross],
        found=words(
            en="{distance:.3f} m off its check point",
            zh="与检测点相差 {distance:.3f} m，属粗差",
            distance=pairs.length_m[gross],
        ),
        expected=words(en=f"at most {limit_m:.3f} m", zh=f"不大于 {limit_m:.3f} m"),
        geometry=pairs.place[gross],
    )
    if len(gross) <= parameters.max_share * len(pairs.row):
        return single
    return pd.concat([single, _rate(pairs, gross, parameters.max_share)], ignore_index=True)


def _rate(pairs: Residuals, gross: np.ndarray, max_share: float) -> pd.DataFrame:
    return defects(
        found=words(
            en="{gross} of {n} check points show gross errors ({share:.1%})",
            zh="{n} 个检测点中粗差 {gross} 个，粗差率 {share:.1%}",
            gross=[len(gross)],
            n=[len(pairs.row)],
            share=[len(gross) / len(pairs.row)],
        ),
        expected=words(en=f"at most {max_share:.1%}", zh=f"粗差率不大于 {max_share:.1%}"),
        geometry=[displacement(pairs.place[gross])],
    )


KIND = RuleKind(
    name="gross_error_rate",
    number=58,
    group="G position",
    measure=iso_measure("31"),
    params=GrossErrorRateParameters,
    reach="layer",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
