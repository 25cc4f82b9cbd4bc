"""The vertices of all rings and lines of a layer in flat arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from cityframe.rules.context import Geometries, Positions

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Vertices:
    """The vertices of many rings and lines, one after the other.

    Attributes
    ----------
    xy : ndarray of shape (v, 2)
    path : ndarray of shape (v,)
        Number of the ring or line, from 0, rising.
    row : ndarray of shape (p,)
        Position in the layer of each ring's or line's feature.
    is_ring : ndarray of shape (p,)
        Whether it is a ring; its last vertex repeats the first.
    """

    xy: Floats
    path: Positions
    row: Positions
    is_ring: npt.NDArray[np.bool_]

    @property
    def segment_start(self) -> Positions:
        """Vertices that begin a segment; the next vertex ends it."""
        return np.flatnonzero(self.path[:-1] == self.path[1:])

    @property
    def segment_length(self) -> Floats:
        """Length of each segment of `segment_start`, in the unit of the coordinates."""
        start = self.segment_start
        return _length(self.xy[start + 1] - self.xy[start])

    def without_repeats(self) -> "Vertices":
        """Return them without vertices that stand exactly where the one before stands."""
        start = self.segment_start
        keep = np.ones(len(self.xy), dtype=bool)
        keep[start[self.segment_length == 0] + 1] = False
        return Vertices(self.xy[keep], self.path[keep], self.row, self.is_ring)

    def corners(self) -> tuple[Positions, Positions, Positions]:
        """Return the vertices with two neighbours along the path: before, corner, after.

        The ends of a line are none; the first vertex of a ring is one, its last is not.
        """
        size = len(self.xy)
        vertex = np.arange(size)
        is_first = np.ones(size, dtype=bool)
        is_first[1:] = self.path[1:] != self.path[:-1]
        is_last = np.roll(is_first, -1) if size else is_first
        first, last = np.flatnonzero(is_first), np.flatnonzero(is_last)
        before = vertex - 1
        on_ring = self.is_ring[self.path[first]] & (last - first > 1)
        before[first[on_ring]] = last[on_ring] - 1
        is_corner = ~is_last
        is_corner[first[~on_ring]] = False
        corner = vertex[is_corner]
        return before[corner], corner, corner + 1

    def row_of(self, vertex: Positions) -> Positions:
        """Return the position in the layer of the feature of each vertex."""
        rows: Positions = self.row[self.path[vertex]]
        return rows


def vertices(geometry: Geometries) -> Vertices:
    """Return the vertices of the lines and rings in the geometries; points have none.

    Parameters
    ----------
    geometry : ndarray of n geometries
        Null, empty and invalid ones are allowed.
    """
    parts, part_row = shapely.get_parts(geometry, return_index=True)
    is_area = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    is_line = shapely.get_dimensions(parts) == 1
    rings, ring_part = shapely.get_rings(parts[is_area], return_index=True)
    paths = np.concatenate([parts[is_line], rings])
    row = np.concatenate([part_row[is_line], part_row[is_area][ring_part]])
    xy, path = shapely.get_coordinates(paths, return_index=True)
    is_ring = np.arange(len(paths)) >= np.count_nonzero(is_line)
    return Vertices(xy=xy, path=path, row=row, is_ring=is_ring)


def _length(steps: Floats) -> Floats:
    # hypot of NaN and infinite coordinates is NaN or infinite and compares false
    length: Floats = np.hypot(steps[:, 0], steps[:, 1])
    return length
