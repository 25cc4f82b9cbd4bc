"""The layer as a whole has neither shifted nor exchanged its axes since the current release.

Compared are the geometries under one uid. A shift is claimed when at least `share` of them moved
the same way, within half of the median displacement, and that is `min_shift_m` or more; exchanged
axes when at least `share` of them lie ten times nearer to their old place once x and y change
places. With fewer than `min_features` that moved nothing is claimed. Null and empty geometries
don't count, nor do invalid ones that moved. One finding for the layer; the place is the extent of
the current release.

```yaml
kind: layer_shift
parameters: {min_shift_m: 0.125}
```
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field

from cityframe.core.displacement import translation
from cityframe.model.finding import Scope
from cityframe.rules.context import Context, Geometries, geometries
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.extent import extent
from cityframe.rules.kind import SPATIAL, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


class LayerShiftParameters(Parameters):
    """What `layer_shift` needs."""

    min_shift_m: float = Field(gt=0, description="smallest common displacement, in metres")
    share: float = Field(
        default=0.8, gt=0.5, le=1, description="share of the features that must agree"
    )
    min_features: int = Field(default=5, ge=2, description="fewest features to claim it from")


def check(context: Context, parameters: LayerShiftParameters) -> pd.DataFrame:
    """Return one defect if the layer has shifted or its axes are exchanged."""
    if context.previous is None:
        return no_defects()
    known = np.flatnonzero(context.place_before >= 0)
    before = geometries(context.previous)[context.place_before[known]]
    after = context.geometry[known]
    is_moved = ~shapely.equals_identical(before, after)
    flat = (shapely.force_2d(before[is_moved]), shapely.force_2d(after[is_moved]))
    is_moved[is_moved] = ~shapely.equals_identical(*flat)
    stayed = int(
        np.count_nonzero(~is_moved & ~shapely.is_empty(after) & ~shapely.is_missing(after))
    )
    # only those that moved are asked whether they are valid
    is_moved[is_moved] = _is_usable(before[is_moved]) & _is_usable(after[is_moved])
    before, after = before[is_moved], after[is_moved]
    pairs = stayed + len(after)
    if len(after) < max(parameters.min_features, parameters.share * pairs):
        return no_defects()
    found = _exchange(before, after, pairs, parameters) or _shift(before, after, pairs, parameters)
    if found is None:
        return no_defects()
    limit = f"{parameters.min_shift_m:g} m"
    return defects(
        found=Words([found.en], [found.zh]),
        expected=words(
            f"no common displacement of {limit} or more", f"无 {limit} 及以上的整体偏移"
        ),
        geometry=[extent(before)],
    )


def _is_usable(geometry: Geometries) -> npt.NDArray[np.bool_]:
    usable: npt.NDArray[np.bool_] = shapely.is_valid(geometry) & ~shapely.is_empty(geometry)
    return usable


def _exchange(
    before: Geometries, after: Geometries, pairs: int, parameters: LayerShiftParameters
) -> Words | None:
    old, new = (shapely.get_coordinates(shapely.centroid(side)) for side in (before, after))
    as_is, exchanged = _length(new - old), _length(new[:, ::-1] - old)
    nearer = (exchanged < as_is / 10) & (as_is >= parameters.min_shift_m)
    count = int(np.count_nonzero(nearer))
    if count < parameters.share * pairs:
        return None
    return Words(
        f"the axes are exchanged ({count} of {pairs} features)",
        f"坐标轴整体互换（{count}/{pairs} 个要素）",
    )


def _shift(
    before: Geometries, after: Geometries, pairs: int, parameters: LayerShiftParameters
) -> Words | None:
    steps = translation(before, after)
    median = np.median(steps, axis=0)
    length = float(_length(median[None])[0])
    same_way = int(np.count_nonzero(_length(steps - median) <= length / 2))
    if length < parameters.min_shift_m or same_way < parameters.share * pairs:
        return None
    dx, dy = median
    return Words(
        f"shifted by dx = {dx:.3f} m, dy = {dy:.3f} m ({same_way} of {pairs} features)",
        f"整体偏移 dx = {dx:.3f} m，dy = {dy:.3f} m（{same_way}/{pairs} 个要素）",
    )


def _length(steps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    length: npt.NDArray[np.float64] = np.hypot(steps[:, 0], steps[:, 1])
    return length


KIND = RuleKind(
    name="layer_shift",
    number=88,
    group="L across versions",
    measure=iso_measure("128"),
    params=LayerShiftParameters,
    reach="versions",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
    scopes=frozenset({Scope.CANDIDATE}),
)
