"""No two lines meet but at a node.

A node is the first or last vertex of a part of a line. `nodes` says what two lines need where they
meet:

* `one` (default): one of them ends there; crossings and common stretches fail, a line that ends on
  another passes;
* `both`: both end there; a line that ends on another fails too, as in a network for routing;
* `vertex`: both have a vertex there; as in OpenStreetMap.

Places up to `tolerance_m` from such a node pass. Lines that differ in one of `columns` are not
compared, as a bridge crosses a road on another level; a null differs from nothing. Both lines
fail; the places are the crossings and common stretches. Null and invalid geometries pass. Reach:
the lines that it meets.

```yaml
kind: crossings
parameters: {columns: [level], nodes: one}
```
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects
from cityframe.rules.geometry.crowds import require_no_crowd
from cityframe.rules.kind import ANY_TYPE, LINES, ColumnNeeds, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


class CrossingsParameters(Parameters):
    """What `crossings` needs."""

    nodes: Literal["one", "both", "vertex"] = Field(
        default="one", description="what lines need where they meet: `one`, `both` or `vertex`"
    )
    columns: tuple[Name, ...] = Field(
        default=(), description="attributes by which lines pass over each other"
    )
    tolerance_m: float = Field(
        default=0.001, ge=0, description="distance up to which a place is on a node, in metres"
    )

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attributes that are compared."""
        del layer
        return dict.fromkeys(self.columns, ANY_TYPE)


def check(context: Context, parameters: CrossingsParameters) -> pd.DataFrame:
    """Return the places where two lines meet without a node, one defect a place."""
    left, right = _meeting(context, parameters)
    lines = np.asarray(shapely.force_2d(context.geometry), dtype=object)
    places, pair = _places(shapely.intersection(lines[left], lines[right]))
    one, two = (_has_node(lines[rows[pair]], places, parameters) for rows in (left, right))
    is_node = one | two if parameters.nodes == "one" else one & two
    length_m = shapely.length(places)
    # no node excuses a stretch
    is_bad = ~is_node | (length_m > parameters.tolerance_m)
    pair, places, length_m = pair[is_bad], places[is_bad], length_m[is_bad]
    return defects(
        row=left[pair],
        other_row=right[pair],
        found=_texts(length_m, parameters.tolerance_m),
        expected=words("a node where they meet", "相交处应有节点"),
        geometry=places,
    )


def _meeting(context: Context, parameters: CrossingsParameters) -> tuple[Positions, Positions]:
    """Return the pairs that may meet without a node: left < right, sorted."""
    require_no_crowd(context.usable_geometry)
    found, right = context.tree.query(context.geometry[context.usable])
    left = context.usable[found]
    is_first = left < right
    left, right = left[is_first], right[is_first]
    for name in parameters.columns:
        value = context.frame[name].reset_index(drop=True)
        number = pd.factorize(value)[0]
        same = (number[left] == number[right]) | (number[left] < 0) | (number[right] < 0)
        left, right = left[same], right[same]
    may = _is_suspect(context.geometry[left], context.geometry[right], parameters)
    left, right = left[may], right[may]
    order = np.lexsort([right, left])
    return left[order], right[order]


def _is_suspect(
    one: Geometries, two: Geometries, parameters: CrossingsParameters
) -> npt.NDArray[np.bool_]:
    """Return which pairs meet otherwise than they always may."""
    if parameters.nodes == "one":
        meet_within: npt.NDArray[np.bool_] = shapely.relate_pattern(one, two, "T********")
        return meet_within
    meet: npt.NDArray[np.bool_] = shapely.intersects(one, two)
    # all else than end on end
    meet[meet] = ~shapely.relate_pattern(one[meet], two[meet], "FF*F*****")
    return meet


def _places(common: Geometries) -> tuple[Geometries, Positions]:
    """Return the points and joined stretches of what pairs have in common, and each one's pair."""
    # a collection may hold multi-part geometries: take it apart twice
    outer, pair = shapely.get_parts(common, return_index=True)
    parts, inner = shapely.get_parts(outer, return_index=True)
    pair, is_line = pair[inner], shapely.get_dimensions(parts) == 1
    if not is_line.any():
        return parts, pair
    owners, number = np.unique(pair[is_line], return_inverse=True)
    joined = shapely.line_merge(shapely.multilinestrings(parts[is_line], indices=number))
    stretches, owner = shapely.get_parts(joined, return_index=True)
    return (
        np.concatenate([parts[~is_line], stretches]),
        np.concatenate([pair[~is_line], owners[owner]]),
    )


def _has_node(
    lines: Geometries, places: Geometries, parameters: CrossingsParameters
) -> npt.NDArray[np.bool_]:
    """Return whether each place is on a node (or vertex) of the line."""
    nodes = np.full(len(lines), None, dtype=object)
    if len(lines):
        xy, index = _nodes(lines, every=parameters.nodes == "vertex")
        points = np.asarray(shapely.points(xy), dtype=object)
        nodes[:] = shapely.multipoints(points, indices=index)
    on_node: npt.NDArray[np.bool_] = shapely.dwithin(nodes, places, parameters.tolerance_m)
    return on_node


def _nodes(lines: Geometries, *, every: bool) -> tuple[npt.NDArray[np.float64], Positions]:
    """Return the coordinates of the nodes, or of every vertex, and the line of each."""
    if every:
        xy, line = shapely.get_coordinates(lines, return_index=True)
        return xy, line
    parts, line = shapely.get_parts(lines, return_index=True)
    ends = np.stack([shapely.get_point(parts, 0), shapely.get_point(parts, -1)], axis=1)
    return shapely.get_coordinates(ends), np.repeat(line, 2)


def _texts(length_m: npt.NDArray[np.float64], tolerance_m: float) -> Words:
    """Return what was found: a stretch has a length, a crossing has none."""
    is_stretch = length_m > tolerance_m
    stretch = words(
        "a common stretch of {length:.2f} m", "线段重合，长 {length:.2f} m", length=length_m
    )
    return Words(
        np.where(is_stretch, stretch.en, "a crossing without a node"),
        np.where(is_stretch, stretch.zh, "相交处无节点"),
    )


KIND = RuleKind(
    name="crossings",
    number=39,
    group="D within a layer",
    measure=iso_measure("21"),
    params=CrossingsParameters,
    reach="neighbourhood",
    geometry=LINES,
    check=check,
    needs_metres=True,
)
