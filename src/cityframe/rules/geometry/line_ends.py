"""The open ends of lines."""

import numpy as np
import numpy.typing as npt
import shapely

from cityframe.rules.context import Context, Geometries, Positions

Floats = npt.NDArray[np.float64]


def line_ends(context: Context) -> tuple[Geometries, Positions]:
    """Return the ends of the usable lines as points, and the position of each one's feature.

    A closed line has no end, nor is there one where two parts of a multi-line meet.
    """
    xy, row = _end_places(context)
    return np.asarray(shapely.points(xy), dtype=object), row


def open_ends(context: Context, tolerance_m: float) -> tuple[Geometries, Positions]:
    """Return the ends that no other line passes within a tolerance, and each one's feature."""
    xy, row = _end_places(context)
    # most ends stand exactly on another one and need no search
    _, place, count = np.unique(_as_complex(xy), return_inverse=True, return_counts=True)
    is_lone = count[place] == 1
    ends, row = np.asarray(shapely.points(xy[is_lone]), dtype=object), row[is_lone]
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


def _end_places(context: Context) -> tuple[Floats, Positions]:
    """Return the coordinates of the ends of the usable lines, and each one's feature.

    A feature has at most one end at a place.
    """
    lines, row = context.geometry[context.usable], context.usable
    is_many = shapely.get_num_geometries(lines) > 1
    xy, line = shapely.get_coordinates(lines[~is_many], return_index=True)
    last = np.flatnonzero(np.diff(line, append=-1))
    first = np.append(0, last + 1)[: len(last)]
    is_open = (xy[first] != xy[last]).any(axis=1)
    first, last = first[is_open], last[is_open]
    # the boundary of many parts leaves out the places where two of them meet
    boundary = shapely.boundary(lines[is_many])
    more_xy, more = shapely.get_coordinates(boundary, return_index=True)
    single = row[~is_many]
    rows = np.concatenate([single[line[first]], single[line[last]], row[is_many][more]])
    order = np.argsort(rows, kind="stable")
    return np.concatenate([xy[first], xy[last], more_xy])[order], rows[order]


def _as_complex(xy: Floats) -> npt.NDArray[np.complex128]:
    """Return coordinates as one number each, which sorts as they do, by x and then y."""
    return np.ascontiguousarray(xy).view(np.complex128)[:, 0]
