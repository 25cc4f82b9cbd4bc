"""By how much two layers of lines are displaced against each other, place by place.

The displacement of a line shows only across it, so lines that cross tell it together: at each node
of a fixed grid the translation is the one that least squares give for the lines around.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from cityframe.core.displacement import Geometries, Numbers
from cityframe.core.matching.line_pairs import DIRECTION_WEIGHT
from cityframe.core.matching.line_samples import LineSamples, sample_lines

CELLS_PER_REACH = 4
"""Width of the grid in reaches: wide enough to hold lines that cross, narrow enough to follow a
sheet that was drawn askew."""

ROUNDS = 4
"""Each halves the distance within which a pair of samples is trusted: to an eighth of the reach."""

SETTLED = 0.01
"""Rounds end early when nothing moves by more than this, in reaches."""

_STIFFNESS = 10.0
"""Samples that the assumption of no displacement weighs as much as: few lines move nothing."""

_CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])

_Nodes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ShiftField:
    """Displacement of the after side against the before side, at the nodes of a fixed grid.

    Attributes
    ----------
    cell_m : float
        Width of the grid, whose nodes are multiples of it.
    node : ndarray of int, n
        Codes of the nodes that lines are near, sorted.
    shift_m : ndarray, n × 2
    """

    cell_m: float
    node: _Nodes
    shift_m: Numbers

    def at(self, xy: Numbers) -> Numbers:
        """Return the displacement at places (k × 2), bilinear between nodes, 0 far from any."""
        shift = np.zeros_like(xy)
        cell, weights = _weights(xy, self.cell_m)
        for corner, weight in zip(_CORNERS, weights, strict=True):
            code = _code(cell + corner)
            place = np.minimum(np.searchsorted(self.node, code), len(self.node) - 1)
            shift += np.where(self.node[place] == code, weight, 0.0)[:, None] * self.shift_m[place]
        return shift


def aligned(before: Geometries, after: Geometries, reach_m: float) -> tuple[Geometries, Geometries]:
    """Return both sides, each moved half the way to the other by the local displacement.

    Each round pairs every sample with the nearest parallel one, and trusts the nearer pairs more.
    A place is influenced by what lies within ``(1 + CELLS_PER_REACH) * ROUNDS`` reaches of it.

    Parameters
    ----------
    before, after : ndarray of geometries
        Lines in one projected CRS in metres; null and empty ones stay so. Heights are dropped.
    reach_m : float
        Largest displacement that is looked for, in metres.
    """
    for nth in range(ROUNDS):
        old, new = (sample_lines(side, reach_m) for side in (before, after))
        cell_m, scale_m = CELLS_PER_REACH * reach_m, reach_m / 2**nth
        field = _field(
            _equations(_offsets(old, new, reach_m, 1.0), scale_m, cell_m),
            _equations(_offsets(new, old, reach_m, -1.0), scale_m, cell_m),
            cell_m,
        )
        if not len(field.node):
            break
        before, after = _moved(before, field, 0.5), _moved(after, field, -0.5)
        if np.hypot(*field.shift_m.T).max() <= SETTLED * reach_m:
            break
    return before, after


def _offsets(
    samples: LineSamples, others: LineSamples, reach_m: float, sign: float
) -> tuple[Numbers, Numbers, Numbers]:
    """Return middle, normal, and offset along it, of the samples and the two nearest to each.

    Two, so that between two lines on either side nothing is decided here.

    The offset is that of the after side against the before side if ``sign`` is 1 for samples
    before, -1 for samples after.
    """
    if not len(samples.xy) or not len(others.xy):
        return np.empty((0, 2)), np.empty((0, 2)), np.empty(0)
    here, there = (side.placed(reach_m * DIRECTION_WEIGHT) for side in (samples, others))
    # the nearest sample may lie half the reach further along its line
    bound = reach_m * np.sqrt(1 + 1 / 4)
    distance, near = cKDTree(there).query(here, k=2, distance_upper_bound=bound)
    sample, nth = np.nonzero(np.isfinite(distance))
    own, partner = samples.xy[sample], others.xy[near[sample, nth]]
    cosine, sine = samples.double_angle[sample].T
    angle = np.arctan2(sine, cosine) / 2
    normal = np.column_stack([-np.sin(angle), np.cos(angle)])
    offset = sign * ((partner - own) * normal).sum(axis=1)
    return (own + partner) / 2, normal, offset


def _equations(
    offsets: tuple[Numbers, Numbers, Numbers], scale_m: float, cell_m: float
) -> tuple[_Nodes, Numbers]:
    """Return the nodes, and the five sums of the normal equations at each (5 × nodes)."""
    middle, (a, b), offset = offsets[0], offsets[1].T, offsets[2]
    weight = 1 / (1 + (offset / scale_m) ** 2) ** 2
    cell, shares = _weights(middle, cell_m)
    number, known = pd.factorize(_code(cell))
    first = np.flatnonzero(~pd.Series(number).duplicated().to_numpy())
    terms = (a * a, a * b, b * b, a * offset, b * offset)
    codes, sums = [], []
    for corner, share in zip(_CORNERS, shares, strict=True):
        codes.append(_code(cell[first] + corner))
        sums.append([np.bincount(number, share * weight * term, len(known)) for term in terms])
    return _summed(np.concatenate(codes), np.concatenate(sums, axis=1))


def _field(one: tuple[_Nodes, Numbers], other: tuple[_Nodes, Numbers], cell_m: float) -> ShiftField:
    """Solve the equations of both sides together.

    They are summed side by side first, and then the two: so the sum is the same to the last bit
    when the sides are exchanged, and ties fall the same way.
    """
    code, sums = np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]], axis=1)
    node, (aa, ab, bb, ao, bo) = _summed(code, sums)
    matrix = np.stack([aa + _STIFFNESS, ab, ab, bb + _STIFFNESS], axis=1).reshape(-1, 2, 2)
    right = np.stack([ao, bo], axis=1)[:, :, None]
    return ShiftField(cell_m, node, np.linalg.solve(matrix, right)[:, :, 0].astype(np.float64))


def _summed(code: _Nodes, sums: Numbers) -> tuple[_Nodes, Numbers]:
    node, back = np.unique(code, return_inverse=True)
    return node, np.array([np.bincount(back, row, len(node)) for row in sums], dtype=np.float64)


def _moved(lines: Geometries, field: ShiftField, share: float) -> Geometries:
    moved: Geometries = shapely.transform(lines, lambda xy: xy + share * field.at(xy))
    return moved


def _weights(xy: Numbers, cell_m: float) -> tuple[_Nodes, list[Numbers]]:
    """Return the cell of each place and its bilinear weights at the cell's corners."""
    low = np.floor(xy / cell_m)
    right, up = (xy / cell_m - low).T
    weights: list[Numbers] = [
        (1 - right) * (1 - up), (1 - right) * up, right * (1 - up), right * up
    ]  # fmt: skip
    return low.astype(np.int64), weights


def _code(node: _Nodes) -> _Nodes:
    code: _Nodes = node[:, 0] * (1 << 31) + node[:, 1]
    return code
