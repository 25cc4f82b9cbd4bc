"""Borders run along the borders of another layer: a district's along those of its parcels.

Each border of a polygon, and each line, lies within `tolerance_m` of borders or lines of the other
layer. With `near_m` only what runs beside them fails, within `near_m` but not on them, such as a
parcel that was drawn anew along a district; what lies farther inside passes. Stretches up to
`min_length_m` are passed over; with `near_m` it is at least twice as long, since a border that
rightly ends on another one is near it for its last metres.

The places are the stretches. Null and invalid geometries pass. Reach: `near_m`, else
`tolerance_m`.

```yaml
kind: shared_boundary
parameters: {layer: parcels, tolerance_m: 0.01}
```
"""

from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, Positions, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.geometry.segments import Segments, numbered, segments
from cityframe.rules.kind import AREAS, LINES, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class SharedBoundaryParameters(Parameters):
    """What `shared_boundary` needs."""

    layer: Name = Field(description="layer along whose borders or lines they run")
    tolerance_m: float = Field(
        default=0.001, gt=0, description="distance up to which borders are one, in metres"
    )
    near_m: float | None = Field(
        default=None, gt=0, description="only stretches within this distance, in metres"
    )
    min_length_m: float = Field(
        default=0.1, ge=0, description="stretches up to this length are passed over, in metres"
    )

    @model_validator(mode="after")
    def _distances_fit(self) -> Self:
        if self.near_m is not None and self.near_m <= self.tolerance_m:
            message = "near_m above tolerance_m"
            raise ValueError(message)
        if self.near_m is not None and self.min_length_m < 2 * self.near_m:
            message = "min_length_m of at least twice near_m"
            raise ValueError(message)
        return self

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the other layer."""
        return (OtherLayer(name=self.layer, geometry=AREAS | LINES),)

    def reach_m(self, layer: Layer) -> float:
        """Return how far the other layer's borders are looked for."""
        del layer
        return self.tolerance_m if self.near_m is None else self.near_m


def check(context: Context, parameters: SharedBoundaryParameters) -> pd.DataFrame:
    """Return the stretches that are not shared, one defect a stretch."""
    geometry = usable_geometries(context.other(parameters.layer))
    others = segments(geometry)
    loose = _without_match(context, others, parameters.near_m)
    tree = shapely.STRtree(_around(others, geometry, loose, parameters).lines)
    rest, row = loose.lines, loose.row
    if parameters.near_m is not None:
        rest = shapely.intersection(rest, _corridors(tree, rest, parameters.near_m))
    rest = shapely.difference(rest, _corridors(tree, rest, parameters.tolerance_m))
    places, row = _joined(rest, row)
    length_m = shapely.length(places)
    long = length_m > parameters.min_length_m
    return defects(
        row=row[long],
        found=words(
            f"{{length:.2f}} m not on a border of {parameters.layer}",
            f"{{length:.2f}} m 边界与 {parameters.layer} 的边界不重合",
            length=length_m[long],
        ),
        expected=words(f"a border shared with {parameters.layer}", f"与 {parameters.layer} 共边"),
        geometry=places[long],
    )


def _without_match(context: Context, others: Segments, near_m: float | None) -> Segments:
    """Return the segments that are no segment of the other layer, end to end."""
    geometry = context.usable_geometry
    if near_m is not None:
        _, near = context.tree.query(others.lines, predicate="dwithin", distance=near_m)
        kept = np.full(len(geometry), None, dtype=object)
        kept[near] = geometry[near]
        geometry = kept
    own = segments(geometry)
    number, other = numbered(own, others)
    return own[~pd.Series(number).isin(other).to_numpy()]


def _around(
    others: Segments, geometry: Geometries, loose: Segments, parameters: SharedBoundaryParameters
) -> Segments:
    """Return the other layer's segments of those features that are near what is left to settle."""
    distance_m = parameters.near_m or parameters.tolerance_m
    _, near = shapely.STRtree(geometry).query(loose.lines, predicate="dwithin", distance=distance_m)
    is_near = np.zeros(len(geometry), dtype=bool)
    is_near[near] = True
    return others[is_near[others.row]]


def _corridors(tree: shapely.STRtree, lines: Geometries, distance_m: float) -> Geometries:
    """Return what lies within a distance of the other layer's segments near each line."""
    line, near = tree.query(lines, predicate="dwithin", distance=distance_m)
    corridors = np.full(len(lines), shapely.Polygon(), dtype=object)
    if len(line):
        found, number = np.unique(line, return_inverse=True)
        around = shapely.multilinestrings(tree.geometries[near], indices=number)
        corridors[found] = shapely.buffer(around, distance_m)
    return corridors


def _joined(pieces: Geometries, row: Positions) -> tuple[Geometries, Positions]:
    """Return the stretches that the pieces of each row make, and the row of each."""
    parts, piece = shapely.get_parts(pieces, return_index=True)
    is_line = (shapely.get_dimensions(parts) == 1) & ~shapely.is_empty(parts)
    parts, row = parts[is_line], row[piece[is_line]]
    if not len(parts):
        return parts, row
    order = np.argsort(row, kind="stable")
    rows, number = np.unique(row[order], return_inverse=True)
    joined = shapely.line_merge(shapely.multilinestrings(parts[order], indices=number))
    stretches, owner = shapely.get_parts(joined, return_index=True)
    return np.asarray(stretches, dtype=object), rows[owner]


KIND = RuleKind(
    name="shared_boundary",
    number=43,
    group="E across layers",
    measure=iso_measure("10"),
    params=SharedBoundaryParameters,
    reach="neighbourhood",
    geometry=AREAS | LINES,
    check=check,
    needs_metres=True,
)
