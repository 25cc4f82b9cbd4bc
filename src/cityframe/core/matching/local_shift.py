"""How far two surveys lie apart as a whole, place by place.

Imagery and maps of different origin are often displaced by several metres against each other,
alike for all features around. What all share is no difference of a feature: it is undone before
overlaps are measured.
"""

import numpy as np
import pandas as pd
import shapely

from cityframe.core.displacement import Geometries, Numbers, Positions

CELL_M = 250.0
"""Side of a cell of the fixed grid, anchored at the origin of the CRS. A shift is estimated from
the cell and its 8 neighbours: 750 m, a few streets, within which imagery is displaced alike."""

MIN_PAIRS = 5
"""Fewer pairs say nothing of the surroundings: five that agree by chance are unlikely."""

ALIKE = 0.7
"""Sizes that agree this well, smaller over larger, may be one feature drawn twice."""

MIN_SIGNIFICANCE = 3.0
"""A shift smaller than so many of its own standard errors is taken for none."""

_MEDIAN_ERROR = 1.2533
"""Standard error of a median over that of a mean, √(π/2)."""

_ROW = 1 << 31
"""Cells are numbered column by column, more rows than any projected CRS has."""


def local_shift(
    before: Geometries, after: Geometries, pairs: tuple[Positions, Positions], reach_m: float
) -> tuple[Numbers, Numbers]:
    """Estimate by how much each feature's surroundings are displaced from ``before`` to ``after``.

    Confident pairs are those of like size whose centroids lie within reach and that have no other
    such partner. The shift is their median, of each axis, over the cell and its 8 neighbours: up to
    half of them may be wrong. The grid is at fixed places, so tiles with a margin of two cells
    beyond the reach give what the whole gives.

    Parameters
    ----------
    before, after : ndarray of polygons, n and m
        In one projected CRS in metres; neither null nor empty.
    pairs : tuple of ndarray of int
        Positions of the pairs that may be one feature.

    Returns
    -------
    tuple of ndarray, n × 2 and m × 2
        The shift around each feature of ``before`` and of ``after``, in metres; 0 where there is
        none that can be told.
    """
    centres = [_centres(side) for side in (before, after)]
    first, second = _confident(before, after, pairs, centres, reach_m)
    displacement = centres[1][second] - centres[0][first]
    shifts = _shift_by_cell(_cells((centres[0][first] + centres[1][second]) / 2), displacement)
    return _at(shifts, centres[0]), _at(shifts, centres[1])


def moved(geometry: Geometries, by: Numbers) -> Geometries:
    """Return geometries, each translated by its own row of ``by`` (n × 2), as new ones."""
    result = geometry.copy()
    rows = np.flatnonzero((by != 0).any(axis=1))
    if len(rows):
        xy, owner = shapely.get_coordinates(geometry[rows], return_index=True)
        # a copy of the array holds the same geometries, and these do not change
        flat = geometry[rows]
        if shapely.has_z(flat).any():
            flat = shapely.force_2d(flat)
        result[rows] = shapely.set_coordinates(flat, xy + by[rows][owner])
    return result


def _confident(
    before: Geometries,
    after: Geometries,
    pairs: tuple[Positions, Positions],
    centres: list[Numbers],
    reach_m: float,
) -> tuple[Positions, Positions]:
    """Return the pairs of like size within reach that are each other's only ones."""
    first, second = pairs
    near = np.hypot(*(centres[1][second] - centres[0][first]).T) <= reach_m
    first, second = first[near], second[near]
    sizes = [_sizes(side) for side in (before, after)]
    small = np.minimum(sizes[0][first], sizes[1][second])
    alike = (small >= ALIKE * np.maximum(sizes[0][first], sizes[1][second])).all(axis=1)
    first, second = first[alike], second[alike]
    is_only = np.bincount(first, minlength=len(before))[first] == 1
    is_only &= np.bincount(second, minlength=len(after))[second] == 1
    return first[is_only], second[is_only]


def _shift_by_cell(cell: Positions, displacement: Numbers) -> pd.DataFrame:
    """Return ``dx``, ``dy`` by cell, of the pairs in it and its neighbours, where significant."""
    around = np.concatenate([cell + x * _ROW + y for x in (-1, 0, 1) for y in (-1, 0, 1)])
    pairs = pd.DataFrame(np.tile(displacement, (9, 1)), columns=["dx", "dy"])
    by_cell = pairs.groupby(around)
    shift = by_cell.median()
    count = by_cell.size()
    rest = pairs.to_numpy() - shift.loc[around].to_numpy()
    scatter = pd.Series(np.hypot(*rest.T)).groupby(around).median()
    error: pd.Series = _MEDIAN_ERROR * scatter / np.sqrt(count)
    is_told = (count >= MIN_PAIRS) & (np.hypot(shift["dx"], shift["dy"]) > MIN_SIGNIFICANCE * error)
    return shift[is_told]


def _cells(places: Numbers) -> Positions:
    """Return the number of the cell of each place."""
    column, row = np.floor(places / CELL_M).astype(np.int64).T
    cell: Positions = column * _ROW + row
    return cell


def _at(shifts: pd.DataFrame, places: Numbers) -> Numbers:
    by: Numbers = shifts.reindex(_cells(places)).fillna(0.0).to_numpy()
    return by


def _centres(geometry: Geometries) -> Numbers:
    centre = shapely.centroid(geometry)
    return np.column_stack([shapely.get_x(centre), shapely.get_y(centre)])


def _sizes(geometry: Geometries) -> Numbers:
    """Return area, width and height of the box."""
    west, south, east, north = shapely.bounds(geometry).reshape(-1, 4).T
    return np.column_stack([shapely.area(geometry), east - west, north - south])
