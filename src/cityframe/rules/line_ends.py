"""The open ends of lines."""

import numpy as np
import pandas as pd
import shapely

from cityframe.rules.context import Context, Geometries, Positions


def line_ends(context: Context) -> tuple[Geometries, Positions]:
    """Return the ends of the usable lines as points, and the position of each one's feature.

    A closed line has no end, nor is there one where two parts of a multi-line meet.
    """
    lines = context.geometry[context.usable]
    ends, line = shapely.get_parts(shapely.boundary(shapely.force_2d(lines)), return_index=True)
    return np.asarray(ends, dtype=object), context.usable[line]


def open_ends(context: Context, tolerance_m: float) -> tuple[Geometries, Positions]:
    """Return the ends that no other line passes within a tolerance, and each one's feature."""
    ends, row = line_ends(context)
    is_lone = _is_lone(ends, row)
    ends, row = ends[is_lone], row[is_lone]
    is_open = np.ones(len(ends), dtype=bool)
    is_open[lines_near(context, ends, row, tolerance_m)[0]] = False
    return ends[is_open], row[is_open]


def lines_near(
    context: Context, ends: Geometries, row: Positions, distance_m: float
) -> tuple[Positions, Positions]:
    """Return the pairs of an end and another line within a distance of it."""
    end, line = context.tree.query(ends, predicate="dwithin", distance=distance_m)
    is_other = line != row[end]
    return end[is_other], line[is_other]


def ending_parts(lines: Geometries, ends: Geometries) -> Geometries:
    """Return of each line the part that has a given end, turned so that it ends there.

    Parameters
    ----------
    lines, ends : k geometries each
        As `line_ends` pairs them. The parts are flat and without repeated vertices.
    """
    flat = shapely.remove_repeated_points(shapely.force_2d(lines))
    parts, index = shapely.get_parts(flat, return_index=True)
    begins = shapely.equals(shapely.get_point(parts, 0), ends[index])
    stops = shapely.equals(shapely.get_point(parts, -1), ends[index])
    parts[begins] = shapely.reverse(parts[begins])
    chosen = np.flatnonzero(begins | stops)
    _, first = np.unique(index[chosen], return_index=True)
    return np.asarray(parts[chosen[first]], dtype=object)


def _is_lone(ends: Geometries, row: Positions) -> np.ndarray:
    """Return where no end of another line has the very same coordinates: most are settled so."""
    places = pd.DataFrame(shapely.get_coordinates(ends), columns=["x", "y"]).assign(row=row)
    lines = places.groupby(["x", "y"], sort=False)["row"].transform("nunique")
    return (lines == 1).to_numpy()
