"""Control and check points, paired with the features of a layer.

A check point (检测点) is a point of another layer whose place is known better. It is paired with
the feature that has the same key, or else with the nearest one.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import shapely
from pydantic import Field, model_validator

from cityframe.config.schema import Name
from cityframe.core.frames import key_text
from cityframe.model.layer import AttributeType, Layer
from cityframe.rules.context import Context, Geometries, Positions, usable_geometries
from cityframe.rules.defects import defects
from cityframe.rules.geometry.mean_error import Floats
from cityframe.rules.kind import POINTS, TEXT, ColumnNeeds, OtherLayer, Parameters
from cityframe.rules.words import words

KEYS = TEXT | {AttributeType.INTEGER}


class ControlParameters(Parameters):
    """What the kinds that compare with check points need."""

    layer: Name = Field(description="layer of the check points")
    column: Name | None = Field(
        default=None, description="attribute that pairs; without it the nearest point does"
    )
    layer_column: Name | None = Field(
        default=None, description="its name in the layer of the check points, if another"
    )
    within_m: float | None = Field(
        default=None, gt=0, description="farthest that a check point can belong, in metres"
    )
    min_points: int = Field(
        default=1, ge=1, description="least check points that must have a feature"
    )

    @model_validator(mode="after")
    def _pairs_somehow(self) -> Self:
        if self.column is None and self.within_m is None:
            message = "column or within_m, to pair features with check points"
            raise ValueError(message)
        return self

    def needed_columns(self, layer: Layer) -> ColumnNeeds:
        """Return the attribute that pairs."""
        del layer
        return {} if self.column is None else {self.column: KEYS}

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the check points."""
        columns = {} if self.column is None else {self.layer_column or self.column: KEYS}
        return (OtherLayer(self.layer, columns, POINTS),)


@dataclass(frozen=True)
class Residuals:
    """What lies between features and their check points, k pairs in the order of the layer.

    Attributes
    ----------
    row : ndarray of k ints
        Position of the feature.
    control : ndarray of k ints
        Position of the check point in its layer.
    place : ndarray of k lines
        From the feature to the check point.
    step_m : ndarray of shape (k, 2)
        Feature less check point, east and north, in metres.
    """

    row: Positions
    control: Positions
    place: Geometries
    step_m: Floats

    @property
    def length_m(self) -> Floats:
        """Error in the plane of each pair, in metres."""
        length: Floats = np.hypot(self.step_m[:, 0], self.step_m[:, 1])
        return length


def residuals(context: Context, parameters: ControlParameters) -> Residuals:
    """Return the pairs of features and check points.

    A line or polygon stands where its vertex nearest to the check point is. A key that occurs
    twice on one side pairs nothing. By nearness each check point has one vertex and each vertex one
    check point, the nearest; of equals the first.
    """
    frame = context.other(parameters.layer)
    points = shapely.centroid(usable_geometries(frame))
    if parameters.column is None:
        control, row = _near(context, points, parameters.within_m or 0.0)
    else:
        column = parameters.layer_column or parameters.column
        control, row = _of_same_key(context, frame, points, parameters.column, column)
    target = shapely.get_coordinates(points[control])
    vertex = _nearest_vertices(context.geometry[row], target)
    pairs = pd.DataFrame({"row": row, "control": control, "x": vertex[:, 0], "y": vertex[:, 1]})
    pairs["distance"] = np.hypot(*(vertex - target).T)
    if parameters.within_m is not None:
        pairs = pairs[pairs["distance"] <= parameters.within_m]
    pairs = pairs.sort_values(["distance", "row", "control"])
    if parameters.column is None:
        pairs = pairs.drop_duplicates("control").drop_duplicates(["row", "x", "y"])
    pairs = pairs.sort_values(["row", "control"])
    return _residuals(pairs, points)


def too_few(
    context: Context, parameters: ControlParameters, found: Residuals
) -> pd.DataFrame | None:
    """Return the defect that too few check points have a feature; None if they are enough.

    A layer without features has nothing to check.
    """
    if len(found.row) >= parameters.min_points or not len(context.usable):
        return None
    points = usable_geometries(context.other(parameters.layer))
    return defects(
        found=words(
            en="{n} check points have a feature",
            zh="仅 {n} 个检测点有对应要素",
            n=[len(found.row)],
        ),
        expected=words(
            en=f"at least {parameters.min_points}", zh=f"不少于 {parameters.min_points} 个"
        ),
        geometry=[shapely.multipoints(shapely.centroid(points[~shapely.is_missing(points)]))],
    )


def displacement(place: Geometries) -> shapely.Geometry:
    """Return all displacement lines as one place."""
    return shapely.MultiLineString(list(place[shapely.length(place) > 0]))


def _near(context: Context, points: Geometries, within_m: float) -> tuple[Positions, Positions]:
    """Return each check point with each feature near it."""
    control, row = context.tree.query(points, predicate="dwithin", distance=within_m)
    return control, row


def _of_same_key(
    context: Context, frame: pd.DataFrame, points: Geometries, column: str, other_column: str
) -> tuple[Positions, Positions]:
    """Return each check point with the feature of the same key."""
    own = key_text(context.frame, (column,)).to_numpy(dtype=object)[context.usable]
    usable = np.flatnonzero(~shapely.is_missing(points))
    other = key_text(frame, (other_column,)).to_numpy(dtype=object)[usable]
    one = pd.DataFrame({"key": own, "row": context.usable}).dropna()
    two = pd.DataFrame({"key": other, "control": usable}).dropna()
    pairs = one.drop_duplicates("key", keep=False).merge(
        two.drop_duplicates("key", keep=False), on="key"
    )
    return pairs["control"].to_numpy(), pairs["row"].to_numpy()


def _nearest_vertices(features: Geometries, target: Floats) -> Floats:
    """Return the vertex of each feature that is nearest to its target, as x and y."""
    xy, pair = shapely.get_coordinates(features, return_index=True)
    distance = np.hypot(*(xy - target[pair]).T)
    order = np.lexsort([distance, pair])
    _, first = np.unique(pair[order], return_index=True)
    nearest: Floats = xy[order[first]]
    return nearest


def _residuals(pairs: pd.DataFrame, points: Geometries) -> Residuals:
    control = pairs["control"].to_numpy(dtype=np.int64)
    start = pairs[["x", "y"]].to_numpy(dtype=np.float64)
    end = shapely.get_coordinates(points[control])
    place = np.asarray(shapely.linestrings(np.stack([start, end], axis=1)), dtype=object)
    return Residuals(
        row=pairs["row"].to_numpy(dtype=np.int64),
        control=control,
        place=place,
        step_m=start - end,
    )
