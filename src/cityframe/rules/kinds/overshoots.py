"""No line runs on a little past the line that it is meant to end on.

An end is an overshoot if no other line passes within `tolerance_m` of it, and its line meets
another one at most `max_tail_m` before it, measured along the line. What is left from the meeting
nearest to the end is the tail. A short line that begins where it meets the other is a branch and
no tail. Null and invalid geometries pass.

The place is the tail; the reach is `tolerance_m`, since the other line meets this one.

```yaml
kind: overshoots
parameters: {max_tail_m: 0.5}
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

_ROUNDING_M = 1e-6


class OvershootsParameters(Parameters):
    """What `overshoots` needs."""

    max_tail_m: float = Field(gt=0, description="longest tail that is an overshoot, in metres")
    tolerance_m: float = Field(
        default=0.001, ge=0, description="distance up to which an end is connected, in metres"
    )

    @model_validator(mode="after")
    def _tail_is_longer(self) -> Self:
        if self.max_tail_m <= self.tolerance_m:
            message = "max_tail_m above tolerance_m"
            raise ValueError(message)
        return self

    def reach_m(self, layer: Layer) -> float:
        """Return how far a line is looked for that the end may be connected to."""
        del layer
        return self.tolerance_m


def check(context: Context, parameters: OvershootsParameters) -> pd.DataFrame:
    """Return the ends that lie past another line."""
    ends, row = open_ends(context, parameters.tolerance_m)
    end, line = lines_near(context, ends, row, parameters.max_tail_m)
    parts = ending_parts(context.geometry[row[end]], ends[end])
    meetings = shapely.intersection(parts, shapely.force_2d(context.geometry[line]))
    xy, pair = shapely.get_coordinates(meetings, return_index=True)
    at_m = shapely.line_locate_point(parts[pair], shapely.points(xy))
    tails = pd.DataFrame(
        {
            "end": end[pair],
            "tail_m": shapely.length(parts)[pair] - at_m,
            "at_m": at_m,
            "line": line[pair],
            "part": parts[pair],
        }
    )
    tails = tails.sort_values(["end", "tail_m", "line"]).drop_duplicates("end")
    is_branch = tails["at_m"] <= parameters.tolerance_m
    tails = tails[(tails["tail_m"] <= parameters.max_tail_m) & ~is_branch]
    return defects(
        row=row[tails["end"].to_numpy()],
        other=context.ids[tails["line"].to_numpy()],
        found=words(
            "a tail of {tail:.3f} m past another line",
            "线头过头，超出另一条线 {tail:.3f} m",
            tail=tails["tail_m"],
        ),
        expected=words("an end on the other line", "端点落在另一条线上"),
        geometry=_after(tails["part"].to_numpy(), tails["at_m"].to_numpy()),
    )


def _after(lines: Geometries, at_m: Floats) -> Geometries:
    """Return what of each line lies after a distance along it."""
    xy, line = shapely.get_coordinates(lines, return_index=True)
    step_m = np.hypot(*np.diff(xy, axis=0, prepend=xy[:1]).T)
    along_m = np.cumsum(np.where(np.diff(line, prepend=0) > 0, 0.0, step_m))
    first = np.searchsorted(line, np.arange(len(lines)))
    # the sum runs over all lines: what it rounds must not choose the vertices
    is_after = along_m - along_m[first][line] > at_m[line] + _ROUNDING_M
    # rounding must not lose the last vertex
    is_after[np.append(first[1:], len(xy))[: len(lines)] - 1] = True
    begins = shapely.get_coordinates(shapely.line_interpolate_point(lines, at_m))
    index = np.concatenate([np.arange(len(lines)), line[is_after]])
    order = np.argsort(index, kind="stable")
    tails = shapely.linestrings(np.concatenate([begins, xy[is_after]])[order], indices=index[order])
    return np.asarray(tails, dtype=object)


KIND = RuleKind(
    name="overshoots",
    number=50,
    group="F network",
    measure=iso_measure("24"),
    params=OvershootsParameters,
    reach="neighbourhood",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
