"""A line does not cross or touch itself.

A closed line is simple. The places are the points where three or more pieces of the line meet; a
line that runs back upon itself has none and is shown whole.

```yaml
kind: simple_line
```
"""

import numpy as np
import pandas as pd
import shapely

from cityframe.rules.context import Context, Geometries
from cityframe.rules.defects import defects
from cityframe.rules.kind import LINES, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class SimpleLineParameters(Parameters):
    """`simple_line` takes no parameters."""


def check(context: Context, parameters: SimpleLineParameters) -> pd.DataFrame:
    """Return the features whose line is not simple."""
    del parameters
    row = context.usable[~shapely.is_simple(context.geometry[context.usable])]
    return defects(
        row=row,
        found=words("the line crosses or touches itself", "线自相交或自接触"),
        expected=words("a simple line", "简单线"),
        geometry=_crossings(context.geometry[row]),
    )


def _crossings(lines: Geometries) -> Geometries:
    """Return the points where three or more pieces of each line meet; None if there are none."""
    pieces, line = shapely.get_parts(shapely.node(lines), return_index=True)
    ends = pd.DataFrame(
        np.concatenate(
            [
                shapely.get_coordinates(shapely.get_point(pieces, 0)),
                shapely.get_coordinates(shapely.get_point(pieces, -1)),
            ]
        ),
        columns=["x", "y"],
    ).assign(line=np.tile(line, 2))
    counts = ends.value_counts(["line", "x", "y"]).rename("pieces").reset_index()
    meetings = counts[counts["pieces"] >= 3].sort_values(["line", "x", "y"])
    places = np.full(len(lines), None, dtype=object)
    if len(meetings):
        found, index = np.unique(meetings["line"].to_numpy(), return_inverse=True)
        points = np.asarray(shapely.points(meetings[["x", "y"]].to_numpy()), dtype=object)
        places[found] = shapely.multipoints(points, indices=index)
    return places


KIND = RuleKind(
    name="simple_line",
    number=19,
    group="C geometry",
    measure=iso_measure("27"),
    params=SimpleLineParameters,
    reach="feature",
    geometry=LINES,
    check=check,
)
