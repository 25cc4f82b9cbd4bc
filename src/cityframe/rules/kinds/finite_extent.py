"""Coordinates are numbers and lie where the layer can be.

A coordinate that is not finite is a defect, and so is a vertex outside of `bounds`. Without
`bounds` they are the box in the layer's CRS that encloses the area of use of that CRS, wider by
`margin_m` on each side. Heights do not count (`height_values`). Null and empty geometries pass.
The places are the vertices outside; of a coordinate that is no number the extent of the finite
ones.

```yaml
kind: finite_extent
parameters: {bounds: [480000, 3350000, 560000, 3420000]}
```
"""

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field, model_validator
from pyproj import CRS, Transformer

from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries
from cityframe.rules.defects import defects
from cityframe.rules.kind import SPATIAL, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words

_CHUNK = 100_000

Box = tuple[float, float, float, float]


class FiniteExtentParameters(Parameters):
    """What `finite_extent` needs."""

    bounds: Box | None = Field(
        default=None, description="west, south, east and north in the layer's CRS, in metres"
    )
    margin_m: float = Field(
        default=50_000.0, ge=0, description="how far outside the area of use is allowed, in metres"
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.bounds is not None:
            west, south, east, north = self.bounds
            if not (west < east and south < north):
                message = "bounds as west, south, east, north"
                raise ValueError(message)
        return self

    def box(self, layer: Layer) -> Box | None:
        """Return the bounds that count; None if the CRS has no area of use."""
        if self.bounds is not None:
            return self.bounds
        crs = CRS.from_user_input(layer.crs)
        area = crs.area_of_use
        if area is None or crs.geodetic_crs is None:
            return None
        to_layer = Transformer.from_crs(crs.geodetic_crs.to_2d(), crs.to_2d(), always_xy=True)
        west, south, east, north = to_layer.transform_bounds(*area.bounds)
        margin = self.margin_m
        return west - margin, south - margin, east + margin, north + margin

    def misfit(self, layer: Layer) -> str:
        """Say so if there are no bounds and the CRS has no area of use."""
        return "" if self.box(layer) else f"{layer.crs} has no area of use, and bounds are missing"


def check(context: Context, parameters: FiniteExtentParameters) -> pd.DataFrame:
    """Return the features with coordinates out of place."""
    box = parameters.box(context.layer) or (-np.inf, -np.inf, np.inf, np.inf)
    is_broken, is_outside = _judged(context.geometry, np.asarray(box))
    broken = np.flatnonzero(is_broken)
    outside = np.flatnonzero(is_outside & ~is_broken)
    xy, owner = shapely.get_coordinates(context.geometry[outside], return_index=True)
    is_far = _is_far(xy, np.asarray(box))
    far, owner = xy[is_far], owner[is_far]
    first = np.searchsorted(owner, np.arange(len(outside)))
    shown = [f"{x:.10g}, {y:.10g}" for x, y in far[first]]
    west, south, east, north = (f"{limit:.10g}" for limit in box)
    return defects(
        row=np.concatenate([broken, outside]),
        found=Words(
            ["a coordinate that is no number"] * len(broken) + [f"outside: {one}" for one in shown],
            ["坐标不是有限数值"] * len(broken) + [f"坐标超出范围：{one}" for one in shown],
        ),
        expected=words(
            f"x {west} to {east}, y {south} to {north}",
            f"x 在 {west} 至 {east}，y 在 {south} 至 {north} 之间",
        ),
        geometry=[*[None] * len(broken), *_multipoints(far, owner)],
    )


def _judged(
    geometry: Geometries, box: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return whether each geometry has a coordinate that is not finite, and one outside."""
    is_broken, is_outside = np.zeros((2, len(geometry)), dtype=bool)
    for start in range(0, len(geometry), _CHUNK):
        chunk = geometry[start : start + _CHUNK]
        # nearly always the whole chunk is in place; one number that is none makes this false
        if all(
            bool(((along >= low) & (along <= high)).all())
            for along, low, high in zip(
                shapely.get_coordinates(chunk).T, box[:2], box[2:], strict=True
            )
        ):
            continue
        xy, owner = shapely.get_coordinates(chunk, return_index=True)
        is_broken[start + owner[~np.isfinite(xy).all(axis=1)]] = True
        is_outside[start + owner[_is_far(xy, box)]] = True
    return is_broken, is_outside


def _is_far(xy: npt.NDArray[np.float64], box: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return np.asarray(((xy < box[:2]) | (xy > box[2:])).any(axis=1))


def _multipoints(xy: npt.NDArray[np.float64], owner: npt.NDArray[np.int64]) -> Geometries:
    if not len(xy):
        return np.empty(0, dtype=object)
    points = np.asarray(shapely.points(xy), dtype=object)
    return np.asarray(shapely.multipoints(points, indices=owner), dtype=object)


KIND = RuleKind(
    name="finite_extent",
    number=21,
    group="C geometry",
    measure=iso_measure("16"),
    params=FiniteExtentParameters,
    reach="feature",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
