"""Whether the accuracy of two surveys explains the difference between their geometries.

=========  ========================================================================
agreement  meaning
=========  ========================================================================
equal      the same on the layer's precision grid, or both without geometry
within     RMS ≤ 2 σd and Hausdorff ≤ 3 σd, the same direction (lines) and heights;
           or so once a displacement of the whole by at most σd is undone
moved      within, once a larger translation is undone, of more than 2 σd: what is
           out of tolerance by its place alone; a point beyond 3 σd
reshaped   anything else, a geometry on one side only too
=========  ========================================================================

Of many vertices with errors some lie beyond 3 σd. One control point displaces a whole feature by
about σd: with that undone, few of the unchanged are left over, and none is taken for moved.

Geometries are arrays of the same length, in one projected CRS in metres.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cityframe.core.digest import geometry_bytes
from cityframe.core.displacement import (
    Flags,
    Geometries,
    Numbers,
    centroid_shift,
    height_difference,
    outline_displacement,
    rms_bound,
    translation,
    vertex_displacement,
)
from cityframe.model.layer import Layer

_BATCH = 50_000


class Agreement(StrEnum):
    """How two geometries of one feature agree; the module's table defines it."""

    EQUAL = "equal"
    WITHIN = "within"
    MOVED = "moved"
    RESHAPED = "reshaped"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What the accuracies of two surveys explain.

    Attributes
    ----------
    sigma_m : float
        σd, the mean error of the difference between the two surveys of one point, in metres.
    """

    sigma_m: float

    @classmethod
    def between(cls, first_m: float, second_m: float) -> "Tolerance":
        """Return the tolerance for two mean errors: σd = √(m₁² + m₂²)."""
        return cls(float(np.hypot(first_m, second_m)))

    @property
    def rms_m(self) -> float:
        """Largest root mean square displacement of an outline: 2 σd."""
        return 2 * self.sigma_m

    @property
    def limit_m(self) -> float:
        """Largest displacement anywhere (Hausdorff distance): 3 σd."""
        return 3 * self.sigma_m


def compare_geometry(
    before: Geometries, after: Geometries, layer: Layer, tolerance: Tolerance
) -> pd.DataFrame:
    """Tell how two geometries of each feature agree and how the second is displaced.

    Returns
    -------
    DataFrame, n rows
        ``agreement`` (values of `Agreement`), ``dx_m``, ``dy_m`` (the translation; 0 where equal,
        NaN where one side has no geometry).
    """
    agreement = np.full(len(before), Agreement.RESHAPED.value, dtype=object)
    blank = [shapely.is_missing(side) | shapely.is_empty(side) for side in (before, after)]
    equal = _equal(before, after, layer)
    agreement[equal] = Agreement.EQUAL.value
    shift = np.where(equal[:, None], 0.0, np.full((len(before), 2), np.nan))
    rest = np.flatnonzero(~equal & ~blank[0] & ~blank[1])
    if len(rest):
        old, new = before[rest], after[rest]
        shift[rest] = translation(old, new)
        agreement[rest] = _agreement_of_unequal(old, new, shift[rest], layer, tolerance)
    return pd.DataFrame({"agreement": agreement, "dx_m": shift[:, 0], "dy_m": shift[:, 1]})


def within_tolerance(
    before: Geometries, after: Geometries, tolerance: Tolerance, *, has_z: bool = False
) -> Flags:
    """Tell where the accuracy of the two surveys explains the difference.

    Parameters
    ----------
    before, after : ndarray of geometries, n
        Neither null nor empty.
    has_z : bool
        Whether heights count too; they must agree within 3 σd.

    Returns
    -------
    ndarray of bool, n
        RMS ≤ 2 σd and Hausdorff ≤ 3 σd between the outlines (points: distance ≤ 3 σd); a line
        drawn the other way round is never within.
    """
    agrees = np.empty(len(before), dtype=bool)
    for start in range(0, len(before), _BATCH):
        batch = slice(start, start + _BATCH)
        agrees[batch] = _within(before[batch], after[batch], tolerance, has_z=has_z)
    return agrees


def _within(before: Geometries, after: Geometries, tolerance: Tolerance, *, has_z: bool) -> Flags:
    # a bound of the Hausdorff distance from below: boxes further apart need no sampling
    boxes = np.abs(shapely.bounds(before) - shapely.bounds(after)).max(axis=1)
    agrees: Flags = boxes <= tolerance.limit_m
    agrees &= ~_is_reversed(before, after, tolerance)
    if has_z:
        agrees &= height_difference(before, after) <= tolerance.limit_m
    is_point = (shapely.get_type_id(before) == 0) & (shapely.get_type_id(after) == 0)
    points = np.flatnonzero(agrees & is_point)
    agrees[points] = shapely.distance(before[points], after[points]) <= tolerance.limit_m
    # and two from above: vertices that agree one by one, or do so on the average
    outlines = np.flatnonzero(agrees & ~is_point)
    furthest = vertex_displacement(before[outlines], after[outlines])
    is_open = furthest > tolerance.rms_m
    near = np.flatnonzero(is_open & (furthest <= tolerance.limit_m))
    bound = rms_bound(before[outlines[near]], after[outlines[near]])
    is_open[near] = bound > tolerance.rms_m
    sampled = outlines[is_open]
    rms, hausdorff = outline_displacement(before[sampled], after[sampled], tolerance.rms_m)
    agrees[sampled] = (rms <= tolerance.rms_m) & (hausdorff <= tolerance.limit_m)
    return agrees


def _equal(before: Geometries, after: Geometries, layer: Layer) -> Flags:
    pairs = zip(geometry_bytes(before, layer), geometry_bytes(after, layer), strict=True)
    return np.fromiter((one == other for one, other in pairs), dtype=bool, count=len(before))


def _agreement_of_unequal(
    before: Geometries, after: Geometries, shift: Numbers, layer: Layer, tolerance: Tolerance
) -> npt.NDArray[np.object_]:
    within = within_tolerance(before, after, tolerance, has_z=layer.has_z)
    is_moved = ~within & (shapely.get_type_id(before) == 0) & (shapely.get_type_id(after) == 0)
    for best in (shift, centroid_shift(before, after)):
        rest = np.flatnonzero(~within & ~is_moved)
        brought = _translated(before[rest], best[rest])
        fits = rest[within_tolerance(brought, after[rest], tolerance, has_z=layer.has_z)]
        length = np.hypot(*best[fits].T)
        within[fits[length <= tolerance.sigma_m]] = True
        is_moved[fits[length > tolerance.rms_m]] = True
    agreement = np.full(len(before), Agreement.RESHAPED.value, dtype=object)
    agreement[is_moved] = Agreement.MOVED.value
    agreement[within] = Agreement.WITHIN.value
    return agreement


def _translated(geometry: Geometries, shift: Numbers) -> Geometries:
    has_z = bool(shapely.has_z(geometry).any())
    coordinates, owner = shapely.get_coordinates(geometry, include_z=has_z, return_index=True)
    coordinates[:, :2] += shift[owner]
    moved: Geometries = shapely.set_coordinates(geometry.copy(), coordinates)
    return moved


def _is_reversed(before: Geometries, after: Geometries, tolerance: Tolerance) -> Flags:
    """Tell which lines run the other way: their ends lie nearer crosswise.

    Of a line that ends within tolerance of its start nobody can tell it by the ends.
    """
    result = np.zeros(len(before), dtype=bool)
    lines = np.flatnonzero(
        (shapely.get_dimensions(before) == 1) & (shapely.get_dimensions(after) == 1)
    )
    if not len(lines):
        return result
    (old_start, old_end), (new_start, new_end) = _ends(before[lines]), _ends(after[lines])

    def apart(one: Numbers, other: Numbers) -> Numbers:
        distance: Numbers = np.hypot(*(one - other).T)
        return distance

    along = apart(old_start, new_start) + apart(old_end, new_end)
    across = apart(old_start, new_end) + apart(old_end, new_start)
    result[lines] = (across < along) & (apart(old_start, old_end) > tolerance.limit_m)
    return result


def _ends(lines: Geometries) -> tuple[Numbers, Numbers]:
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    each = np.arange(len(lines))
    return xy[np.searchsorted(owner, each)], xy[np.searchsorted(owner, each, side="right") - 1]
