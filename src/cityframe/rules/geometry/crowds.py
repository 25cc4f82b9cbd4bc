"""Features on one spot: so many that each pair of them can't be looked at."""

import numpy as np
import shapely

from cityframe.rules.context import Geometries

MOST_PAIRS = 20_000_000


def require_no_crowd(geometry: Geometries) -> None:
    """Refuse features whose boxes are equal by the thousand: what pairs them would not end.

    Parameters
    ----------
    geometry : ndarray of n geometries
        None is allowed.

    Raises
    ------
    ValueError
        If features with equal bounding boxes make too many pairs; it names the largest group.
    """
    boxes = shapely.bounds(geometry)
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if len(boxes) < MOST_PAIRS**0.5:
        return
    order = np.lexsort(boxes.T)
    is_first = np.ones(len(boxes), dtype=bool)
    is_first[1:] = (boxes[order[1:]] != boxes[order[:-1]]).any(axis=1)
    first = np.flatnonzero(is_first)
    count = np.diff(np.append(first, len(boxes)))
    if (count.astype(np.float64) ** 2).sum() > MOST_PAIRS:
        most = int(count.argmax())
        west, south, east, north = boxes[order[first[most]]]
        message = (
            f"{count[most]} features on one spot ({west:g} {south:g} to {east:g} {north:g}): "
            "mend what duplicate_geometry finds first"
        )
        raise ValueError(message)
