"""The area that two polygons have in common, many pairs at a time, without overlaying them.

A polygon is the signed sum of the half-strips below its edges. Two half-strips have in common the
area below the lower of two straight lines, over the part of the x axis that both edges span; summed
over all pairs of edges, with signs, that is the common area. It is exact but for rounding, has no
degenerate cases, and costs as much as the two polygons have pairs of edges.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely

from cityframe.core.displacement import Flags, Geometries, Numbers, Positions

_MOST_EDGES = 64
"""With more edges on a side the overlay, whose cost grows more slowly, is quicker."""

_BATCH = 1 << 16
_SIZES = np.array([4, 8, 12, 16, 24, 32, 48, _MOST_EDGES])


def common_area(before: Geometries, after: Geometries) -> Numbers:
    """Return the area that both polygons of each pair cover, in square metres.

    Parameters
    ----------
    before, after : ndarray of valid (multi)polygons, n
        In one projected CRS in metres; neither null nor empty.
    """
    area = np.zeros(len(before))
    edges: list[Positions] = [
        shapely.get_num_coordinates(side).astype(np.intp) - 1 for side in (before, after)
    ]
    is_plain = _is_plain(before) & _is_plain(after)
    is_plain &= np.maximum(*edges) <= _MOST_EDGES
    rest = np.flatnonzero(~is_plain)
    area[rest] = shapely.area(shapely.intersection(before[rest], after[rest]))
    for rows, sizes in _batches(np.flatnonzero(is_plain), edges[0], edges[1]):
        corners = [
            _corners(side[rows], size) for side, size in zip((before, after), sizes, strict=True)
        ]
        # near the origin, or large coordinates would eat the decimals
        origin = corners[0][:, :1].copy()
        area[rows] = _common(*(_Edges.of(side - origin) for side in corners))
    # equal areas stay equal, whatever the rounding errors on the way
    return np.round(area, 9)


def _is_plain(geometry: Geometries) -> Flags:
    """Tell which are one ring."""
    return np.asarray(
        (shapely.get_type_id(geometry) == shapely.GeometryType.POLYGON)
        & (shapely.get_num_interior_rings(geometry) == 0)
    )


def _batches(
    rows: Positions, first: Positions, second: Positions
) -> Iterator[tuple[Positions, tuple[int, int]]]:
    """Yield pairs whose polygons have about as many edges, and how many these are at most."""
    size = [np.searchsorted(_SIZES, edges[rows]) for edges in (first, second)]
    kind = size[0] * len(_SIZES) + size[1]
    for one in np.unique(kind):
        sizes = int(_SIZES[one // len(_SIZES)]), int(_SIZES[one % len(_SIZES)])
        alike = rows[kind == one]
        step = max(1, _BATCH // (sizes[0] * sizes[1]))
        for start in range(0, len(alike), step):
            yield alike[start : start + step], sizes


def _corners(polygons: Geometries, edges: int) -> Numbers:
    """Return the closed rings, n × (edges + 1) × 2; the last point stands as often as is needed."""
    xy, owner = shapely.get_coordinates(polygons, return_index=True)
    counts = np.bincount(owner, minlength=len(polygons))[:, None]
    at = np.cumsum(counts)[:, None] - counts + np.minimum(np.arange(edges + 1), counts - 1)
    corners: Numbers = xy[at]
    return corners


@dataclass(frozen=True)
class _Edges:
    """The edges of n rings as lines y = level + slope · x between two x, each n × edges.

    ``weight`` is 1 for an edge above what the ring encloses, -1 for one below it.
    """

    west: Numbers
    east: Numbers
    level: Numbers
    slope: Numbers
    weight: Numbers

    @classmethod
    def of(cls, corners: Numbers) -> "_Edges":
        start, end = corners[:, :-1], corners[:, 1:]
        run, rise = np.moveaxis(end - start, 2, 0)
        # an edge upright or without length spans nothing
        slope = np.divide(rise, run, out=np.zeros_like(run), where=run != 0)
        enclosed = (run * (start[..., 1] + end[..., 1])).sum(axis=1, keepdims=True)
        return cls(
            west=np.minimum(start[..., 0], end[..., 0]),
            east=np.maximum(start[..., 0], end[..., 0]),
            level=start[..., 1] - slope * start[..., 0],
            slope=slope,
            weight=np.sign(run) * np.sign(enclosed),
        )


def _common(one: _Edges, other: _Edges) -> Numbers:
    """Return the common area of each pair of rings."""
    west = np.maximum(one.west[:, :, None], other.west[:, None])
    width = np.minimum(one.east[:, :, None], other.east[:, None])
    width -= west
    np.maximum(width, 0, out=width)
    # how far the first line lies above the second, in the west and in the east
    steeper = one.slope[:, :, None] - other.slope[:, None]
    above_west = steeper * west
    above_west += one.level[:, :, None] - other.level[:, None]
    steeper *= width
    steeper += above_west
    above_east = steeper
    # the mean height of the second line, less the mean of what the first lies below it
    height = west
    height += width / 2
    height *= other.slope[:, None]
    height += other.level[:, None]
    below = np.minimum(above_west, 0)
    below += np.minimum(above_east, 0)
    np.abs(above_west, out=above_west)
    np.abs(above_east, out=above_east)
    above_west += above_east
    above_west += np.finfo(np.float64).tiny
    below *= below
    below /= above_west
    below /= 2
    height -= below
    height *= width
    area: Numbers = np.einsum("km,kmn,kn->k", one.weight, height, other.weight, optimize=True)
    return np.maximum(area, 0)
