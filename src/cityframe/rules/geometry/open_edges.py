"""Which polygons of a coverage have an edge that no second polygon shares."""

import numpy as np
import numpy.typing as npt
import shapely

from cityframe.rules.context import Geometries, Positions
from cityframe.rules.geometry.vertices import vertices

Keys = npt.NDArray[np.uint64]

_TABLE_BITS = 22
_ONE = np.uint64(1)


def rows_at_open_edges(geometry: Geometries, *, or_touching: bool) -> Positions:
    """Return the polygons with open edges in a coverage, sorted.

    An edge is open unless exactly two polygons have it, vertex for vertex, one on each side. So
    each polygon beside a gap or at the outer border is there, and of two that overlap one at least.

    Parameters
    ----------
    geometry : ndarray of n geometries
        Polygons; None is allowed.
    or_touching : bool
        Whether polygons that touch an open edge in a vertex only are returned too.

    Notes
    -----
    Vertices and edges are told apart by 64-bit keys. That two of sixteen million edges share one by
    chance has a probability of 1 to 100,000, and would hide an open edge.
    """
    # now each edge has its polygon on the left
    found = vertices(np.asarray(shapely.orient_polygons(geometry), dtype=object))
    point = _keys(found.xy)
    is_edge = found.path[:-1] == found.path[1:]
    # the sum does not ask which end comes first; the last bit says it
    edge = ((point[:-1] + point[1:]) << _ONE) | (point[:-1] < point[1:])
    is_open = is_edge & _is_among(edge >> _ONE, _unmatched(edge[is_edge]))
    at = np.flatnonzero(is_open)
    if not or_touching:
        return np.unique(found.row_of(at))
    ends = np.unique(np.concatenate([point[at], point[at + 1]]))
    return np.unique(found.row_of(np.flatnonzero(_is_among(point, ends))))


def _keys(xy: npt.NDArray[np.float64]) -> Keys:
    """Return a key for each vertex: the bits of its coordinates, mixed."""
    # adding zero turns -0.0 into 0.0
    x, y = (np.ascontiguousarray(xy[:, side] + 0.0).view(np.uint64) for side in (0, 1))
    return _mixed(_mixed(x) + y)


def _mixed(keys: Keys) -> Keys:
    """Spread the bits of keys (the finalizer of SplitMix64, Steele et al. 2014)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(keys ^ (keys >> np.uint64(31)), dtype=np.uint64)


def _unmatched(edges: Keys) -> Keys:
    """Return the edges that do not stand exactly once in each direction, sorted and without it."""
    edges = np.sort(edges)
    ordered = edges >> _ONE
    is_first = np.ones(len(ordered), dtype=bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    first = np.flatnonzero(is_first)
    count = np.diff(np.append(first, len(ordered)))
    is_matched = (count == 2) & (edges[first] != edges[first + count - 1])
    few: Keys = ordered[first[~is_matched]]
    return few


def _is_among(keys: Keys, few: Keys) -> npt.NDArray[np.bool_]:
    """Return which keys are among a few sorted ones."""
    # a table by the low bits settles nearly all keys without a search
    table = np.zeros(1 << _TABLE_BITS, dtype=bool)
    low = np.uint64((1 << _TABLE_BITS) - 1)
    table[(few & low).astype(np.int64)] = True
    there: npt.NDArray[np.bool_] = table[(keys & low).astype(np.int64)]
    at = np.flatnonzero(there)
    place = np.minimum(np.searchsorted(few, keys[at]), max(len(few) - 1, 0))
    there[at] = few[place] == keys[at]
    return there
