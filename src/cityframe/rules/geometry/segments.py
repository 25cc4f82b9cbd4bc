"""The segments of lines and of the borders of polygons, and which of them match."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.rules.context import Geometries, Positions
from cityframe.rules.geometry.vertices import vertices

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Segments:
    """Segments of many features, one after the other.

    Attributes
    ----------
    start, end : ndarray of shape (s, 2)
    row : ndarray of shape (s,)
        Position of each one's feature.
    """

    start: Floats
    end: Floats
    row: Positions

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, chosen: Flags | Positions) -> "Segments":
        return Segments(self.start[chosen], self.end[chosen], self.row[chosen])

    @property
    def lines(self) -> Geometries:
        """The segments as lines, s."""
        pairs = np.stack([self.start, self.end], axis=1)
        return np.asarray(shapely.linestrings(pairs), dtype=object)


def segments(geometry: Geometries) -> Segments:
    """Return the segments of lines and rings without those of no length; points have none.

    Parameters
    ----------
    geometry : ndarray of n geometries
        None is allowed.
    """
    found = vertices(geometry).without_repeats()
    start = np.flatnonzero(found.path[:-1] == found.path[1:])
    return Segments(found.xy[start], found.xy[start + 1], found.row_of(start))


def numbered(*groups: Segments) -> tuple[Positions, ...]:
    """Return a number for each segment, equal where both ends are equal, in either direction."""
    ends = [np.concatenate([group.start, group.end]) for group in groups]
    # adding zero turns -0.0 into 0.0; a complex number is a point that pandas can number
    flat = np.ascontiguousarray(np.concatenate([np.empty((0, 2)), *ends]) + 0.0)
    point, names = pd.factorize(flat.view(np.complex128).ravel())
    sizes = np.cumsum([len(both) for both in ends])
    numbers = []
    for both, group in zip(np.split(point, sizes[:-1]), groups, strict=True):
        one, two = both[: len(group)], both[len(group) :]
        numbers.append(np.minimum(one, two) * max(len(names), 1) + np.maximum(one, two))
    return tuple(numbers)
