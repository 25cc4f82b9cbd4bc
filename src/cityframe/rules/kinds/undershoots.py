"""No line stops just short of the line that it is meant to meet.

An end is an undershoot if no other line passes within `tolerance_m` of it, and one does within
`max_gap_m`, ahead of it: the way on to the nearest point of that line turns from the last segment
by at most `max_turn_deg`. So the end of a line that runs beside another, or that has already
crossed it (`overshoots`), is none. Where two ends miss each other both are found. A line that
misses itself is passed over, and null and invalid geometries pass.

The place is the missing piece, from the end to the nearest point of the other line; the reach is
`max_gap_m`.

```yaml
kind: undershoots
parameters: {max_gap_m: 0.5}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries
from cityframe.rules.defects import defects
from cityframe.rules.geometry.line_ends import ending_parts, lines_near, open_ends
from cityframe.rules.geometry.network import Floats
from cityframe.rules.kind import LINES, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class UndershootsParameters(Parameters):
    """What `undershoots` needs."""

    max_gap_m: float = Field(gt=0, description="largest gap that is an undershoot, in metres")
    tolerance_m: float = Field(
        default=0.001, ge=0, description="distance up to which an end is connected, in metres"
    )
    max_turn_deg: float = Field(
        default=80.0, gt=0, le=180, description="largest turn on the way ahead, in degrees"
    )

    @model_validator(mode="after")
    def _gap_is_larger(self) -> Self:
        if self.max_gap_m <= self.tolerance_m:
            message = "max_gap_m above tolerance_m"
            raise ValueError(message)
        return self

    def reach_m(self, layer: Layer) -> float:
        """Return the largest gap."""
        del layer
        return self.max_gap_m


def check(context: Context, parameters: UndershootsParameters) -> pd.DataFrame:
    """Return the ends that stop short of another line."""
    ends, row = open_ends(context, parameters.tolerance_m)
    end, line = lines_near(context, ends, row, parameters.max_gap_m)
    missing = shapely.shortest_line(ends[end], shapely.force_2d(context.geometry[line]))
    parts = ending_parts(context.geometry[row[end]], ends[end])
    is_ahead = _turn_deg(parts, missing) <= parameters.max_turn_deg
    gaps = pd.DataFrame(
        {"end": end, "gap_m": shapely.length(missing), "line": line, "missing": missing}
    )
    gaps = gaps[is_ahead].sort_values(["end", "gap_m", "line"]).drop_duplicates("end")
    return defects(
        row=row[gaps["end"].to_numpy()],
        other=context.ids[gaps["line"].to_numpy()],
        found=words(
            "an end {gap:.3f} m short of another line",
            "线头不及，距另一条线 {gap:.3f} m",
            gap=gaps["gap_m"],
        ),
        expected=words("an end on the other line", "端点落在另一条线上"),
        geometry=gaps["missing"].to_numpy(),
    )


def _turn_deg(parts: Geometries, missing: Geometries) -> Floats:
    """Return the angle between the last segment of each part and the missing piece after it."""
    before, end, target = (
        shapely.get_coordinates(points)
        for points in (
            shapely.get_point(parts, -2), shapely.get_point(parts, -1),
            shapely.get_point(missing, -1),
        )
    )  # fmt: skip
    one, two = end - before, target - end
    cross = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    turn: Floats = np.degrees(np.arctan2(np.abs(cross), (one * two).sum(axis=1)))
    return turn


KIND = RuleKind(
    name="undershoots",
    number=49,
    group="F network",
    measure=iso_measure("23"),
    params=UndershootsParameters,
    reach="neighbourhood",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
