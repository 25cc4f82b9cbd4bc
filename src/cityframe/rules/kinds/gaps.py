"""The polygons of the layer leave no gaps between them.

A gap is a hole in the union of all polygons, without the islands in it, larger than `min_area_m2`.
Larger holes than `max_area_m2`, and those whose bounding box has a diagonal above `max_extent_m`,
are taken as meant (a lake among parcels). With `within`, the polygons of another layer must be
covered too, so that gaps along the border of a district are found.

A finding stands on the first neighbour in the layer and names the others. The place is the gap.
Reach: `max_extent_m`; without it, or with `within`, the whole layer.

```yaml
kind: gaps
parameters: {min_area_m2: 0.05, max_extent_m: 100.0}
```
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, Positions, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.geometry.open_edges import rows_at_open_edges
from cityframe.rules.kind import AREAS, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words

_DIGITS = 6  # of a metre: far below any survey, far above the noise of a crossing


class GapsParameters(Parameters):
    """What `gaps` needs."""

    min_area_m2: float = Field(
        default=0.01, ge=0, description="gaps up to this area are passed over, in m²"
    )
    max_area_m2: float | None = Field(
        default=None, gt=0, description="larger gaps are taken as meant, in m²"
    )
    max_extent_m: float | None = Field(
        default=None,
        gt=0,
        description="gaps with a longer diagonal of the bounding box are taken as meant, in metres",
    )
    within: Name | None = Field(
        default=None, description="layer whose polygons must be covered without a gap"
    )

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer that must be covered."""
        return () if self.within is None else (OtherLayer(name=self.within, geometry=AREAS),)

    def reach_m(self, layer: Layer) -> float | None:
        """Return the largest extent of a gap: so far its neighbours may lie apart."""
        if self.max_extent_m is None or self.within is not None:
            return None
        return self.max_extent_m + 2 * layer.precision_m


def check(context: Context, parameters: GapsParameters) -> pd.DataFrame:
    """Return the gaps, each on its first neighbour."""
    if parameters.within is None:
        gaps = _empty_holes(context, parameters)
    else:
        covered = shapely.union_all(context.geometry[context.usable])
        gaps = _holes(covered)
        border = usable_geometries(context.other(parameters.within))
        outside = shapely.difference(border[~shapely.is_missing(border)], covered)
        gaps = np.concatenate([gaps, _parts_not_in(outside, gaps)])
        gaps = gaps[_is_wanted(gaps, parameters)]
    return _on_neighbours(context, gaps, parameters.min_area_m2)


def suspects(context: Context, parameters: GapsParameters) -> Positions:
    """Return the polygons with open edges: a gap lies between such."""
    del parameters
    rows = rows_at_open_edges(context.usable_geometry, or_touching=False)
    return rows if context.focus is None else np.intersect1d(rows, context.focus)


def _empty_holes(context: Context, parameters: GapsParameters) -> Geometries:
    """Return the wanted holes in the union of all polygons, by way of a union of few."""
    # a gap lies between polygons with open edges; their union has further holes, which others fill
    polygons = context.usable_geometry
    united = shapely.union_all(polygons[rows_at_open_edges(polygons, or_touching=True)])
    holes = _holes(united, parameters.max_extent_m)
    holes = holes[_is_wanted(holes, parameters)]
    filled, _ = context.tree.query(shapely.point_on_surface(holes), predicate="intersects")
    return np.delete(holes, filled)


def _holes(covered: shapely.Geometry, max_extent_m: float | None = None) -> Geometries:
    """Return the holes of a union as polygons, without the islands in them.

    Holes with a longer diagonal of the bounding box than ``max_extent_m`` are left out.
    """
    rings, part = shapely.get_rings(shapely.get_parts(covered), return_index=True)
    is_hole = np.zeros(len(rings), dtype=bool)
    is_hole[1:] = part[1:] == part[:-1]
    islands = np.asarray(shapely.polygons(rings[~is_hole]), dtype=object)
    if max_extent_m is not None:
        is_hole &= _extent_m(rings) <= max_extent_m
    holes = np.asarray(shapely.polygons(rings[is_hole]), dtype=object)
    # asked of the islands: a large hole that asks would be compared with each of them
    island, hole = shapely.STRtree(holes).query(islands, predicate="covered_by")
    if not len(hole):
        return holes
    order = np.argsort(hole, kind="stable")
    owner, number = np.unique(hole[order], return_inverse=True)
    together = shapely.multipolygons(islands[island[order]], indices=number)
    # one union a hole: an island in a larger hole may have this one in it
    inside = shapely.unary_union(np.asarray(together, dtype=object)[:, np.newaxis], axis=1)
    holes[owner] = shapely.difference(holes[owner], inside)
    return np.asarray(shapely.get_parts(holes), dtype=object)


def _is_wanted(gaps: Geometries, parameters: GapsParameters) -> npt.NDArray[np.bool_]:
    """Return which gaps are neither noise nor meant."""
    area_m2 = shapely.area(gaps)
    wanted: npt.NDArray[np.bool_] = area_m2 > parameters.min_area_m2
    if parameters.max_area_m2 is not None:
        wanted &= area_m2 <= parameters.max_area_m2
    if parameters.max_extent_m is not None:
        wanted &= _extent_m(gaps) <= parameters.max_extent_m
    return wanted


def _extent_m(shapes: Geometries) -> npt.NDArray[np.float64]:
    """Return the diagonals of the bounding boxes."""
    bounds = shapely.bounds(shapes)
    return np.hypot(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])


def _parts_not_in(outside: Geometries, gaps: Geometries) -> Geometries:
    """Return the polygons of ``outside`` that are no part of a gap already found."""
    parts = shapely.get_parts(shapely.get_parts(outside))
    inside, _ = shapely.STRtree(gaps).query(shapely.point_on_surface(parts), predicate="within")
    return np.delete(parts, inside)


def _on_neighbours(context: Context, gaps: Geometries, limit_m2: float) -> pd.DataFrame:
    # where a ring begins, and the last digits of a crossing, depend on what else was united
    rounded = shapely.transform(gaps, lambda xy: np.round(xy, _DIGITS))
    gaps = np.asarray(shapely.normalize(rounded), dtype=object)
    # the corner of a gap that two borders make where they cross lies on neither to the last digit
    gap, neighbour = context.tree.query(
        gaps, predicate="dwithin", distance=context.layer.precision_m
    )
    pairs = pd.DataFrame({"gap": gap, "row": neighbour}).sort_values(["gap", "row"])
    pairs["id"] = context.ids[pairs["row"].to_numpy()]
    first = pairs.groupby("gap")["row"].first().reindex(range(len(gaps)), fill_value=-1)
    others = pairs[pairs.duplicated("gap")].groupby("gap")["id"].agg(",".join)
    return defects(
        row=first,
        other=others.reindex(range(len(gaps)), fill_value=""),
        found=words("a gap of {area:.2f} m²", "缝隙，面积 {area:.2f} m²", area=shapely.area(gaps)),
        expected=words(f"no gap above {limit_m2:g} m²", f"无大于 {limit_m2:g} m² 的缝隙"),
        geometry=gaps,
    )


KIND = RuleKind(
    name="gaps",
    number=33,
    group="D within a layer",
    measure=iso_measure("10"),
    params=GapsParameters,
    reach="neighbourhood",
    geometry=AREAS,
    check=check,
    needs_metres=True,
    suspects=suspects,
)
