"""No corner of a line or ring is a spike: an angle next to nothing.

A spike is a corner whose angle is at most `max_angle_deg`, with both legs at least `min_leg_m`
long. A line that turns back upon itself has an angle of 0. Repeated vertices are passed over. The
place is the line from the vertex before over the tip to the vertex after.

```yaml
kind: spikes
parameters: {max_angle_deg: 2.0}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.kind import AREAS, LINES, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.vertices import vertices


class SpikesParameters(Parameters):
    """What `spikes` needs."""

    max_angle_deg: float = Field(
        default=1.0, ge=0, lt=90, description="angles up to this one are spikes, in degrees"
    )
    min_leg_m: float = Field(
        default=0.0, ge=0, description="corners with a shorter leg are passed over, in metres"
    )


def check(context: Context, parameters: SpikesParameters) -> pd.DataFrame:
    """Return the spikes."""
    found = vertices(context.geometry).without_repeats()
    before, corner, after = found.corners()
    with np.errstate(invalid="ignore"):  # infinite coordinates: the angle is NaN and no spike
        one = found.xy[before] - found.xy[corner]
        two = found.xy[after] - found.xy[corner]
        cross = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
        angle_deg = np.degrees(np.arctan2(np.abs(cross), (one * two).sum(axis=1)))
        leg_m = np.minimum(np.hypot(*one.T), np.hypot(*two.T))
    sharp = np.flatnonzero(
        (angle_deg <= parameters.max_angle_deg) & (leg_m >= parameters.min_leg_m)
    )
    path = np.stack([before[sharp], corner[sharp], after[sharp]], axis=1)
    return defects(
        row=found.row_of(corner[sharp]),
        found=[f"an angle of {angle:.2f}°" for angle in angle_deg[sharp]],
        expected=f"more than {parameters.max_angle_deg:g}°",
        geometry=np.asarray(shapely.linestrings(found.xy[path]), dtype=object),
    )


KIND = RuleKind(
    name="spikes",
    number=23,
    group="C geometry",
    measure=iso_measure("10"),
    params=SpikesParameters,
    reach="feature",
    geometry=LINES | AREAS,
    check=check,
    needs_metres=True,
)
