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

    def short_segments(self, limit: float) -> tuple[Positions, Floats]:
        """Return the segments up to a length: the vertex that begins each, and its length.

        The next vertex ends a segment. Lengths and limit are in the unit of the coordinates.
        """
        with np.errstate(invalid="ignore"):  # infinite coordinates are no short way apart
            steps = np.abs(np.diff(self.xy, axis=0))
        # most segments are settled by their extent; a length is asked of the few others
        start = np.flatnonzero((steps[:, 0] <= limit) & (steps[:, 1] <= limit))
        start = start[self.path[start] == self.path[start + 1]]
        length = np.hypot(steps[start, 0], steps[start, 1])
        is_short = length <= limit
        return start[is_short], length[is_short]

    def without_repeats(self) -> "Vertices":
        """Return them without vertices that stand exactly where the one before stands."""
        start, _ = self.short_segments(0.0)
        if not len(start):
            return self
        keep = np.ones(len(self.xy), dtype=bool)
        keep[start + 1] = False
        return Vertices(self.xy[keep], self.path[keep], self.row, self.is_ring)

    def corners(self, among: Positions | None = None) -> tuple[Positions, Positions, Positions]:
        """Return the vertices with two neighbours along the path: before, corner, after.

        The ends of a line are none; the first vertex of a ring is one, its last is not.

        Parameters
        ----------
        among : sorted positions or None
            Only these vertices are looked at; None for all.
        """
        corner = np.arange(len(self.xy)) if among is None else among
        bounds = np.flatnonzero(np.diff(self.path))
        first, last = np.append(0, bounds + 1), np.append(bounds, len(self.xy) - 1)
        path = np.searchsorted(first, corner, side="right") - 1
        is_first, is_last = corner == first[path], corner == last[path]
        is_closed = self.is_ring[self.path[corner]] & (last[path] - first[path] > 1)
        before = np.where(is_first, last[path] - 1, corner - 1)
        is_corner = ~is_last & (~is_first | is_closed)
        return before[is_corner], corner[is_corner], corner[is_corner] + 1

    def first_of_paths(self) -> Positions:
        """Return the first vertex of each ring and line."""
        if not len(self.xy):
            return np.empty(0, dtype=np.int64)
        return np.append(0, np.flatnonzero(np.diff(self.path)) + 1)

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
    # a geometry of one ring or line is read as it stands: taking it apart costs ten times as much
    is_single = shapely.get_num_geometries(geometry) == 1
    is_plain_line = is_single & (shapely.get_dimensions(geometry) == 1)
    is_plain_area = _is_plain_area(geometry) & is_single
    is_plain = is_plain_line | is_plain_area
    plain = np.flatnonzero(is_plain)
    other, other_row, other_is_ring = _taken_apart(geometry, np.flatnonzero(~is_plain))
    xy, path = shapely.get_coordinates(
        np.concatenate([geometry[plain], other]) if len(other) else geometry[plain],
        return_index=True,
    )
    return Vertices(
        xy=xy,
        path=path,
        row=np.concatenate([plain, other_row]),
        is_ring=np.concatenate([is_plain_area[plain], other_is_ring]),
    )


def _is_plain_area(geometry: Geometries) -> npt.NDArray[np.bool_]:
    """Return where a geometry is a polygon, or a multi-polygon, whose first part has no hole."""
    kind = shapely.get_type_id(geometry)
    is_multi = kind == shapely.GeometryType.MULTIPOLYGON
    polygons = geometry
    if is_multi.any():
        polygons = geometry.copy()
        polygons[is_multi] = shapely.get_geometry(geometry[is_multi], 0)
    is_area = is_multi | (kind == shapely.GeometryType.POLYGON)
    plain: npt.NDArray[np.bool_] = is_area & (shapely.get_num_interior_rings(polygons) == 0)
    return plain


def _taken_apart(
    geometry: Geometries, rows: Positions
) -> tuple[Geometries, Positions, npt.NDArray[np.bool_]]:
    """Return the lines and rings of some rows, the row of each, and whether it is a ring."""
    parts, part_row = shapely.get_parts(geometry[rows], return_index=True)
    is_area = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    is_line = shapely.get_dimensions(parts) == 1
    rings, ring_part = shapely.get_rings(parts[is_area], return_index=True)
    paths = np.concatenate([parts[is_line], rings])
    row = rows[np.concatenate([part_row[is_line], part_row[is_area][ring_part]])]
    return paths, row, np.arange(len(paths)) >= np.count_nonzero(is_line)
