"""Heights are there exactly where the contract wants them, and possible; there are no measures.

In a layer with heights each vertex has one that is a finite number from `min_z_m` to `max_z_m`;
`zero_is_missing` takes a feature whose heights are all exactly 0 as one without. In a layer
without heights no geometry has any. M values are a defect unless `allow_m`. Curves can't stand in
a layer: intake reports a feature with one as not readable. Null and empty geometries pass. The
places are the vertices with a wrong height; of a feature without heights or with ones too many it
is the feature.

```yaml
kind: height_values
parameters: {min_z_m: -20, max_z_m: 3000, zero_is_missing: true}
```
"""

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.rules.context import Context, Geometries, Positions
from cityframe.rules.defects import defects
from cityframe.rules.kind import SPATIAL, Parameters, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import Words, words


class HeightValuesParameters(Parameters):
    """What `height_values` needs."""

    min_z_m: float = Field(default=-1000.0, description="lowest height possible, in metres")
    max_z_m: float = Field(default=9000.0, description="highest height possible, in metres")
    zero_is_missing: bool = Field(
        default=False, description="whether heights of only 0 count as none"
    )
    allow_m: bool = Field(default=False, description="whether M values are allowed")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.min_z_m >= self.max_z_m:
            message = "min_z_m below max_z_m"
            raise ValueError(message)
        return self


def check(context: Context, parameters: HeightValuesParameters) -> pd.DataFrame:
    """Return the features with heights or measures that are wrong."""
    geometry = context.geometry
    placed = np.flatnonzero(~shapely.is_missing(geometry) & ~shapely.is_empty(geometry))
    has_z = shapely.has_z(geometry[placed])
    wants_z = context.layer.has_z
    if wants_z:
        tables = [
            _whole(placed[~has_z], ("no heights", "缺少高程"), ("heights", "有高程")),
            *_of_heights(geometry, placed[has_z], parameters),
        ]
    else:
        tables = [_whole(placed[has_z], ("heights", "含高程"), ("no heights", "无高程"))]
    if not parameters.allow_m:
        measured = placed[shapely.has_m(geometry[placed])]
        tables.append(_whole(measured, ("M values", "含 M 值"), ("no M values", "无 M 值")))
    return pd.concat(tables, ignore_index=True)


def _of_heights(
    geometry: Geometries, row: Positions, parameters: HeightValuesParameters
) -> list[pd.DataFrame]:
    low, high = parameters.min_z_m, parameters.max_z_m
    xyz, owner = shapely.get_coordinates(geometry[row], include_z=True, return_index=True)
    z = xyz[:, 2]
    # NaN is in no range
    bad = np.flatnonzero(~((z >= low) & (z <= high)))
    tables = [_of_vertices(xyz[bad], row[owner[bad]], low, high)]
    if parameters.zero_is_missing:
        is_flat = np.bincount(owner, z != 0, minlength=len(row)) == 0
        tables.append(_whole(row[is_flat], ("heights all 0", "高程全为 0"), ("heights", "有高程")))
    return tables


def _of_vertices(
    xyz: npt.NDArray[np.float64], row: Positions, low: float, high: float
) -> pd.DataFrame:
    return defects(
        row=row,
        found=words("a height of {z:.3f} m", "高程 {z:.3f} m", z=xyz[:, 2]),
        expected=words(f"{low:g} to {high:g} m", f"{low:g} 至 {high:g} m"),
        geometry=np.asarray(shapely.points(xyz[:, :2], handle_nan="allow"), dtype=object),
    )


def _whole(row: Positions, found: tuple[str, str], expected: tuple[str, str]) -> pd.DataFrame:
    return defects(
        row=row,
        found=Words([found[0]] * len(row), [found[1]] * len(row)),
        expected=words(*expected),
    )


KIND = RuleKind(
    name="height_values",
    number=30,
    group="C geometry",
    measure=iso_measure("10"),
    params=HeightValuesParameters,
    reach="feature",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
