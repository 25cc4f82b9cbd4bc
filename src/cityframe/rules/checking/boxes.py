"""Bounding boxes of rows: which lie near which, and tiles of rows that lie together."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import shapely

from cityframe.rules.context import Geometries, Positions

Boxes = npt.NDArray[np.float64]
"""n × 4: west, south, east and north of each row; NaN for a row without coordinates."""

_FEW = 8
_LARGE_SHARE = 0.05


def near(
    boxes: Boxes,
    seeds: Boxes,
    reach: float,
    shapes: Callable[[Positions], Geometries] | None = None,
) -> Positions:
    """Return the rows whose box lies within reach of any seed, ascending.

    Parameters
    ----------
    boxes : n × 4
    seeds : k × 4
        Those without coordinates have nothing near them.
    reach : float
        In the unit of the boxes, along each axis; below zero nothing is near.
    shapes : callable or None
        Gives geometries with the boxes of some rows, where they are at hand.
    """
    seeds = seeds[np.isfinite(seeds).all(axis=1)]
    if reach < 0 or not len(seeds) or not len(boxes):
        return np.empty(0, dtype=np.int64)
    seeds = seeds + np.array([-reach, -reach, reach, reach])
    if len(seeds) <= _FEW:
        is_near = np.zeros(len(boxes), dtype=bool)
        for seed in seeds:
            is_near |= _meets(boxes, seed)
        return np.flatnonzero(is_near)
    candidates = np.flatnonzero(_meets(boxes, _around(seeds)))
    asked = shapely.box(*boxes[candidates].T) if shapes is None else shapes(candidates)
    # a tree over the seeds: they are fewer than the rows
    places: Geometries = np.asarray(shapely.box(*seeds.T), dtype=object)
    found, _ = shapely.STRtree(places).query(asked)
    is_near = np.zeros(len(candidates), dtype=bool)
    is_near[found] = True
    return candidates[is_near]


def tiles(boxes: Boxes, rows: Positions, size: int) -> list[Positions]:
    """Cut rows into tiles of about equal number, each of at most ``size``; each row has one tile.

    Parameters
    ----------
    boxes : n × 4
        Of all rows of the layer.
    rows : Positions
        Which of them to cut, ascending.

    Returns
    -------
    list of Positions
        Each ascending. Rows without coordinates are in the last one.
    """
    if len(rows) <= size:
        return [rows]
    middles = (boxes[rows, :2] + boxes[rows, 2:]) / 2
    placed = middles[np.isfinite(middles).all(axis=1)]
    width, height = np.ptp(placed, axis=0) if len(placed) else (0.0, 0.0)
    # NaN sorts last, and a stable order makes equal inputs give equal tiles
    order = np.argsort(middles[:, int(height > width)], kind="stable")
    pieces = -(-len(rows) // size)
    middle = len(rows) * (pieces // 2) // pieces
    left, right = np.sort(order[:middle]), np.sort(order[middle:])
    return [*tiles(boxes, rows[left], size), *tiles(boxes, rows[right], size)]


def outline(boxes: Boxes) -> Boxes:
    """Return few boxes that hold all given ones: one around the small, and each large one.

    A river in a tile of houses does not make the tile as long as the river.
    """
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if not len(boxes):
        return boxes
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    is_large = ((boxes[:, 2:] - boxes[:, :2]) > _LARGE_SHARE * np.ptp(middles, axis=0)).any(axis=1)
    if is_large.all():
        return boxes
    return np.concatenate([_around(boxes[~is_large])[np.newaxis], boxes[is_large]])


def _meets(boxes: Boxes, one: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which boxes meet one box; those without coordinates do not."""
    west, south, east, north = one
    is_met: npt.NDArray[np.bool_] = (
        (boxes[:, 0] <= east)
        & (boxes[:, 2] >= west)
        & (boxes[:, 1] <= north)
        & (boxes[:, 3] >= south)
    )
    return is_met


def _around(boxes: Boxes) -> npt.NDArray[np.float64]:
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
