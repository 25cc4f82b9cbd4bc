"""Each vertex on a border stands on the neighbour's border too.

A polygon that passes by a vertex of its neighbour without one of its own is to get one: else the
border is drawn twice, and parts when either is moved or rounded. Segments that two features share
from end to end match. An end of any other segment must, where it lies within `tolerance_m` of
another feature's segment without a match, have a vertex of that feature within `tolerance_m`.

A finding stands on the feature that lacks the vertex and names the one that has it. The places are
the vertices. Null and invalid geometries pass. Reach: `tolerance_m`.

```yaml
kind: unmatched_vertices
parameters: {tolerance_m: 0.001}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.segments import Segments, numbered, segments
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class UnmatchedVerticesParameters(Parameters):
    """What `unmatched_vertices` needs."""

    tolerance_m: float = Field(
        default=0.001, ge=0, description="distance up to which vertex and border meet, in metres"
    )

    def reach_m(self, layer: Layer) -> float:
        """Return the tolerance."""
        del layer
        return self.tolerance_m


def check(context: Context, parameters: UnmatchedVerticesParameters) -> pd.DataFrame:
    """Return the features that lack a vertex, one defect a vertex."""
    loose = _without_match(context)
    vertex, owner = _ends(loose)
    lacking = loose if context.focus is None else loose[np.isin(loose.row, context.focus)]
    found, segment = shapely.STRtree(lacking.lines).query(
        vertex, predicate="dwithin", distance=parameters.tolerance_m
    )
    near = pd.DataFrame({"vertex": found, "row": lacking.row[segment]})
    near = near[owner[found] != near["row"]].drop_duplicates().sort_values(["row", "vertex"])
    point, row = vertex[near["vertex"]], near["row"].to_numpy(dtype=np.int64)
    lacks = ~shapely.dwithin(point, _vertices_of(context, row), parameters.tolerance_m)
    point, row, owner = point[lacks], row[lacks], owner[near["vertex"]][lacks]
    return defects(
        row=row,
        other=context.ids[owner],
        found=words("a border without the neighbour's vertex", "公共边上缺少相邻要素的节点"),
        expected=words("a vertex there too", "公共边节点一一对应"),
        geometry=point,
    )


def _without_match(context: Context) -> Segments:
    """Return the segments that no other feature shares."""
    every = segments(context.usable_geometry)
    (number,) = numbered(every)
    return every[~pd.Series(number).duplicated(keep=False).to_numpy()]


def _ends(loose: Segments) -> tuple[Geometries, Positions]:
    """Return the ends of segments as points, each once a feature, and the feature of each."""
    ends = pd.DataFrame(np.concatenate([loose.start, loose.end]), columns=["x", "y"])
    ends = ends.assign(row=np.tile(loose.row, 2)).drop_duplicates()
    points = shapely.points(ends[["x", "y"]].to_numpy())
    return np.asarray(points, dtype=object), ends["row"].to_numpy(dtype=np.int64)


def _vertices_of(context: Context, row: Positions) -> Geometries:
    """Return all vertices of the feature of each row as one multi-point."""
    features, number = np.unique(row, return_inverse=True)
    xy, index = shapely.get_coordinates(context.geometry[features], return_index=True)
    points = np.full(len(features), None, dtype=object)
    if len(features):
        points[:] = shapely.multipoints(np.asarray(shapely.points(xy), dtype=object), indices=index)
    return np.asarray(points[number], dtype=object)


KIND = RuleKind(
    name="unmatched_vertices",
    number=34,
    group="D within a layer",
    measure=iso_measure("21"),
    params=UnmatchedVerticesParameters,
    reach="neighbourhood",
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
