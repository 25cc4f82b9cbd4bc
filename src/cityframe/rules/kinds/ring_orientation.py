"""The rings of a polygon run the agreed way round, its holes the other way.

`exterior` is the way of outer rings seen from above: `counterclockwise` (OGC Simple Features,
RFC 7946) or `clockwise` (shapefile, GB/T practice). Null, empty and invalid geometries pass. The
places are the rings that run the wrong way.

```yaml
kind: ring_orientation
parameters: {exterior: counterclockwise}
```
"""

from typing import Literal

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.rules.context import Context, Geometries
from cityframe.rules.defects import defects
from cityframe.rules.geometry.polygon_parts import polygon_parts
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words

_ZH = {"counterclockwise": "逆时针", "clockwise": "顺时针"}


class RingOrientationParameters(Parameters):
    """What `ring_orientation` needs."""

    exterior: Literal["counterclockwise", "clockwise"] = Field(
        default="counterclockwise", description="the way of outer rings"
    )


def check(context: Context, parameters: RingOrientationParameters) -> pd.DataFrame:
    """Return the rings that run the wrong way."""
    parts, part_row = polygon_parts(context.geometry)
    rings, part = shapely.get_rings(parts, return_index=True)
    is_outer = np.ones(len(rings), dtype=bool)
    is_outer[1:] = part[1:] != part[:-1]
    wants_ccw = is_outer == (parameters.exterior == "counterclockwise")
    with np.errstate(invalid="ignore"):  # coordinates that are no numbers are invalid
        wrong = np.flatnonzero(shapely.is_ccw(rings) != wants_ccw)
    wrong = wrong[shapely.is_valid(context.geometry[part_row[part[wrong]]])]
    other = {"counterclockwise": "clockwise", "clockwise": "counterclockwise"}[parameters.exterior]
    way = np.where(wants_ccw[wrong], "clockwise", "counterclockwise")
    outer = is_outer[wrong]
    return defects(
        row=part_row[part[wrong]],
        found=words(
            "{ring} runs {way}",
            "{ring_zh}为{way_zh}方向",
            ring=np.where(outer, "an outer ring", "a hole"),
            way=way,
            ring_zh=np.where(outer, "外环", "内环"),
            way_zh=[_ZH[one] for one in way.tolist()],
        ),
        expected=words(
            f"outer rings {parameters.exterior}, holes {other}",
            f"外环{_ZH[parameters.exterior]}，内环{_ZH[other]}",
        ),
        geometry=_lines(rings[wrong]),
    )


def _lines(rings: Geometries) -> Geometries:
    """Return rings as lines."""
    if not len(rings):
        return rings
    xy, index = shapely.get_coordinates(rings, return_index=True)
    return np.asarray(shapely.linestrings(xy, indices=index), dtype=object)


KIND = RuleKind(
    name="ring_orientation",
    number=31,
    group="C geometry",
    measure=iso_measure("10"),
    params=RingOrientationParameters,
    reach="feature",
    geometry=AREAS,
    check=check,
)
