"""Where polygons are split, merged or replaced, the area stays.

Removed, new and reshaped features that overlap make a group; a group with both removed and new
ones must have about the same area before and after: within `tolerance_m2` or `share` of the area
before, whichever is larger. A finding stands on the first new feature and names the others, old
ones too. The place is where only one side has area.

```yaml
kind: area_balance
parameters: {tolerance_m2: 1.0, share: 0.001}
```
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cityframe.model.finding import Scope
from cityframe.rules.context import Context, Geometries, usable_geometries
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.kind import AREAS, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class AreaBalanceParameters(Parameters):
    """What `area_balance` needs."""

    tolerance_m2: float = Field(default=1.0, ge=0, description="difference allowed, in m²")
    share: float = Field(default=0.0, ge=0, description="difference allowed, as a share")
    min_overlap_m2: float = Field(
        default=0.1, gt=0, description="overlap from which two features belong together, in m²"
    )


def check(context: Context, parameters: AreaBalanceParameters) -> pd.DataFrame:
    """Return the groups whose area has changed."""
    if context.previous is None:
        return no_defects()
    sides = _changed(context, context.previous)
    sides["group"] = _groups(sides, parameters.min_overlap_m2)
    is_old = sides["is_old"]
    sides["before_m2"] = sides["area_m2"].where(is_old, 0.0)
    sides["after_m2"] = sides["area_m2"].where(~is_old, 0.0)
    groups = sides.groupby("group").agg(
        has_removed=("is_removed", "any"),
        has_new=("is_new", "any"),
        before_m2=("before_m2", "sum"),
        after_m2=("after_m2", "sum"),
    )
    allowed = np.maximum(parameters.tolerance_m2, parameters.share * groups["before_m2"])
    off = (groups["after_m2"] - groups["before_m2"]).abs() > allowed
    unbalanced = groups[off & groups["has_removed"] & groups["has_new"]]
    return _defects(sides, unbalanced)


def _changed(context: Context, previous: pd.DataFrame) -> pd.DataFrame:
    """Return the features that are new, removed or reshaped, both sides of the last."""
    now = pd.DataFrame({"uid": context.frame["uid"], "geometry": context.usable_geometry})
    was = pd.DataFrame({"uid": previous["uid"], "geometry": usable_geometries(previous)})
    now, was = now.reset_index(drop=True), was.reset_index(drop=True)
    now["row"], was["row"] = np.arange(len(now)), -1
    now["is_new"], was["is_new"] = ~now["uid"].isin(was["uid"]), False
    now["is_removed"], was["is_removed"] = False, ~was["uid"].isin(now["uid"])
    both = now.merge(was, on="uid", suffixes=("", "_was"))
    is_same = shapely.equals_exact(
        both["geometry"].to_numpy(), both["geometry_was"].to_numpy(), tolerance=0.0
    )
    same = both.loc[is_same, "uid"]
    sides = pd.concat([was.assign(is_old=True), now.assign(is_old=False)], ignore_index=True)
    sides = sides[~sides["uid"].isin(same) & sides["geometry"].notna()].reset_index(drop=True)
    return sides.assign(area_m2=shapely.area(sides["geometry"].to_numpy()))


def _groups(sides: pd.DataFrame, min_overlap_m2: float) -> npt.NDArray[np.int32]:
    """Return the number of the connected group of overlapping features that each belongs to."""
    geometry: Geometries = sides["geometry"].to_numpy()
    old = np.flatnonzero(sides["is_old"])
    new = np.flatnonzero(~sides["is_old"])
    found, met = shapely.STRtree(geometry[new]).query(geometry[old], predicate="intersects")
    common_m2 = shapely.area(shapely.intersection(geometry[old[found]], geometry[new[met]]))
    linked = common_m2 >= min_overlap_m2
    links = (np.ones(linked.sum()), (old[found[linked]], new[met[linked]]))
    graph = coo_array(links, shape=(len(sides), len(sides)))
    number: npt.NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return number


def _defects(sides: pd.DataFrame, unbalanced: pd.DataFrame) -> pd.DataFrame:
    row, other, place = [], [], []
    for group in unbalanced.index:
        members = sides[sides["group"] == group]
        first = members[members["is_new"]].iloc[0]
        row.append(first["row"])
        others = members["uid"][members["uid"] != first["uid"]].drop_duplicates()
        other.append(",".join(others.sort_values()))
        before = shapely.union_all(members.loc[members["is_old"], "geometry"].to_numpy())
        after = shapely.union_all(members.loc[~members["is_old"], "geometry"].to_numpy())
        place.append(shapely.symmetric_difference(before, after))
    return defects(
        row=row,
        other=other,
        found=words(
            en="{before:.2f} m² before, {after:.2f} m² after",
            zh="变更前 {before:.2f} m²，变更后 {after:.2f} m²",
            before=unbalanced["before_m2"],
            after=unbalanced["after_m2"],
        ),
        expected=words(en="the same area", zh="变更前后面积一致"),
        geometry=place,
    )


KIND = RuleKind(
    name="area_balance",
    number=90,
    group="L across versions",
    measure=iso_measure("10"),
    params=AreaBalanceParameters,
    reach="versions",
    geometry=AREAS,
    check=check,
    needs_metres=True,
    scopes=frozenset({Scope.CANDIDATE}),
)
