"""Let the neighbours of a changed polygon follow the boundary that they share with it.

A neighbour's boundary is runs of edges that it shares with a changed polygon, and legs: the edges
between the runs. A run is replaced by the new course of the boundary. Where a leg ends on it:

=======================================  ======================================================
the shared vertex                        becomes
=======================================  ======================================================
has a counterpart within reach           the counterpart
has a counterpart further away, apart    the counterpart: a corner of several polygons moved
from both boundaries
slid along one of the boundaries, or     the first point of the new boundary on the leg, drawn
has no vertex for a counterpart          out or cut short: the leg keeps its direction
the same, but the new boundary drew      itself and the counterpart: one new edge between them is
back from several legs, or from one      the boundary of those on its two sides
that does not get there
=======================================  ======================================================

Polygons are valid, in one projected CRS in metres; heights come with the new course.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely

from cityframe.core.boundary_course import Course, Key, noded_ring, rings_of
from cityframe.core.displacement import Flags, Geometries, Numbers, Positions

_LEG = -1
_CORNERS = 3


def neighbour_pairs(changed: Geometries, others: shapely.STRtree) -> tuple[Positions, Positions]:
    """Return the pairs (changed, other) that touch or overlap, sorted."""
    found = others.query(changed, predicate="intersects")
    order = np.lexsort((found[1], found[0]))
    return found[0][order], found[1][order]


def followed(neighbour: shapely.Geometry, courses: Sequence[Course]) -> shapely.Geometry | None:
    """Return a neighbour with the new course of its shared boundaries.

    Parameters
    ----------
    neighbour : Polygon or MultiPolygon
    courses : sequence of Course
        Of the changed polygons beside it, from `course_of` with this neighbour.

    Returns
    -------
    Polygon, MultiPolygon or None
        Of the neighbour's type; None where a leg does not reach the new boundary, or where the
        outcome would not be valid.
    """
    rings: list[Numbers] = []
    for ring in rings_of(neighbour, has_z=bool(shapely.has_z(courses[0].after))):
        new = _followed_ring(ring, courses)
        if new is None:
            return None
        rings.append(new)
    return _rebuilt(neighbour, rings)


def thick_parts(area: shapely.Geometry, precision_m: float) -> Geometries:
    """Return the parts of an area that are wider than rounding on the grid can make them."""
    parts = shapely.get_parts(area)
    parts = parts[shapely.get_dimensions(parts) == 2]
    is_thick: Flags = shapely.area(parts) > precision_m * shapely.length(parts)
    thick: Geometries = parts[is_thick]
    return thick


def _followed_ring(ring: Numbers, courses: Sequence[Course]) -> Numbers | None:
    vertices, keys, by = _owned(ring, courses)
    if (by == _LEG).all() and not any(key in course.places for course in courses for key in keys):
        return ring
    if (by == by[0]).all() and by[0] != _LEG:
        return _whole_ring(keys, courses[by[0]])
    # begin at the start of a run, or at a leg where there is none
    first = int(np.flatnonzero(by != np.roll(by, 1))[0]) if (by != by[0]).any() else 0
    turn = (np.arange(len(by)) + first) % len(by)
    vertices, by = vertices[turn], by[turn]
    keys = [keys[at] for at in turn]
    starts = np.flatnonzero((by != np.roll(by, 1)) | (by == _LEG))
    pieces: list[Numbers] = []
    for start, stop in pairwise([*starts.tolist(), len(by)]):
        piece = (
            _corner(start, vertices, keys, by, courses)
            if by[start] == _LEG
            else _run(start, stop, vertices, keys, by, courses)
        )
        if piece is None:
            return None
        pieces.append(piece)
    return np.concatenate(pieces)


def _owned(ring: Numbers, courses: Sequence[Course]) -> tuple[Numbers, list[Key], Positions]:
    """Return a ring's vertices, their keys, and whose each edge is: a course, or a leg's.

    Corners of others that lie on an edge become vertices, if an edge there is shared, or is a leg
    that ends on a changed polygon: the leg turns about the nearest corner, for both of its sides.
    """
    limits = courses[0].limits
    corners = np.concatenate(
        [
            *(course.junctions for course in courses),
            *(shapely.get_coordinates(course.before) for course in courses),
        ]
    )
    vertices, is_own, _ = noded_ring(ring, corners, limits)
    keys = limits.keys(vertices)
    by = np.array([_owner(edge, courses) for edge in zip(keys, keys[1:] + keys[:1], strict=True)])
    ends = np.array([any(key in course.places for course in courses) for key in keys])
    is_shared = (by != _LEG) | (np.roll(by, 1) != _LEG)
    stays = is_own | is_shared | (~ends & (np.roll(ends, 1) | np.roll(ends, -1)))
    kept = [key for key, stay in zip(keys, stays, strict=True) if stay]
    return vertices[stays], kept, by[stays].astype(np.intp)


def _owner(edge: tuple[Key, Key], courses: Sequence[Course]) -> int:
    for number, course in enumerate(courses):
        if edge in course.edges or edge[::-1] in course.edges:
            return number
    return _LEG


def _whole_ring(keys: list[Key], course: Course) -> Numbers:
    """Return the ring after of a polygon that fills a hole, or has the neighbour in its hole."""
    is_forward = (keys[0], keys[1]) in course.edges
    ring = course.rings[course.places[keys[0]].ring]
    return ring if is_forward else ring[::-1]


def _run(
    start: int,
    stop: int,
    vertices: Numbers,
    keys: list[Key],
    by: Positions,
    courses: Sequence[Course],
) -> Numbers | None:
    """Return the new course of a run, both ends with it."""
    course, count = courses[by[start]], len(keys)
    stop_at = stop % count
    from_leg = vertices[start - 1] if by[start - 1] == _LEG else None
    to_leg = vertices[(stop + 1) % count] if by[stop_at] == _LEG else None
    begin = _end(keys[start], vertices[start], from_leg, course)
    end = _end(keys[stop_at], vertices[stop_at], to_leg, course)
    if begin is None or end is None or begin.ring != end.ring:
        return None
    if (keys[start], keys[(start + 1) % count]) in course.edges:
        inner = course.between(begin.ring, begin.position, end.position)
    else:
        inner = course.between(begin.ring, end.position, begin.position)[::-1]
    return np.concatenate([begin.before, begin.point, inner, end.point, end.before])


def _corner(
    at: int, vertices: Numbers, keys: list[Key], by: Positions, courses: Sequence[Course]
) -> Numbers | None:
    """Return what becomes of the vertex at the start of a leg."""
    nothing = vertices[:0]
    if by[at - 1] != _LEG:
        # the run before has put it
        return nothing
    moved = [course for course in courses if keys[at] in course.places]
    if not moved:
        return vertices[at : at + 1]
    course = moved[0]
    legs = vertices[at - 1], vertices[(at + 1) % len(keys)]
    begin, end = (_end(keys[at], vertices[at], leg, course) for leg in legs)
    if begin is None or end is None or begin.ring != end.ring:
        return None
    if begin.position == end.position:
        # the new boundary drew back from a mere corner: it stays
        return begin.before if len(begin.before) else begin.point
    ways = (
        course.between(begin.ring, end.position, begin.position)[::-1],
        course.between(begin.ring, begin.position, end.position),
    )
    shorter = min(ways, key=len)
    return np.concatenate([begin.before, begin.point, shorter, end.point, end.before])


@dataclass(frozen=True)
class _End:
    """Where a run ends: on a ring, at a point (1 × d); ``before``, the vertex if it stays too."""

    ring: int
    position: float
    point: Numbers
    before: Numbers

    @classmethod
    def at(
        cls, course: Course, ring: int, position: float, before: Numbers | None = None
    ) -> "_End":
        point = course.at(ring, position)[None, :]
        return cls(ring, position, point, point[:0] if before is None else before[None, :])


def _end(key: Key, vertex: Numbers, leg: Numbers | None, course: Course) -> _End | None:
    """Return where a run ends after the change; ``leg`` is the far end of the leg there."""
    place, limits = course.places[key], course.limits
    target = course.at(place.ring, place.position)[:2]
    moved = float(np.hypot(*(target - vertex[:2])))
    found = _End.at(course, place.ring, place.position)
    if leg is None or moved <= limits.precision_m:
        return found
    old, new = shapely.boundary(course.before), shapely.boundary(course.after)
    has_slid = shapely.dwithin(old, shapely.Point(target), limits.reach_m) or shapely.dwithin(
        new, shapely.Point(vertex), limits.reach_m
    )
    if place.is_vertex and (moved <= limits.reach_m or not has_slid):
        return found
    is_swallowed = shapely.intersects(course.after, shapely.Point(vertex))
    if is_swallowed or len(course.legs.get(key, ())) == 1:
        on_leg = _on_leg(vertex[:2], leg[:2], moved, place.ring, course)
        if on_leg is not None:
            return _End.at(course, place.ring, on_leg)
    if is_swallowed:
        return None
    return _End.at(course, place.ring, place.position, vertex)


def _on_leg(vertex: Numbers, leg: Numbers, moved: float, ring: int, course: Course) -> float | None:
    """Return the first position of the new boundary on a leg drawn out; None if none is near."""
    reach = 2 * moved + course.limits.reach_m
    length = float(np.hypot(*(vertex - leg)))
    if length <= course.limits.precision_m or shapely.contains_properly(
        course.after, shapely.Point(leg)
    ):
        return None
    far = vertex + (vertex - leg) * (reach / length)
    closed = shapely.linearrings(course.rings[ring][:, :2])
    hits = shapely.get_coordinates(shapely.intersection(closed, shapely.linestrings([leg, far])))
    if not len(hits):
        return None
    hit = hits[int(np.argmin(np.hypot(*(hits - leg).T)))]
    if float(np.hypot(*(hit - vertex))) > reach:
        return None
    return course.position(ring, hit)


def _rebuilt(polygon: shapely.Geometry, rings: list[Numbers]) -> shapely.Geometry | None:
    """Return the polygon with other rings, one for each; None where it is not valid then."""
    thin = [ring[np.any(ring != np.roll(ring, 1, axis=0), axis=1)] for ring in rings]
    if min(map(len, thin)) < _CORNERS:
        return None
    parts, taken = [], 0
    for part in shapely.get_parts(polygon):
        count = 1 + int(shapely.get_num_interior_rings(part))
        shell, *holes = thin[taken : taken + count]
        parts.append(shapely.Polygon(shell, holes))
        taken += count
    is_multi = shapely.get_type_id(polygon) == shapely.GeometryType.MULTIPOLYGON
    rebuilt = shapely.MultiPolygon(parts) if is_multi else parts[0]
    return rebuilt if shapely.is_valid(rebuilt) else None
