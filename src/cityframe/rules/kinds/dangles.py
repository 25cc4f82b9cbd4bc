"""No line ends in the open.

An end is connected if another line of the layer passes within `tolerance_m` of it. With `near_m`
only near misses fail: ends in the open with another line within that distance, such as a pipe
drawn a little too short; without it every open end does. The places are the open ends. A line
that ends on itself is in the open. Null and invalid geometries pass.

```yaml
kind: dangles
parameters: {near_m: 2.0}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects
from cityframe.rules.kind import LINES, Parameters, RuleKind
from cityframe.rules.line_ends import line_ends
from cityframe.rules.measures import iso_measure


class DanglesParameters(Parameters):
    """What `dangles` needs."""

    tolerance_m: float = Field(
        default=0.001, ge=0, description="distance up to which an end is connected, in metres"
    )
    near_m: float | None = Field(
        default=None,
        gt=0,
        description="only ends with another line within this distance, in metres",
    )

    @model_validator(mode="after")
    def _near_is_farther(self) -> Self:
        if self.near_m is not None and self.near_m <= self.tolerance_m:
            message = "near_m above tolerance_m"
            raise ValueError(message)
        return self


def check(context: Context, parameters: DanglesParameters) -> pd.DataFrame:
    """Return the open ends."""
    ends, row = line_ends(context)
    is_lone = _is_lone(ends, row)
    ends, row = ends[is_lone], row[is_lone]
    is_open = np.ones(len(ends), dtype=bool)
    is_open[_near(context, ends, row, parameters.tolerance_m)[0]] = False
    ends, row = ends[is_open], row[is_open]
    if parameters.near_m is None:
        return defects(
            row=row, found="an end in the open", expected="a connected end", geometry=ends
        )
    end, line = _near(context, ends, row, parameters.near_m)
    miss = pd.DataFrame(
        {"end": end, "gap_m": shapely.distance(ends[end], context.geometry[line]), "line": line}
    )
    miss = miss.sort_values(["end", "gap_m", "line"]).drop_duplicates("end")
    end = miss["end"].to_numpy()
    return defects(
        row=row[end],
        other=context.ids[miss["line"].to_numpy()],
        found=[f"an end {gap:.3f} m short of another line" for gap in miss["gap_m"]],
        expected="a connected end",
        geometry=ends[end],
    )


def _is_lone(ends: Geometries, row: Positions) -> np.ndarray:
    """Return where no end of another line has the very same coordinates: most are settled so."""
    places = pd.DataFrame(shapely.get_coordinates(ends), columns=["x", "y"]).assign(row=row)
    lines = places.groupby(["x", "y"], sort=False)["row"].transform("nunique")
    return (lines == 1).to_numpy()


def _near(
    context: Context, ends: Geometries, row: Positions, distance_m: float
) -> tuple[Positions, Positions]:
    """Return the pairs of an end and another line within a distance of it."""
    end, line = context.tree.query(ends, predicate="dwithin", distance=distance_m)
    is_other = line != row[end]
    return end[is_other], line[is_other]


KIND = RuleKind(
    name="dangles",
    number=48,
    group="F network",
    measure=iso_measure("23"),
    params=DanglesParameters,
    reach="neighbourhood",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
