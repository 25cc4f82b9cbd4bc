"""Find which of two sets of records speak of the same feature by where they are."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from cityframe.core.agreement import Tolerance, within_tolerance
from cityframe.core.displacement import Flags, Geometries

PLAUSIBLE_M = 50.0
PLAUSIBLE_SIZES = 5.0
_NEIGHBOURS = 8


def match_place(
    current: Geometries,
    incoming: Geometries,
    tolerance: Tolerance,
    *,
    has_z: bool = False,
    has_label: tuple[Flags, Flags] | None = None,
) -> pd.DataFrame:
    """Find the pairs whose geometries agree within tolerance.

    Parameters
    ----------
    current, incoming : ndarray of geometries
        In one projected CRS in metres; null and empty ones match nothing.
    has_z : bool
        Whether heights must agree too.
    has_label : tuple of ndarray of bool
        Which current and which incoming records have a label: two that have one are no pair.

    Returns
    -------
    DataFrame, k rows
        ``incoming``, ``current`` (positions), ``is_ambiguous`` (a side has another partner, or
        more neighbours than were looked at); sorted.
    """
    pairs, is_crowded = _near_pairs(current, incoming, tolerance.limit_m)
    if has_label is not None:
        may_pair = ~(has_label[0][pairs["current"]] & has_label[1][pairs["incoming"]])
        pairs, is_crowded = pairs[may_pair], is_crowded[may_pair]
    agrees = within_tolerance(
        current[pairs["current"]], incoming[pairs["incoming"]], tolerance, has_z=has_z
    )
    pairs, is_crowded = pairs[agrees].reset_index(drop=True), is_crowded[agrees]
    has_rival = pairs["incoming"].duplicated(keep=False) | pairs["current"].duplicated(keep=False)
    return pairs.assign(is_ambiguous=has_rival | is_crowded)


def is_implausible(before: Geometries, after: Geometries) -> Flags:
    """Tell which pairs are too far apart to be one feature, as when an id was used again.

    Too far: their centroids lie further apart than `PLAUSIBLE_M` and than `PLAUSIBLE_SIZES` times
    the diagonal of the larger one, so that they can't touch. Null or empty is never implausible.
    """
    distance = shapely.distance(shapely.centroid(before), shapely.centroid(after))
    reach = np.fmax(PLAUSIBLE_M, PLAUSIBLE_SIZES * np.fmax(_diagonal(before), _diagonal(after)))
    return np.asarray(distance > reach, dtype=bool)


def _near_pairs(
    current: Geometries, incoming: Geometries, distance_m: float
) -> tuple[pd.DataFrame, Flags]:
    """Return the pairs whose boxes agree within a distance, and which have too many rivals.

    Each side of the boxes of two geometries differs by at most their Hausdorff distance, so boxes
    are points in four dimensions, near in the maximum norm. Only the nearest few of each are
    looked at: with more, nobody can tell them apart by place.
    """
    boxes = [shapely.bounds(side).reshape(-1, 4) for side in (current, incoming)]
    placed = [np.flatnonzero(np.isfinite(box).all(axis=1)) for box in boxes]
    trees = [cKDTree(box[at]) for box, at in zip(boxes, placed, strict=True)]
    found = []
    for side, other in ((1, 0), (0, 1)):
        if not len(placed[0]) or not len(placed[1]):
            continue
        _, near = trees[other].query(
            trees[side].data,
            k=_NEIGHBOURS,
            p=np.inf,
            distance_upper_bound=np.nextafter(distance_m, np.inf),
        )
        is_near = near < len(placed[other])
        row, column = np.nonzero(is_near)
        own, partner = placed[side][row], placed[other][near[row, column]]
        columns = (own, partner) if side else (partner, own)
        found.append(np.column_stack([*columns, is_near.all(axis=1)[row]]))
    table = np.concatenate(found) if found else np.empty((0, 3), dtype=np.intp)
    pairs = pd.DataFrame(table, columns=["incoming", "current", "is_crowded"])
    pairs = pairs.groupby(["incoming", "current"]).max().reset_index()
    return pairs[["incoming", "current"]], pairs["is_crowded"].to_numpy(dtype=bool)


def _diagonal(geometry: Geometries) -> npt.NDArray[np.float64]:
    west, south, east, north = shapely.bounds(geometry).T
    diagonal: npt.NDArray[np.float64] = np.hypot(east - west, north - south)
    return diagonal
