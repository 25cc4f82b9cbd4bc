"""Which points lie near each other, or near and say the same: a few candidates for each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.spatial import cKDTree

from cityframe.core.displacement import Geometries, Numbers, Positions

NEIGHBOURS = 16
"""Nearest points of the other side that are looked at for each."""

NAMESAKES = 4
"""Nearest points that say the same that are looked at for each, so that one is found in a crowd."""

_BATCH = 100_000


@dataclass(frozen=True)
class NearPairs:
    """Pairs of points within reach: k rows, sorted by point and partner, each pair once.

    Attributes
    ----------
    point, partner : ndarray of int, k
        Positions on the side that looked and on the other.
    distance_m : ndarray, k
    unseen_m : ndarray, k
        The point may have passed over partners that are at least so far away and do not say the
        same, or, for a pair that says the same, do; infinite if it has passed over none.
    """

    point: Positions
    partner: Positions
    distance_m: Numbers
    unseen_m: Numbers


def places(geometry: Geometries) -> Numbers:
    """Return where geometries are, n × 2: points themselves, others their centroids; else NaN."""
    xy = np.full((len(geometry), 2), np.nan)
    placed = np.flatnonzero(~shapely.is_missing(geometry) & ~shapely.is_empty(geometry))
    xy[placed] = shapely.get_coordinates(shapely.centroid(geometry[placed]))
    return xy


def near_pairs(
    here: Numbers,
    there: Numbers,
    said: tuple[Positions, Positions],
    reach_m: float,
) -> Iterator[NearPairs]:
    """Find for each point here the nearest there, and the nearest that say the same, in batches.

    Parameters
    ----------
    here, there : ndarray, n × 2 and m × 2
        Places in metres; NaN for none.
    said : tuple of ndarray of int, n and m
        A number for what each point says, equal for equal statements, -1 for none.
    reach_m : float
        Largest distance of a pair.
    """
    searches = [
        _Search.of(there, None, reach_m, NEIGHBOURS),
        _Search.of(there, said[1], reach_m, NAMESAKES),
    ]
    placed = np.flatnonzero(np.isfinite(here).all(axis=1))
    for start in range(0, len(placed), _BATCH):
        point = placed[start : start + _BATCH]
        speaks = point[said[0][point] >= 0]
        found = [searches[0].pairs(point, here, None), searches[1].pairs(speaks, here, said[0])]
        # a pair found both ways is kept as one that says the same
        own, partner, distance, unseen = (
            np.concatenate(parts) for parts in zip(*found[::-1], strict=True)
        )
        _, first = np.unique(own * len(there) + partner, return_index=True)
        yield NearPairs(own[first], partner[first], distance[first], unseen[first])


@dataclass(frozen=True)
class _Search:
    """The nearest few of some points; a statement, if any, is a third coordinate, far apart."""

    tree: "cKDTree"
    position: Positions
    reach_m: float
    count: int

    @classmethod
    def of(cls, xy: Numbers, said: Positions | None, reach_m: float, count: int) -> "_Search":
        is_there = np.isfinite(xy).all(axis=1)
        if said is not None:
            is_there &= said >= 0
        position = np.flatnonzero(is_there)
        return cls(cKDTree(cls.coordinates(position, xy, said, reach_m)), position, reach_m, count)

    @staticmethod
    def coordinates(
        position: Positions, xy: Numbers, said: Positions | None, reach_m: float
    ) -> Numbers:
        if said is None:
            return xy[position]
        coordinates: Numbers = np.column_stack([xy[position], said[position] * (2 * reach_m)])
        return coordinates

    def pairs(
        self, point: Positions, xy: Numbers, said: Positions | None
    ) -> tuple[Positions, Positions, Numbers, Numbers]:
        if not len(point) or not len(self.position):
            nothing, none = np.empty(0, dtype=np.intp), np.empty(0)
            return nothing, nothing, none, none
        distance, near = self.tree.query(
            self.coordinates(point, xy, said, self.reach_m),
            k=self.count,
            distance_upper_bound=np.nextafter(self.reach_m, np.inf),
        )
        row, column = np.nonzero(near < len(self.position))
        partner = self.position[near[row, column]]
        return point[row], partner, distance[row, column], distance[row, -1]
