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

import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.model.layer import Layer
from cityframe.rules.context import Context
from cityframe.rules.defects import defects
from cityframe.rules.geometry.line_ends import lines_near, open_ends
from cityframe.rules.kind import LINES, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


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

    def reach_m(self, layer: Layer) -> float:
        """Return how far another line is looked for."""
        del layer
        return max(self.tolerance_m, self.near_m or 0.0)


def check(context: Context, parameters: DanglesParameters) -> pd.DataFrame:
    """Return the open ends."""
    ends, row = open_ends(context, parameters.tolerance_m)
    expected = words("a connected end", "端点与其他线相接")
    if parameters.near_m is None:
        found = words("an end in the open", "悬挂点")
        return defects(row=row, found=found, expected=expected, geometry=ends)
    end, line = lines_near(context, ends, row, parameters.near_m)
    miss = pd.DataFrame(
        {"end": end, "gap_m": shapely.distance(ends[end], context.geometry[line]), "line": line}
    )
    miss = miss.sort_values(["end", "gap_m", "line"]).drop_duplicates("end")
    end = miss["end"].to_numpy()
    return defects(
        row=row[end],
        other=context.ids[miss["line"].to_numpy()],
        found=words(
            "an end {gap:.3f} m short of another line",
            "悬挂点，距另一条线 {gap:.3f} m",
            gap=miss["gap_m"],
        ),
        expected=expected,
        geometry=ends[end],
    )


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
