"""The geometry is valid in the sense of OGC Simple Features.

The place is the point that GEOS names: where a ring crosses itself, where rings touch along a
line, where a hole lies outside. Null geometries pass; `null_geometry` finds them.

```yaml
kind: valid_geometry
```
"""

import numpy as np
import pandas as pd
import shapely

from cityframe.rules.context import Context, Geometries
from cityframe.rules.defects import defects
from cityframe.rules.kind import SPATIAL, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words

_IN_CHINESE = {
    "Self-intersection": "自相交",
    "Ring Self-intersection": "环自相交",
    "Hole lies outside shell": "内环在外环之外",
    "Holes are nested": "内环嵌套",
    "Nested shells": "外环嵌套",
    "Interior is disconnected": "内部不连通",
    "Duplicate Rings": "环重复",
    "Too few points in geometry component": "点数不足",
    "Invalid Coordinate": "坐标无效",
    "Ring is not closed": "环未闭合",
    "Topology Validation Error": "拓扑错误",
    "Repeated Point": "重复点",
}
"""What GEOS says of an invalid geometry."""


class ValidGeometryParameters(Parameters):
    """`valid_geometry` takes no parameters."""


def check(context: Context, parameters: ValidGeometryParameters) -> pd.DataFrame:
    """Return the features with an invalid geometry."""
    del parameters
    row = np.flatnonzero(~context.is_valid & ~shapely.is_missing(context.geometry))
    reason = pd.Series(shapely.is_valid_reason(context.geometry[row]), dtype="str")
    # GEOS writes 'Self-intersection[5 5]' or 'Self-intersection [5 5]'
    named = reason.str.extract(r"^([^\[]*?) *(?:\[(\S+) (\S+?)(?: \S+)?\])?$")
    found = named[0].fillna(reason)
    return defects(
        row=row,
        found=Words(found, found.replace(_IN_CHINESE)),
        expected=words("a valid geometry", "符合 OGC 规范的几何图形"),
        geometry=_points(named[1].astype(float).to_numpy(), named[2].astype(float).to_numpy()),
    )


def _points(x: np.ndarray, y: np.ndarray) -> Geometries:
    points = np.full(len(x), None, dtype=object)
    is_placed = np.isfinite(x) & np.isfinite(y)
    points[is_placed] = shapely.points(x[is_placed], y[is_placed])
    return points


KIND = RuleKind(
    name="valid_geometry",
    number=18,
    group="C geometry",
    measure=iso_measure("26"),
    params=ValidGeometryParameters,
    reach="feature",
    geometry=SPATIAL,
    check=check,
)
