"""No segment of a line or ring is shorter than a minimum.

Segments of no length at all belong to `duplicate_vertices`. The places are the segments.

```yaml
kind: short_segments
parameters: {min_m: 0.05}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.geometry.vertices import vertices
from cityframe.rules.kind import AREAS, LINES, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class ShortSegmentsParameters(Parameters):
    """What `short_segments` needs."""

    min_m: float = Field(gt=0, description="shortest segment allowed, in metres")


def check(context: Context, parameters: ShortSegmentsParameters) -> pd.DataFrame:
    """Return the segments that are too short."""
    found = vertices(context.geometry)
    start, length_m = found.short_segments(parameters.min_m)
    is_short = (length_m > 0) & (length_m < parameters.min_m)
    start = start[is_short]
    segments = shapely.linestrings(found.xy[np.stack([start, start + 1], axis=1)])
    return defects(
        row=found.row_of(start),
        found=words(
            "a segment of {length:.3f} m", "短线段，长 {length:.3f} m", length=length_m[is_short]
        ),
        expected=words(f"at least {parameters.min_m:g} m", f"不短于 {parameters.min_m:g} m"),
        geometry=np.asarray(segments, dtype=object),
    )


KIND = RuleKind(
    name="short_segments",
    number=24,
    group="C geometry",
    measure=iso_measure("10"),
    params=ShortSegmentsParameters,
    reach="feature",
    geometry=LINES | AREAS,
    check=check,
    needs_metres=True,
)
