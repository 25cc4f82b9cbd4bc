"""Heights agree with those of a terrain model.

The terrain (数字高程模型, DEM) is another layer of points with heights: Z, or the attribute
`layer_column`. Between them heights are interpolated linearly over the Delaunay triangles.
The layer's own heights are the Z of each vertex, or of points the attribute `column`. The error is
own less terrain; `offset_m` is what the features stand above the ground on purpose. Where no
triangle lies, or only one with an edge longer than `max_edge_m`, there is no terrain, and the
vertex passes.

The mean error m = √(ΣΔ²/n) (高程中误差; with `same_accuracy` √(ΣΔ²/2n)) must not exceed
`max_mean_error_m`; beyond `gross_factor` times that an error is gross and takes no part. So GB/T
24356; ISO 19157 calls it the root mean square error. A gross error is a finding on the feature, at
the vertex; too large a mean error is a finding for the layer, at its extent.

```yaml
kind: height_against_terrain
parameters: {layer: terrain_points, max_mean_error_m: 0.3, max_edge_m: 50.0}
```
"""

import numpy as np
import pandas as pd
import shapely
from pydantic import Field

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Positions, usable_geometries
from cityframe.rules.defects import defects, no_defects
from cityframe.rules.geometry.extent import extent
from cityframe.rules.geometry.mean_error import Floats, MeanErrorParameters, kept_errors
from cityframe.rules.kind import NUMBERS, POINTS, SPATIAL, ColumnNeeds, OtherLayer, RuleKind
from cityframe.rules.measures import iso_measure
from cityframe.rules.words import words


class HeightAgainstTerrainParameters(MeanErrorParameters):
    """What `height_against_terrain` needs."""

    layer: Name = Field(description="layer of the terrain points")
    max_mean_error_m: float = Field(gt=0, description="mean error allowed, in metres")
    column: Name | None = Field(
        default=None, description="attribute with the height, in metres; without it Z"
    )
    layer_column: Name | None = Field(
        default=None, description="attribute with the terrain's height, in metres; without it Z"
    )
    max_edge_m: float | None = Field(
        default=None, gt=0, description="longest side of a triangle, in metres; null for any"
    )
    offset_m: float = Field(default=0.0, description="height above the ground meant, in metres")

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute with the height."""
        del layer
        return {} if self.column is None else {self.column: NUMBERS}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the terrain points."""
        columns = {} if self.layer_column is None else {self.layer_column: NUMBERS}
        return (OtherLayer(self.layer, columns, POINTS),)

    def misfit(self, layer: Layer) -> str:
        """Say so if the layer has no heights."""
        if self.column is None:
            return "" if layer.has_z else f"no column, and layer {layer.name} has no Z"
        return "" if layer.geometry in POINTS else f"one height for a {layer.geometry}"


def check(context: Context, parameters: HeightAgainstTerrainParameters) -> pd.DataFrame:
    """Return the gross errors, and one defect for the layer if the mean error is too large."""
    column = parameters.column
    xyz, row = _heights(context.frame, context.usable_geometry, column)
    frame = context.other(parameters.layer)
    terrain, _ = _heights(frame, usable_geometries(frame), parameters.layer_column)
    ground_m = _interpolated(terrain, xyz[:, :2], parameters.max_edge_m)
    errors = xyz[:, 2] - parameters.offset_m - ground_m
    is_known = np.isfinite(errors)
    errors, xyz, row = errors[is_known], xyz[is_known], row[is_known]
    if not len(errors):
        return no_defects()
    limit_m = parameters.gross_limit_m(context.layer)
    far = np.abs(errors) > limit_m
    single = defects(
        row=row[far],
        found=words(
            en="height {height:.3f} m, {error:+.3f} m against the terrain",
            zh="高程 {height:.3f} m，与地形高程相差 {error:+.3f} m",
            height=xyz[far, 2],
            error=errors[far],
        ),
        expected=words(en=f"within {limit_m:.3f} m", zh=f"高差不大于 {limit_m:.3f} m"),
        geometry=np.asarray(shapely.points(xyz[far, :2]), dtype=object),
    )
    kept = kept_errors(errors, limit_m)
    return pd.concat([single, _mean(context, errors[kept], parameters)], ignore_index=True)


def _heights(
    frame: pd.DataFrame, geometry: np.ndarray, column: str | None
) -> tuple[Floats, Positions]:
    """Return x, y and height of each vertex that has one, and the position of its feature."""
    xyz, row = shapely.get_coordinates(geometry, include_z=True, return_index=True)
    if column is not None:
        xyz[:, 2] = frame[column].to_numpy(dtype=float, na_value=np.nan)[row]
    is_known = np.isfinite(xyz[:, 2])
    return xyz[is_known], row[is_known]


def _interpolated(terrain: Floats, xy: Floats, max_edge_m: float | None) -> Floats:
    """Return the height of the terrain at each place; NaN where there is none."""
    height = np.full(len(xy), np.nan)
    cloud = shapely.MultiPoint(terrain)
    # not SciPy's: it asks LAPACK a triangle, whose threads then spin for seconds
    triangles = shapely.get_parts(shapely.delaunay_triangles(cloud))
    place, triangle = shapely.STRtree(triangles).query(shapely.points(xy), predicate="intersects")
    place, first = np.unique(place, return_index=True)  # on an edge either one gives the height
    triangle = triangle[first]
    corner = shapely.get_coordinates(triangles[triangle], include_z=True).reshape(-1, 4, 3)
    height[place] = _on_plane(corner, xy[place])
    if max_edge_m is not None:
        side = np.hypot(*np.moveaxis(np.diff(corner[:, :, :2], axis=1), 2, 0))
        height[place[(side > max_edge_m).any(axis=1)]] = np.nan
    return height


def _on_plane(corner: Floats, xy: Floats) -> Floats:
    """Return the height at each place of the plane through the first three corners."""
    one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    step = xy - corner[:, 0, :2]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    share_one = (step[:, 0] * two[:, 1] - step[:, 1] * two[:, 0]) / area
    share_two = (one[:, 0] * step[:, 1] - one[:, 1] * step[:, 0]) / area
    plane: Floats = corner[:, 0, 2] + share_one * one[:, 2] + share_two * two[:, 2]
    return plane


def _mean(
    context: Context, errors: Floats, parameters: HeightAgainstTerrainParameters
) -> pd.DataFrame:
    mean_m, allowed_m = parameters.mean_error_m(errors), parameters.allowed_m(context.layer)
    if mean_m <= allowed_m:
        return no_defects()
    return defects(
        found=words(
            en="mean error {mean:.3f} m of {n} heights",
            zh="{n} 个高程点的高程中误差 {mean:.3f} m",
            mean=[mean_m],
            n=[len(errors)],
        ),
        expected=words(en=f"at most {allowed_m:g} m", zh=f"高程中误差不大于 {allowed_m:g} m"),
        geometry=[extent(context.geometry)],
    )


KIND = RuleKind(
    name="height_against_terrain",
    number=62,
    group="G position",
    measure=iso_measure("39"),
    params=HeightAgainstTerrainParameters,
    reach="layer",
    geometry=SPATIAL,
    check=check,
    needs_metres=True,
)
