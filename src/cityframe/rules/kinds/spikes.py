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

from cityframe.rules.context import Context, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.vertices import Vertices, vertices
from cityframe.rules.kind import AREAS, LINES, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


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
    before, corner, after = found.corners(_candidates(found, parameters.max_angle_deg))
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
        found=words(
            "an angle of {angle:.2f}°", "尖锐角，夹角 {angle:.2f}°", angle=angle_deg[sharp]
        ),
        expected=words(
            f"more than {parameters.max_angle_deg:g}°", f"夹角大于 {parameters.max_angle_deg:g}°"
        ),
        geometry=np.asarray(shapely.linestrings(found.xy[path]), dtype=object),
    )


def _candidates(found: Vertices, max_angle_deg: float) -> Positions:
    """Return the vertices that may be sharp: the way turns back, nearly upon itself.

    Angles are measured of these only. Neighbours in the arrays are taken for neighbours on the
    path; where a ring begins they are none, so those vertices are always among them.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        step = np.diff(np.ascontiguousarray(found.xy).view(np.complex128)[:, 0])
        turn = step[1:] * step[:-1].conj()  # its angle is that of the turn
        back = np.flatnonzero(turn.real <= 0)
        # a little above the limit, so that rounding loses none
        slope = np.tan(np.radians(max_angle_deg)) * (1 + 1e-9) + 1e-9
        sharp = back[np.abs(turn.imag[back]) <= -turn.real[back] * slope]
    return np.union1d(sharp + 1, found.first_of_paths())


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
