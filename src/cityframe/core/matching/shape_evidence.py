"""How much two sets of polygons overlap, pair by pair.

Both sides are usable polygons (`usable`) in one projected CRS in metres. A pair is a row of a
table with ``before`` and ``after``, positions on the two sides.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.core.displacement import Flags, Geometries, Numbers, Positions
from cityframe.core.matching.common_area import common_area

MIN_OVERLAP = 0.05
"""Least share of the smaller polygon that counts as overlap: neighbours drawn to a common wall
share as much at an error of half a metre in ten."""

PLAIN_OVERLAP = 0.8
"""A counterpart that covers this share of the larger polygon is the plain one; DESIGN asks as much
of a union."""

NEARLY_TOUCHING_M = 0.5
"""Polygons of one side further apart than this are not meant to touch."""

_ALIKE_BOX = 0.5
_BATCH = 100_000


@dataclass(frozen=True)
class Polygons:
    """Polygons that can be matched, with what is asked of them often.

    Attributes
    ----------
    position : ndarray of int, n
        Where each stands among the geometries given.
    geometry : ndarray of valid polygons, n
    area_m2, depth_m : ndarray, n
        Depth is area over half the perimeter: about the radius of the largest disc within.
    """

    position: Positions
    geometry: Geometries
    area_m2: Numbers
    depth_m: Numbers

    @classmethod
    def of(cls, geometry: Geometries) -> "Polygons":
        """Return those with an area, made valid where they are not."""
        position = np.flatnonzero(~shapely.is_missing(geometry) & ~shapely.is_empty(geometry))
        position = position[np.isfinite(shapely.bounds(geometry[position])).all(axis=1)]
        usable: Geometries = geometry[position]
        invalid = np.flatnonzero(~shapely.is_valid(usable))
        usable[invalid] = shapely.make_valid(usable[invalid])
        area = shapely.area(usable)
        is_area = area > 0
        usable, area, position = usable[is_area], area[is_area], position[is_area]
        return cls(position, usable, area, 2 * area / shapely.length(usable))

    def at(self, geometry: Geometries) -> "Polygons":
        """Return the same with their geometries elsewhere."""
        return Polygons(self.position, geometry, self.area_m2, self.depth_m)


def near_pairs(before: Polygons, after: Polygons, reach_m: float) -> tuple[Positions, Positions]:
    """Return the pairs whose boxes lie within reach, by position."""
    boxes = [shapely.bounds(side.geometry).reshape(-1, 4) for side in (before, after)]
    # a little further, then exactly and alike for both directions
    grown = reach_m * (1 + 1e-9) + 1e-6
    west, south, east, north = boxes[0].T
    first, second = shapely.STRtree(after.geometry).query(
        shapely.box(west - grown, south - grown, east + grown, north + grown)
    )
    is_near = (_gaps(boxes[0][first], boxes[1][second]) <= reach_m).all(axis=1)
    return first[is_near], second[is_near]


def overlaps(
    before: Polygons,
    after: Polygons,
    pairs: tuple[Positions, Positions],
    *,
    depth_below: float = np.inf,
) -> pd.DataFrame:
    """Measure how much the polygons of each pair overlap, where boxes leave it open.

    A pair that shares less than `MIN_OVERLAP` by its boxes has no overlap. Of a pair whose two
    polygons both have another, plain counterpart, nothing is measured either.

    Parameters
    ----------
    depth_below : float
        Pairs that share as much of the smaller polygon have no depth (0): it takes an overlay.

    Returns
    -------
    DataFrame, k rows
        ``before``, ``after``; ``overlap_m2``; ``overlap_depth_m`` (its area over half its
        perimeter); ``share``, of the smaller polygon; ``share_of_larger``; ``is_outdone``, whether
        both have another, plain counterpart.
    """
    first, second = pairs
    areas = before.area_m2[first], after.area_m2[second]
    small, large = np.minimum(*areas), np.maximum(*areas)
    boxes = [shapely.bounds(side.geometry).reshape(-1, 4) for side in (before, after)]
    sizes = [(box[:, 2:] - box[:, :2]).prod(axis=1) for box in boxes]
    shared = np.maximum(-_gaps(boxes[0][first], boxes[1][second]), 0).prod(axis=1)
    is_open = shared > MIN_OVERLAP * small
    is_alike = is_open & (shared >= _ALIKE_BOX * (sizes[0][first] + sizes[1][second] - shared))
    area = np.zeros(len(first))

    def measure(rows: Positions) -> None:
        common = common_area(before.geometry[first[rows]], after.geometry[second[rows]])
        area[rows] = np.minimum(common, small[rows])

    measure(np.flatnonzero(is_alike))
    is_plain = area >= PLAIN_OVERLAP * large
    is_outdone = ~is_plain & _has(first, is_plain) & _has(second, is_plain)
    rest = np.flatnonzero(is_open & ~is_alike & ~is_outdone)
    measure(rest)
    asked = np.flatnonzero((area > 0) & (area < depth_below * small))
    depth = np.zeros(len(first))
    depth[asked] = _depth(before.geometry[first[asked]], after.geometry[second[asked]])
    return pd.DataFrame(
        {
            "before": first,
            "after": second,
            "overlap_m2": area,
            "overlap_depth_m": depth,
            "share": area / small,
            "share_of_larger": area / large,
            "is_outdone": is_outdone,
        }
    )


def hosts(
    side: Polygons, lone: pd.DataFrame, links: pd.DataFrame, end: str, other: str
) -> pd.DataFrame:
    """Find what polygons could be linked to because a neighbour on their own side is.

    Parameters
    ----------
    lone : DataFrame
        Pairs, as `overlaps` measures them, whose ``end`` is asked about.
    links : DataFrame
        ``before``, ``after``, ``score``, ``is_sure`` of pairs that are linked.
    end, other : str
        The end on this side, and the one on the other.

    Returns
    -------
    DataFrame
        Those of ``lone`` whose ``other`` is linked to a neighbour of ``end`` that is nearly
        touching: with ``gap_m`` to the nearest such neighbour, and ``score`` and ``is_sure`` of
        the best such link.
    """
    own, linked = np.unique(lone[end].to_numpy()), np.unique(links[end].to_numpy(dtype=np.intp))
    first, second = shapely.STRtree(side.geometry[linked]).query(
        side.geometry[own], predicate="dwithin", distance=NEARLY_TOUCHING_M
    )
    first, second = own[first], linked[second]
    gap = shapely.distance(side.geometry[first], side.geometry[second])
    beside = pd.DataFrame({end: first, "host": second, "gap_m": gap})[first != second]
    linked_to = links[[end, other, "score", "is_sure"]].rename(columns={end: "host"})
    found = (
        beside.merge(linked_to, on="host")
        .groupby([end, other], as_index=False)
        .agg(gap_m=("gap_m", "min"), score=("score", "max"), is_sure=("is_sure", "max"))
    )
    return lone.merge(found, on=[end, other])


def _depth(before: Geometries, after: Geometries) -> Numbers:
    """Return the area of the overlap of each pair over half its perimeter."""
    depth = np.zeros(len(before))
    for start in range(0, len(before), _BATCH):
        batch = slice(start, start + _BATCH)
        common = shapely.intersection(before[batch], after[batch])
        with np.errstate(invalid="ignore"):
            depth[batch] = np.nan_to_num(2 * shapely.area(common) / shapely.length(common))
    return depth


def _has(end: Positions, flags: Flags) -> Flags:
    """Tell of each pair whether its end is in a pair with the flag."""
    found = np.zeros(int(end.max(initial=-1)) + 1, dtype=bool)
    found[end[flags]] = True
    has: Flags = found[end]
    return has


def _gaps(one: Numbers, other: Numbers) -> npt.NDArray[np.float64]:
    """Return how far boxes lie apart, of each axis; negative by how much they overlap."""
    gaps: npt.NDArray[np.float64] = np.maximum(one[:, :2] - other[:, 2:], other[:, :2] - one[:, 2:])
    return gaps
