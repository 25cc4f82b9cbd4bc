"""Where lines meet: two lines agree better if what they meet agrees too."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from cityframe.core.displacement import Geometries, Numbers, Positions

_GRID_M = 1e-3


@dataclass(frozen=True)
class Ends:
    """The two ends of each line of one side.

    Attributes
    ----------
    xy : ndarray, n × 2 × 2
        First and last point (of a multiline, of all its parts), where the line is compared.
    node : ndarray of int, n × 2
        Number of the node; ends meet that are equal to the millimetre as the line was delivered.
    degree : ndarray of int
        How many ends meet, by node.
    """

    xy: Numbers
    node: Positions
    degree: Positions

    @classmethod
    def of(cls, delivered: Geometries, compared: Geometries) -> "Ends":
        """Return the ends of lines as they were delivered and as they are compared."""
        flat = np.round(_end_points(delivered).reshape(-1, 2) / _GRID_M)
        grouped = pd.DataFrame(flat, columns=["x", "y"]).groupby(
            ["x", "y"], dropna=False, sort=False
        )
        number = grouped.ngroup().to_numpy(dtype=np.intp).astype(np.intp)
        degree: Positions = np.bincount(number).astype(np.intp)
        return cls(_end_points(compared), number.reshape(-1, 2), degree)


def neighbour_support(
    before: Positions, after: Positions, strength: Numbers, ends: tuple[Ends, Ends]
) -> Numbers:
    """Tell how far the lines that a pair meets are pairs too.

    Parameters
    ----------
    before, after : ndarray of int, k
        The pairs of lines, each once.
    strength : ndarray, k
        How far each pair is taken for one line, 0 to 1.
    ends : tuple of Ends
        Of both sides.

    Returns
    -------
    ndarray, k
        From 0 to 1, the mean of both ends: the strength of the other pairs that meet there, over
        the number of other lines that meet on the side where more do. Two free ends agree.
    """
    points = ends[0].xy[before], ends[1].xy[after]
    straight, crossed = (
        np.hypot(*(points[0] - points[1][:, turn]).transpose(2, 0, 1)).sum(axis=1)
        for turn in ([0, 1], [1, 0])
    )
    own, other = ends[0].node[before], ends[1].node[after]
    other = np.where((crossed < straight)[:, None], other[:, ::-1], other)
    _, meeting = np.unique(own * len(ends[1].degree) + other, return_inverse=True)
    meeting = meeting.ravel()
    each = np.repeat(strength, 2)
    others = np.bincount(meeting, each)[meeting] - each if len(each) else each
    expected = np.maximum(ends[0].degree[own], ends[1].degree[other]).ravel() - 1
    is_free = expected == 0
    support = np.where(is_free, 1.0, np.minimum(others / np.maximum(expected, 1), 1.0))
    mean: Numbers = support.reshape(-1, 2).mean(axis=1)
    return mean


def _end_points(lines: Geometries) -> Numbers:
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    ends = np.full((len(lines), 2, 2), np.nan)
    ends[owner[::-1], 0] = xy[::-1]
    ends[owner, 1] = xy
    return ends
