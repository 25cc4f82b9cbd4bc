"""Necks of polygons: where a reflex vertex faces another place of the outline closely.

A neck is a line from a reflex vertex (or a hole's corner) over the inside to another place of the
outline, each end being the nearest to the other in its surroundings. Along a drawn curve the next
sides are near too, but not nearest in that sense, so that a curve has no necks.
"""

import numpy as np
import numpy.typing as npt
import shapely

from cityframe.rules.context import Geometries, Positions

_ON_LINE = 1e-9

Floats = npt.NDArray[np.float64]


def necks(parts: Geometries, width_m: float) -> tuple[Geometries, Positions]:
    """Return the necks narrower than a width, and the polygon of each.

    Parameters
    ----------
    parts : ndarray of n valid polygons
    """
    if not len(parts):
        return np.empty(0, dtype=object), np.empty(0, dtype=np.int64)
    start, end, before, part = _sides(parts)
    sides = np.asarray(shapely.linestrings(np.stack([start, end], axis=1)), dtype=object)
    reflex = np.flatnonzero(_cross(start - before, end - start) < 0)
    corner = np.asarray(shapely.points(start[reflex]), dtype=object)
    tree = shapely.STRtree(sides)
    at, side = tree.query(corner, predicate="dwithin", distance=width_m)
    is_own = part[reflex[at]] == part[side]
    vertex, side = reflex[at[is_own]], side[is_own]
    foot = _foot(start[vertex], start[side], end[side])
    length = np.hypot(*(foot - start[vertex]).T)
    # the sides that meet in the vertex are at no distance
    close = np.flatnonzero((length > 0) & (length < width_m))
    vertex, side, foot = vertex[close], side[close], foot[close]
    to_foot = foot - start[vertex]
    is_neck = _is_nearest(start[vertex], before[vertex], end[vertex], to_foot)
    is_neck &= _is_nearest_foot(foot, start, end, before, side, to_foot)
    vertex, foot = vertex[is_neck], foot[is_neck]
    lines = np.asarray(shapely.linestrings(np.stack([start[vertex], foot], axis=1)), dtype=object)
    middle = np.asarray(shapely.points((start[vertex] + foot) / 2), dtype=object)
    inside = shapely.contains_properly(parts[part[vertex]], middle)
    # a line between two reflex vertices is found from both ends
    _, once = np.unique(shapely.to_wkb(shapely.normalize(lines[inside])), return_index=True)
    return lines[inside][once], part[vertex[inside][once]]


def _sides(parts: Geometries) -> tuple[Floats, Floats, Floats, Positions]:
    """Return start and end of each side, the vertex before its start, and its polygon.

    The inside is to the left.
    """
    oriented = np.asarray(shapely.orient_polygons(parts), dtype=object)
    rings, part = shapely.get_rings(oriented, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    is_side = np.flatnonzero((ring[1:] == ring[:-1]) & (xy[1:] != xy[:-1]).any(axis=1))
    start, end, side_ring = xy[is_side], xy[is_side + 1], ring[is_side]
    before = np.roll(start, 1, axis=0)
    first = np.flatnonzero(np.diff(side_ring, prepend=-1))
    last = np.append(first[1:], len(start)) - 1
    before[first] = start[last]
    return start, end, before, part[side_ring].astype(np.int64)


def _foot(point: Floats, start: Floats, end: Floats) -> Floats:
    step = end - start
    share = ((point - start) * step).sum(axis=1) / (step * step).sum(axis=1)
    foot: Floats = start + np.clip(share, 0, 1)[:, None] * step
    return foot


def _is_nearest(at: Floats, before: Floats, after: Floats, away: Floats) -> npt.NDArray[np.bool_]:
    """Return whether both sides at a vertex lead away from the other end of the line."""
    limit = _ON_LINE * np.hypot(*away.T)
    return np.asarray((_along(before - at, away) <= limit) & (_along(after - at, away) <= limit))


def _is_nearest_foot(
    foot: Floats, start: Floats, end: Floats, before: Floats, side: Positions, away: Floats
) -> npt.NDArray[np.bool_]:
    is_start = (foot == start[side]).all(axis=1)
    # a foot at the end of a side is the start of the next one, found by that
    is_end = (foot == end[side]).all(axis=1)
    at_start = _is_nearest(foot, before[side], end[side], -away)
    return np.asarray(~is_end & (~is_start | at_start))


def _along(step: Floats, away: Floats) -> Floats:
    length = np.hypot(*step.T)
    along: Floats = (step * away).sum(axis=1) / np.where(length > 0, length, 1.0)
    return along


def _cross(one: Floats, other: Floats) -> Floats:
    cross: Floats = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    return cross
