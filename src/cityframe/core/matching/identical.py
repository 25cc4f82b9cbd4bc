"""Find which of two sets of records have the same geometry, without overlaying any."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.core.digest import geometry_bytes
from cityframe.core.displacement import Flags, Geometries, Positions
from cityframe.core.matching.labels import UNMATCHED
from cityframe.model.layer import Layer

_BATCH = 100_000


def match_identical(before: Geometries, after: Geometries, layer: Layer) -> Positions:
    """Pair the geometries that are the same on the layer's precision grid.

    The same are two drawings of one geometry, as for the digest: wherever a ring starts and
    whichever way round it runs, repeated points or not. Boxes on the grid tell who could be the
    same, by a hash that lives no longer than this call; what is paired is compared in full.

    Parameters
    ----------
    before, after : ndarray of geometries, n and m
        In the layer's CRS; null and empty ones match nothing.
    layer : Layer
        Gives the precision, and whether heights count.

    Returns
    -------
    ndarray of int, m
        Position of the counterpart of each geometry of ``after``, else `UNMATCHED`. What shares
        its box with another of its side is left out: place alone does not tell twins apart.

    Raises
    ------
    IntegrityError
        If geometries to be compared in full are collections or curves, or have a coordinate out
        of all reach.
    """
    position = np.full(len(after), UNMATCHED, dtype=np.intp)
    (old, old_code), (new, new_code) = _coded(before, after, layer.precision_m)
    if not len(old) or not len(new):
        return position
    codes = int(max(old_code.max(), new_code.max())) + 1
    held, asked = (np.bincount(code, minlength=codes) for code in (old_code, new_code))
    is_alone = (held == 1) & (asked == 1)

    holder = np.empty(codes, dtype=np.intp)
    holder[old_code] = old
    at, partner = new[is_alone[new_code]], holder[new_code[is_alone[new_code]]]
    same = _same(before, partner, after, at, layer)
    position[at[same]] = partner[same]
    return position


def _coded(
    before: Geometries, after: Geometries, precision_m: float
) -> list[tuple[Positions, npt.NDArray[np.int64]]]:
    """Return for each side what has a box, and numbers that are equal where the boxes are."""
    boxes = [
        np.round(shapely.bounds(side).reshape(-1, 4) / precision_m) for side in (before, after)
    ]
    placed = [np.flatnonzero(np.isfinite(box).all(axis=1)) for box in boxes]
    # two boxes of one number cost a comparison in full, never a wrong pair
    numbers = [_mixed(box[at]) for box, at in zip(boxes, placed, strict=True)]
    codes = pd.factorize(np.concatenate(numbers))[0].astype(np.int64)
    return [(placed[0], codes[: len(placed[0])]), (placed[1], codes[len(placed[0]) :])]


def _mixed(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Return a number for each box (steps of splitmix64, one a side)."""
    # adding zero turns -0.0 into 0.0
    sides = np.ascontiguousarray((boxes + 0.0).T).view(np.uint64)
    mixed = np.zeros(sides.shape[1], dtype=np.uint64)
    for side in sides:
        mixed ^= side
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _same(
    before: Geometries, one: Positions, after: Geometries, other: Positions, layer: Layer
) -> Flags:
    """Tell which pairs are drawings of one geometry."""
    same = np.zeros(len(one), dtype=bool)
    for start in range(0, len(one), _BATCH):
        batch = slice(start, start + _BATCH)
        old, new = before[one[batch]], after[other[batch]]
        same[batch] = shapely.equals_identical(old, new)
        rest = np.flatnonzero(~same[batch])
        same[start + rest] = _forms(old[rest], layer) == _forms(new[rest], layer)
    return same


def _forms(geometry: Geometries, layer: Layer) -> npt.NDArray[np.object_]:
    """Return the canonical bytes of each geometry."""
    return np.fromiter(geometry_bytes(geometry, layer), dtype=object, count=len(geometry))
