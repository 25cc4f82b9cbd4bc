"""The polygons of the layer leave no gaps between them.

A gap is a hole in the union of all polygons, larger than `min_area_m2`. Larger holes than
`max_area_m2` are taken as meant (a lake among parcels). With `within`, the polygons of another
layer must be covered too, so that gaps along the border of a district are found.

A finding stands on the first neighbour in the layer and names the others. The place is the gap.

```yaml
kind: gaps
parameters: {min_area_m2: 0.05, max_area_m2: 500.0}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.rules.context import Context, Geometries, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.kind import AREAS, OtherLayer, Parameters, RuleKind
from cityframe.rules.measures import iso_measure


class GapsParameters(Parameters):
    """What `gaps` needs."""

    min_area_m2: float = Field(
        default=0.01, ge=0, description="gaps up to this area are passed over, in m²"
    )
    max_area_m2: float | None = Field(
        default=None, gt=0, description="larger gaps are taken as meant, in m²"
    )
    within: Name | None = Field(
        default=None, description="layer whose polygons must be covered without a gap"
    )

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer that must be covered."""
        return () if self.within is None else (OtherLayer(name=self.within, geometry=AREAS),)


def check(context: Context, parameters: GapsParameters) -> pd.DataFrame:
    """Return the gaps, each on its first neighbour."""
    covered = _union(context)
    gaps = _holes(covered)
    if parameters.within is not None:
        border = usable_geometries(context.other(parameters.within))
        outside = shapely.difference(border[~shapely.is_missing(border)], covered)
        gaps = np.concatenate([gaps, _parts_not_in(outside, gaps)])
    area_m2 = shapely.area(gaps)
    wanted = area_m2 > parameters.min_area_m2
    if parameters.max_area_m2 is not None:
        wanted &= area_m2 <= parameters.max_area_m2
    return _on_neighbours(context, gaps[wanted], parameters.min_area_m2)


def _union(context: Context) -> shapely.Geometry:
    """Return the union; polygons that break the coverage are united the slow way."""
    polygons, is_dirty = context.geometry[context.usable], context.breaks_coverage
    clean = shapely.coverage_union_all(polygons[~is_dirty])
    if not is_dirty.any():
        return clean
    return shapely.union(clean, shapely.union_all(polygons[is_dirty]))


def _holes(covered: shapely.Geometry) -> Geometries:
    """Return the holes of a union as polygons."""
    rings, part = shapely.get_rings(shapely.get_parts(covered), return_index=True)
    is_hole = np.zeros(len(rings), dtype=bool)
    is_hole[1:] = part[1:] == part[:-1]
    return np.asarray(shapely.polygons(rings[is_hole]), dtype=object)


def _parts_not_in(outside: Geometries, gaps: Geometries) -> Geometries:
    """Return the polygons of ``outside`` that are no part of a gap already found."""
    parts = shapely.get_parts(shapely.get_parts(outside))
    inside, _ = shapely.STRtree(gaps).query(shapely.point_on_surface(parts), predicate="within")
    return np.delete(parts, inside)


def _on_neighbours(context: Context, gaps: Geometries, limit_m2: float) -> pd.DataFrame:
    gap, neighbour = context.tree.query(gaps, predicate="intersects")
    pairs = pd.DataFrame({"gap": gap, "row": neighbour}).sort_values(["gap", "row"])
    pairs["id"] = context.ids[pairs["row"].to_numpy()]
    first = pairs.groupby("gap")["row"].first().reindex(range(len(gaps)), fill_value=-1)
    others = pairs[pairs.duplicated("gap")].groupby("gap")["id"].agg(",".join)
    return defects(
        row=first,
        other=others.reindex(range(len(gaps)), fill_value=""),
        found=[f"a gap of {area:.2f} m²" for area in shapely.area(gaps)],
        expected=f"no gap above {limit_m2:g} m²",
        geometry=gaps,
    )


KIND = RuleKind(
    name="gaps",
    number=33,
    group="D within a layer",
    measure=iso_measure("10"),
    params=GapsParameters,
    reach="layer",
    geometry=AREAS,
    check=check,
    needs_metres=True,
)
