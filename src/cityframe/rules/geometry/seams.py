"""Where features of a layer end at the border of a district, and what they meet across it.

An end (接边点) is the end of a line, or a vertex of a polygon whose outline leaves the border.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import Field
from scipy.spatial import KDTree

from cityframe.config.schema import Name
from cityframe.model.layer import Layer
from cityframe.rules.context import Context, Geometries, Positions, usable_geometries
from cityframe.rules.geometry.vertices import vertices
from cityframe.rules.kind import ANY_TYPE, AREAS, ColumnNeeds, OtherLayer, Parameters

Floats = npt.NDArray[np.float64]


class SeamParameters(Parameters):
    """What the kinds about seams need."""

    layer: Name = Field(description="layer of the districts (map sheets, survey areas)")
    district_column: Name | None = Field(
        default=None,
        description="attribute of the districts; polygons with one value are one district",
    )
    max_offset_m: float | None = Field(
        default=None,
        gt=0,
        description="farthest that two ends that meet may lie apart, in metres; without it 2√2 "
        "times the layer's declared accuracy",
    )
    border_m: float | None = Field(
        default=None,
        gt=0,
        description="how near to the border a feature ends at it, in metres; without it as far as "
        "two ends may lie apart",
    )
    max_angle_deg: float = Field(
        default=30.0, gt=0, le=180, description="largest bend where two ends meet, in degrees"
    )

    def offset_m(self, layer: Layer) -> float:
        """Return how far two ends that meet may lie apart, in metres.

        Two ends with the mean error m differ by √2 m; twice that is the limit.
        """
        return self.max_offset_m or 2 * math.sqrt(2) * layer.accuracy_m

    def ends_within_m(self, layer: Layer) -> float:
        """Return how near to the border a feature ends at it, in metres."""
        return self.border_m or self.offset_m(layer)

    def needed_layers(self) -> tuple[OtherLayer, ...]:
        """Return the layer of the districts."""
        columns: ColumnNeeds = (
            {} if self.district_column is None else {self.district_column: ANY_TYPE}
        )
        return (OtherLayer(self.layer, columns, AREAS),)


@dataclass(frozen=True)
class Ends:
    """The ends of features at the borders between districts, k of them.

    Attributes
    ----------
    row : ndarray of k ints
        Position of the feature in the layer, rising.
    xy : ndarray of shape (k, 2)
    inward : ndarray of shape (k, 2)
        Unit vector from the end along the feature.
    district : ndarray of k ints
        Number of the district that the feature lies in there.
    """

    row: Positions
    xy: Floats
    inward: Floats
    district: Positions

    def chosen(self, which: npt.NDArray[Any]) -> "Ends":
        """Return some of the ends."""
        return Ends(self.row[which], self.xy[which], self.inward[which], self.district[which])


@dataclass(frozen=True)
class Meetings:
    """Pairs of ends of two districts that lie near one another, each way round.

    Attributes
    ----------
    one, two : ndarray of p ints
        Positions in `Ends`.
    distance_m : ndarray of p floats
    bend_deg : ndarray of p floats
        How far the one is from going on straight as the other, in degrees.
    """

    one: Positions
    two: Positions
    distance_m: Floats
    bend_deg: Floats

    def chosen(self, which: npt.NDArray[Any]) -> "Meetings":
        """Return some of the pairs."""
        return Meetings(
            self.one[which], self.two[which], self.distance_m[which], self.bend_deg[which]
        )

    def best(self) -> "Meetings":
        """Return the nearest partner of each end of ``one``; of equals the straightest."""
        order = np.lexsort([self.two, self.bend_deg, self.distance_m, self.one])
        _, first = np.unique(self.one[order], return_index=True)
        return self.chosen(order[first])


def seam_ends(context: Context, parameters: SeamParameters) -> Ends:
    """Return the ends of the layer's features at the borders between two districts.

    An end lies at the border if a district that is not its own is no farther than
    `SeamParameters.ends_within_m`. Its own is the one that the feature comes from: that of a place
    twice as far along the last segment (half of a shorter one), so that an end may overshoot.
    """
    frame = context.other(parameters.layer)
    districts = usable_geometries(frame)
    number = np.arange(len(frame))
    if parameters.district_column is not None:
        # sorted: which of two overlapping districts is the first depends on no third one
        number = pd.factorize(frame[parameters.district_column], sort=True)[0]
        districts[number < 0] = None
    border_m = parameters.ends_within_m(context.layer)
    tree = shapely.STRtree(districts)
    geometry = _near_borders(context, tree, number, border_m)
    row, xy, neighbour = _line_ends(geometry)
    if context.layer.geometry in AREAS:
        row, xy, neighbour = _corners(geometry)
    step = neighbour - xy
    length = np.hypot(step[:, 0], step[:, 1])[:, np.newaxis]
    inward = step / length
    own = _district_of(tree, number, xy + inward * np.minimum(length / 2, 2 * border_m))
    near, index = tree.query(shapely.points(xy), predicate="dwithin", distance=border_m)
    is_across = (number[index] != own[near]) & (own[near] >= 0)
    at_seam = np.unique(near[is_across])
    if context.layer.geometry in AREAS:
        at_seam = at_seam[
            ~_lies_at_border(tree, number, neighbour[at_seam], own[at_seam], border_m)
        ]
    return Ends(row[at_seam], xy[at_seam], inward[at_seam], own[at_seam])


def meetings(ends: Ends, within_m: float) -> Meetings:
    """Return the pairs of ends of different districts that lie within a distance."""
    tree = KDTree(ends.xy)
    pairs = tree.query_pairs(np.nextafter(within_m, np.inf), output_type="ndarray")
    pairs = pairs[ends.district[pairs[:, 0]] != ends.district[pairs[:, 1]]]
    one = np.concatenate([pairs[:, 0], pairs[:, 1]]).astype(np.int64)
    two = np.concatenate([pairs[:, 1], pairs[:, 0]]).astype(np.int64)
    cosine = -np.einsum("ij,ij->i", ends.inward[one], ends.inward[two])
    return Meetings(
        one=one,
        two=two,
        distance_m=np.hypot(*(ends.xy[one] - ends.xy[two]).T),
        bend_deg=np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))),
    )


def joint(ends: Ends, one: Positions, two: Positions) -> Geometries:
    """Return the place of each pair: the line between the ends, a point where they coincide."""
    path = np.stack([ends.xy[one], ends.xy[two]], axis=1)
    place = np.asarray(shapely.linestrings(path), dtype=object)
    same = (path[:, 0] == path[:, 1]).all(axis=1)
    place[same] = shapely.points(path[same, 0])
    return place


def _near_borders(
    context: Context, tree: shapely.STRtree, number: Positions, border_m: float
) -> Geometries:
    """Return the features near two districts, None for the others: few of a large layer."""
    feature, index = tree.query(context.usable_geometry, predicate="dwithin", distance=border_m)
    low, high = np.full(len(context.frame), np.inf), np.full(len(context.frame), -np.inf)
    np.minimum.at(low, feature, number[index])
    np.maximum.at(high, feature, number[index])
    kept = np.full(len(context.frame), None, dtype=object)
    several = np.flatnonzero(low < high)
    kept[several] = context.geometry[several]
    return kept


def _line_ends(geometry: Geometries) -> tuple[Positions, Floats, Floats]:
    """Return the ends of all lines: feature, place, next vertex; a closed line has none."""
    path = vertices(geometry).without_repeats()
    is_first = np.ones(len(path.xy), dtype=bool)
    is_first[1:] = path.path[1:] != path.path[:-1]
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(path.xy))[: len(first)] - 1
    is_open = (path.xy[first] != path.xy[last]).any(axis=1)
    first, last = first[is_open], last[is_open]
    end, neighbour = np.append(first, last), np.append(first + 1, last - 1)
    row = path.row_of(end)
    order = np.argsort(row, kind="stable")
    return row[order], path.xy[end[order]], path.xy[neighbour[order]]


def _corners(geometry: Geometries) -> tuple[Positions, Floats, Floats]:
    """Return each corner of a ring twice: feature, place, the vertex before, and that after."""
    path = vertices(geometry).without_repeats()
    before, corner, after = path.corners()
    end, neighbour = np.append(corner, corner), np.append(before, after)
    row = path.row_of(end)
    order = np.argsort(row, kind="stable")
    return row[order], path.xy[end[order]], path.xy[neighbour[order]]


def _district_of(tree: shapely.STRtree, number: Positions, xy: Floats) -> Positions:
    """Return the number of the district that holds each place; -1 for none."""
    place, index = tree.query(shapely.points(xy), predicate="intersects")
    found = np.full(len(xy), np.iinfo(np.int64).max)
    np.minimum.at(found, place, number[index])
    return np.where(found == np.iinfo(np.int64).max, -1, found)


def _lies_at_border(
    tree: shapely.STRtree, number: Positions, xy: Floats, own: Positions, border_m: float
) -> npt.NDArray[np.bool_]:
    """Return whether each place lies near a district that is not its own."""
    place, index = tree.query(shapely.points(xy), predicate="dwithin", distance=border_m)
    near = np.zeros(len(xy), dtype=bool)
    near[place[number[index] != own[place]]] = True
    return near
