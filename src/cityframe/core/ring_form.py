"""One form for a ring, wherever and whichever way round it was drawn; all exact, no library's."""

from typing import Any

import numpy as np
import numpy.typing as npt

from cityframe.core.byte_columns import Offsets
from cityframe.core.ragged_geometry import offsets_of

Units = npt.NDArray[np.int64]
Signs = npt.NDArray[np.int8]
_INT64_REACH = 2.0**62


def canonical_rings(units: Units, rings: Offsets, polygons: Offsets) -> tuple[Units, Offsets]:
    """Return rings without repeats, shells counter-clockwise, the least point first.

    Parameters
    ----------
    units : ndarray of int64, points by 2 or 3
        Whole numbers smaller than 2**62; each ring with its closing point.
    rings : ndarray of int64
        Offsets of the rings into the points; no ring is empty.
    polygons : ndarray of int64
        Offsets of the polygons into the rings, the shell first.

    Returns
    -------
    units : ndarray of int64
        Each ring without its closing point and without points equal to the one before; turned
        (shells counter-clockwise, holes clockwise by the area in x and y) and begun so that its
        points make the least sequence. A ring without area runs in the direction that gives
        the lesser one.
    rings : ndarray of int64
        Their offsets.
    """
    if len(rings) == 1:
        return units, rings
    units, rings = _without_repeats(units, rings)
    low = np.minimum.reduceat(units, rings[:-1], axis=0)
    relative = units - np.repeat(low, np.diff(rings), axis=0)
    is_shell = np.zeros(len(rings) - 1, dtype=bool)
    is_shell[polygons[:-1][np.diff(polygons) > 0]] = True
    turn = _area_signs(relative, rings) * np.where(is_shell, 1, -1)
    first, step = _starts(relative, rings, turn)
    counts = np.diff(rings)
    along = np.arange(len(units)) - np.repeat(rings[:-1], counts)
    along *= np.repeat(step, counts)
    along += np.repeat(first, counts)
    along %= np.repeat(counts, counts)
    along += np.repeat(rings[:-1], counts)
    return units.take(along, axis=0), rings


def _without_repeats(units: Units, rings: Offsets) -> tuple[Units, Offsets]:
    starts, closing = rings[:-1], rings[1:] - 1
    is_kept = np.ones(len(units), dtype=bool)
    is_kept[1:] = (units[1:] != units[:-1]).any(axis=1)
    # the first comes after the last that is no closing point
    is_kept[starts] = (units[starts] != units[closing - 1]).any(axis=1)
    is_kept[closing] = False
    counts = np.add.reduceat(is_kept, starts, dtype=np.int64)
    # all points in one place
    is_kept[starts[counts == 0]] = True
    return units.compress(is_kept, axis=0), offsets_of(np.maximum(counts, 1))


def _area_signs(relative: Units, rings: Offsets) -> Signs:
    """Return 1 for a ring that runs counter-clockwise, -1 for clockwise, 0 without area."""
    x, y = np.ascontiguousarray(relative[:, 0]), np.ascontiguousarray(relative[:, 1])
    starts, counts = rings[:-1], np.diff(rings)
    signs = np.sign(_twice_area(x, y, rings))
    # no product or sum on the way is larger than this
    reach = 2.0 * counts * np.maximum.reduceat(x, starts) * np.maximum.reduceat(y, starts)
    for ring in np.flatnonzero(reach >= _INT64_REACH):
        part = slice(rings[ring], rings[ring + 1])
        exact = _twice_area(
            x[part].astype(object), y[part].astype(object), np.array([0, counts[ring]])
        )
        signs[ring] = (exact[0] > 0) - (exact[0] < 0)
    return np.asarray(signs, dtype=np.int8)


def _twice_area(x: npt.NDArray[Any], y: npt.NDArray[Any], rings: Offsets) -> npt.NDArray[Any]:
    starts, last = rings[:-1], rings[1:] - 1
    terms = np.empty_like(x)
    terms[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
    terms[last] = x[last] * y[starts] - x[starts] * y[last]
    return np.add.reduceat(terms, starts)


def _starts(relative: Units, rings: Offsets, turn: Signs) -> tuple[Offsets, Signs]:
    """Return the place in each ring where its least sequence starts, and the step along it."""
    starts, counts = rings[:-1], np.diff(rings)
    key = _ranks(relative)
    is_least = key == np.repeat(np.minimum.reduceat(key, starts), counts)
    least = np.flatnonzero(is_least)
    passes = np.add.reduceat(is_least, starts, dtype=np.int64)
    first = least[offsets_of(passes)[:-1]] - starts
    step = np.where(turn < 0, -1, 1).astype(np.int8)
    for ring in np.flatnonzero((passes > 1) | (turn == 0)):
        start, end = rings[ring], rings[ring + 1]
        steps = (1, -1) if turn[ring] == 0 else (int(step[ring]),)
        first[ring], step[ring] = _least_sequence(key[start:end], is_least[start:end], steps)
    return first, step


def _least_sequence(
    key: Units, is_least: npt.NDArray[np.bool_], steps: tuple[int, ...]
) -> tuple[int, int]:
    count, places = len(key), np.flatnonzero(is_least)
    candidates = [
        (key.take(first + step * np.arange(count), mode="wrap").tolist(), int(first), step)
        for step in steps
        for first in places
    ]
    return min(candidates)[1:]


def _ranks(relative: Units) -> Units:
    """Return numbers that order the points of a ring by x, then y, then height."""
    bits = [int(axis.max(initial=0)).bit_length() for axis in relative.T]
    if sum(bits) < 64:
        ranks = relative[:, 0].copy()
        for axis, width in zip(relative.T[1:], bits[1:], strict=True):
            ranks <<= width
            ranks |= axis
        return ranks
    order = np.lexsort(relative.T[::-1])
    is_next = np.append(False, (relative[order][1:] != relative[order][:-1]).any(axis=1))
    ranks = np.empty(len(relative), dtype=np.int64)
    ranks[order] = np.cumsum(is_next)
    return ranks
