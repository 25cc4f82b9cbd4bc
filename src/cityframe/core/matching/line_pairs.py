"""How far lines of two sides run along each other: what they are matched on."""

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.spatial import cKDTree

from cityframe.core.displacement import Flags, Geometries, Numbers, Positions
from cityframe.core.matching.line_samples import LineSamples

NEIGHBOURS = 16
"""Nearest samples of the other side that are looked at for each: half the reach apart, they are of
three lines at least. In a denser crowd the further lines are not seen."""

PARALLEL_DEG = 30.0
"""Largest angle at which two lines run the same way."""

DIRECTION_WEIGHT = 1 / (2 * np.sin(np.radians(PARALLEL_DEG)))
"""Directions as coordinates, in reaches: lines at `PARALLEL_DEG` are as near as at the reach."""

_SAME_M = 1e-6
_BATCH = 200_000


@dataclass(frozen=True)
class Companions:
    """The lines of the other side that run along the samples of one: k rows, sorted by sample.

    Attributes
    ----------
    sample : ndarray of int, k
        Position of the sample.
    own, other : ndarray of int, k
        Positions of the two lines.
    length_m : ndarray, k
        What the sample stands for.
    distance_m : ndarray, k
        From the sample to the other line.
    """

    sample: Positions
    own: Positions
    other: Positions
    length_m: Numbers
    distance_m: Numbers

    def only(self, kept: Flags) -> "Companions":
        """Return the rows that are flagged."""
        return Companions(*(value[kept] for value in vars(self).values()))


@dataclass(frozen=True)
class Shares:
    """What of one side's lines fell to each pair, in metres: arrays by pair.

    Attributes
    ----------
    won_m : ndarray
        Length that the other line is the cheapest for; ties to both.
    near_m : ndarray
        Length, weighted by how cheap the other line is against the cheapest.
    square_m3 : ndarray
        Sum of the squared costs over the length won.
    rival_m : ndarray
        Length won, weighted by how close the next line comes: 1 for as cheap, towards 0 for far
        dearer.
    """

    won_m: Numbers
    near_m: Numbers
    square_m3: Numbers
    rival_m: Numbers


def companions(
    samples: LineSamples, others: LineSamples, lines: Geometries, reach_m: float
) -> Companions:
    """Find the lines of the other side that run along each sample: within reach and parallel.

    Parameters
    ----------
    samples, others : LineSamples
        Of the two sides, both at most half the reach apart.
    lines : ndarray of geometries
        The lines of ``others``.
    reach_m : float
        Largest distance, in metres.
    """
    found = [np.empty(0, dtype=np.intp)]
    if len(samples.xy) and len(others.xy):
        here, there = (one.placed(reach_m * DIRECTION_WEIGHT) for one in (samples, others))
        tree = cKDTree(there)
        # the nearest sample may lie a quarter of the reach further along its line
        bound = reach_m * np.sqrt(1 + 1 + 1 / 16)
        for start in range(0, len(here), _BATCH):
            batch = slice(start, start + _BATCH)
            _, near = tree.query(here[batch], k=NEIGHBOURS, distance_upper_bound=bound)
            row, column = np.nonzero(near < len(there))
            sample, other = row + start, near[row, column]
            turn = (samples.double_angle[sample] * others.double_angle[other]).sum(axis=1)
            is_parallel = turn >= np.cos(np.radians(2 * PARALLEL_DEG))
            found.append(np.unique((sample * len(lines) + others.owner[other])[is_parallel]))
    sample, line = np.divmod(np.concatenate(found), max(len(lines), 1))
    distance = shapely.distance(shapely.points(samples.xy[sample]), lines[line])
    near = np.flatnonzero(distance <= reach_m)
    sample = sample[near]
    return Companions(
        sample, samples.owner[sample], line[near], samples.length_m[sample], distance[near]
    )


def compete(
    found: Companions,
    cost_m: Numbers,
    pair: Positions,
    pair_count: int,
    *,
    reach_m: float,
    sigma_m: float,
) -> Shares:
    """Let the lines along each sample compete for it.

    Parameters
    ----------
    found : Companions, k rows
        Who competes.
    cost_m : ndarray, k
        What each competes by: its distance, and more where other evidence speaks against it.
    pair : ndarray of int, k
        Number of the pair of lines, below ``pair_count``.
    reach_m : float
        What a rival costs where there is none.
    sigma_m : float
        Differences below this say nothing.
    """
    if not len(cost_m):
        return Shares(*(np.zeros(pair_count) for _ in range(4)))
    is_first = np.append(True, found.sample[1:] != found.sample[:-1])
    start, group = np.flatnonzero(is_first), np.cumsum(is_first) - 1
    best = np.minimum.reduceat(cost_m, start)[group]
    is_won = cost_m <= best + _SAME_M
    has_tie = (np.add.reduceat(is_won.astype(np.intp), start) > 1)[group]
    beaten = np.minimum.reduceat(np.where(is_won, np.inf, cost_m), start)[group]
    rival = np.where(has_tie, best, np.minimum(beaten, np.maximum(reach_m, cost_m)))
    closeness = (cost_m + sigma_m) / (rival + sigma_m)
    won = found.length_m * is_won

    def by_pair(value: Numbers) -> Numbers:
        return np.bincount(pair, value, pair_count).astype(np.float64, copy=False)

    return Shares(
        won_m=by_pair(won),
        near_m=by_pair(found.length_m * (best + sigma_m) / (cost_m + sigma_m)),
        square_m3=by_pair(won * cost_m**2),
        rival_m=by_pair(won * closeness),
    )
