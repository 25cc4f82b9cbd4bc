"""Where each point of a polygon's boundary runs after the polygon has changed.

Vertices before and after are paired where they are nearest to each other within reach; between two
such pairs by their order, where both sides have as many, else by projection. A whole polygon that
moved is paired by the rotation of its ring that one translation explains best.

A position on a ring is a number: its whole part is the segment, the rest how far along it.
"""

from dataclasses import dataclass, field

import numpy as np
import shapely
from scipy.spatial import cKDTree

from cityframe.core.displacement import Flags, Geometries, Numbers, Positions

Key = tuple[int, int]
"""A vertex on the precision grid."""


@dataclass(frozen=True)
class Limits:
    """What counts as the same place: on the grid, and between two surveys, in metres."""

    precision_m: float
    reach_m: float

    def keys(self, xy: Numbers) -> list[Key]:
        """Return the grid cells of vertices."""
        units = np.round(xy[:, :2] / self.precision_m).astype(np.int64)
        return [(int(x), int(y)) for x, y in units]


@dataclass(frozen=True)
class Place:
    """The counterpart of a vertex: a position on a ring of the polygon after.

    ``is_vertex``: the vertex has a counterpart of its own, and not just a point on an edge.
    """

    ring: int
    position: float
    is_vertex: bool


@dataclass(frozen=True)
class Course:
    """The boundary of a polygon before and after.

    Attributes
    ----------
    before, after : Polygon or MultiPolygon
    rings : list of ndarray
        The rings after, without closing vertices, shells to the left and holes to the right.
    places : dict
        Counterpart of each vertex before, neighbours' vertices on its edges included.
    edges : dict
        Edges before, as their two vertices in the rings' direction, with the ring after.
    junctions : ndarray, k × 2
        The vertices of the neighbours.
    legs : dict
        Of each vertex before, the other ends of the edges there that are not the polygon's.
    """

    before: shapely.Geometry
    after: shapely.Geometry
    limits: Limits
    rings: list[Numbers]
    junctions: Numbers
    legs: dict[Key, set[Key]] = field(default_factory=dict)
    places: dict[Key, Place] = field(default_factory=dict)
    edges: dict[tuple[Key, Key], int] = field(default_factory=dict)

    def at(self, ring: int, position: float) -> Numbers:
        """Return the coordinates at a position of a ring after."""
        points = self.rings[ring]
        start = int(position) % len(points)
        share = position - int(position)
        point: Numbers = points[start] + share * (points[(start + 1) % len(points)] - points[start])
        return point

    def between(self, ring: int, start: float, stop: float) -> Numbers:
        """Return the vertices strictly between two positions, in the ring's direction."""
        count = len(self.rings[ring])
        ahead = (stop - start) % count
        first = int(np.floor(start)) + 1
        last = int(np.ceil(start + ahead)) - 1
        vertices: Numbers = self.rings[ring][np.arange(first, last + 1) % count]
        return vertices

    def position(self, ring: int, point: Numbers) -> float:
        """Return the position of the place on a ring that is nearest to a point."""
        start = self.rings[ring][:, :2]
        step = np.roll(start, -1, axis=0) - start
        along = np.einsum("ij,ij->i", point - start, step) / np.einsum("ij,ij->i", step, step)
        share = np.clip(along, 0.0, 1.0)
        nearest = int(np.argmin(np.hypot(*(start + share[:, None] * step - point).T)))
        return (nearest + float(share[nearest])) % len(start)


def course_of(
    before: shapely.Geometry, after: shapely.Geometry, neighbours: Geometries, limits: Limits
) -> Course:
    """Pair the boundary of a polygon before with that after.

    Parameters
    ----------
    before, after : Polygon or MultiPolygon
        Valid, in a projected CRS in metres.
    neighbours : ndarray of Polygon or MultiPolygon
        What touches it before; those of their vertices that lie on its edges become its own.

    Returns
    -------
    Course
        Without the rings that have no clear counterpart.
    """
    has_z = bool(shapely.has_z(after))
    old, new = rings_of(before, has_z=has_z), rings_of(after, has_z=has_z)
    junctions = shapely.get_coordinates(neighbours)
    course = Course(before, after, limits, new, junctions)
    for ring, other in _counterpart_rings(old, new, limits).items():
        vertices = old[ring]
        found = _counterparts(vertices[:, :2], new[other][:, :2], limits)
        if found is None:
            continue
        noded, is_own, share = noded_ring(vertices, junctions, limits)
        position = _with_nodes(found[0], is_own, share, len(new[other]))
        has_own = np.zeros(len(noded), dtype=bool)
        has_own[is_own] = found[1]
        keys = limits.keys(noded)
        for key, at, is_vertex in zip(keys, position, has_own, strict=True):
            course.places[key] = Place(other, float(at), bool(is_vertex))
        course.edges.update(dict.fromkeys(zip(keys, keys[1:] + keys[:1], strict=True), other))
    corners = np.concatenate([junctions, shapely.get_coordinates(before)])
    for neighbour in neighbours:
        for line in rings_of(neighbour, has_z=False):
            _add_legs(course, limits.keys(noded_ring(line, corners, limits)[0]))
    return course


def _add_legs(course: Course, keys: list[Key]) -> None:
    for edge in zip(keys, keys[1:] + keys[:1], strict=True):
        if edge in course.edges or edge[::-1] in course.edges:
            continue
        for key, other in (edge, edge[::-1]):
            if key in course.places:
                course.legs.setdefault(key, set()).add(other)


def rings_of(polygon: shapely.Geometry, *, has_z: bool) -> list[Numbers]:
    """Return the rings without closing vertices, shells to the left and holes to the right."""
    directed = shapely.orient_polygons(polygon)
    rings = shapely.get_rings(shapely.get_parts(directed))
    return [shapely.get_coordinates(ring, include_z=has_z)[:-1] for ring in rings]


def noded_ring(ring: Numbers, nodes: Numbers, limits: Limits) -> tuple[Numbers, Flags, Numbers]:
    """Make vertices of the nodes that lie on the edges of a ring.

    Returns
    -------
    tuple of ndarray
        The vertices; which of them were there; how far along its edge each of the others lies.
    """
    start, own = ring[:, :2], np.ones(len(ring), dtype=bool)
    if not len(nodes):
        return ring, own, np.zeros(len(ring))
    known = set(limits.keys(start))
    keys = dict(zip(limits.keys(nodes), nodes[:, :2], strict=True))
    fresh = np.array([xy for key, xy in keys.items() if key not in known]).reshape(-1, 2)
    step = np.roll(start, -1, axis=0) - start
    length2 = np.einsum("ij,ij->i", step, step)
    offset = fresh[:, None, :] - start[None, :, :]
    along = np.einsum("kij,ij->ki", offset, step) / length2
    apart = np.abs(offset[..., 0] * step[:, 1] - offset[..., 1] * step[:, 0]) / np.sqrt(length2)
    node, edge = np.nonzero((along > 0) & (along < 1) & (apart <= limits.precision_m))
    share = along[node, edge]
    extra = ring[edge] + share[:, None] * (np.roll(ring, -1, axis=0)[edge] - ring[edge])
    extra[:, :2] = fresh[node]
    place = np.append(np.arange(len(ring), dtype=np.float64), edge + share)
    order = np.argsort(place, kind="stable")
    is_own = np.append(own, np.zeros(len(extra), dtype=bool))
    every_share = np.append(np.zeros(len(ring)), share)
    return np.concatenate([ring, extra])[order], is_own[order], every_share[order]


def _counterpart_rings(old: list[Numbers], new: list[Numbers], limits: Limits) -> dict[int, int]:
    """Pair the rings that have most vertices within reach of each other; at last the only rest."""
    near = np.array(
        [
            [(cKDTree(to[:, :2]).query(at[:, :2])[0] <= limits.reach_m).sum() for to in new]
            for at in old
        ]
    )
    best, most = near.argmax(axis=1), near.max(axis=1)
    is_clear = (most > 0) & ((near == most[:, None]).sum(axis=1) == 1)
    pairs = {int(ring): int(best[ring]) for ring in np.flatnonzero(is_clear)}
    rest = set(range(len(old))) - set(pairs), set(range(len(new))) - set(pairs.values())
    if len(rest[0]) == len(rest[1]) == 1:
        pairs[rest[0].pop()] = rest[1].pop()
    return pairs


def _counterparts(before: Numbers, after: Numbers, limits: Limits) -> tuple[Numbers, Flags] | None:
    """Return the position of each vertex on the ring after, and which have a vertex of their own.

    None where no vertex is near another, and the numbers differ.
    """
    old, new = _anchors(before, after, limits)
    if not len(old):
        return _moved_whole(before, after)
    position = np.zeros(len(before))
    has_own = np.zeros(len(before), dtype=bool)
    for at, to, next_at, next_to in zip(old, new, np.roll(old, -1), np.roll(new, -1), strict=True):
        step = int((next_at - at - 1) % len(before)) + 1
        next_step = int((next_to - to - 1) % len(after)) + 1
        inner = (at + np.arange(1, step)) % len(before)
        position[at], has_own[at] = to, True
        if step == next_step:
            position[inner] = (to + np.arange(1, step)) % len(after)
            has_own[inner] = True
        elif len(inner):
            chain = after[(to + np.arange(next_step + 1)) % len(after)]
            position[inner] = (to + _projected(before[inner], chain)) % len(after)
    return position, has_own


def _anchors(before: Numbers, after: Numbers, limits: Limits) -> tuple[Positions, Positions]:
    """Return pairs of vertices that are nearest to each other, in the same order round."""
    apart, to = cKDTree(after).query(before)
    back = cKDTree(before).query(after)[1]
    is_mutual = back[to] == np.arange(len(before))
    for limit in (limits.reach_m, limits.precision_m):
        old = np.flatnonzero(is_mutual & (apart <= limit))
        new = to[old]
        turn = int(((np.roll(new, -1) - new) % len(after)).sum())
        if len(old) == 1 or turn == len(after):
            return old, new
    return old[:0], new[:0]


def _moved_whole(before: Numbers, after: Numbers) -> tuple[Numbers, Flags] | None:
    """Pair the vertices of two rings by the rotation that one translation explains best."""
    if len(before) != len(after):
        return None
    turns = (np.arange(len(before))[None, :] + np.arange(len(before))[:, None]) % len(before)
    shift = after[turns] - before[None, :, :]
    spread = ((shift - shift.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2))
    best = turns[int(np.argmin(spread))]
    return best.astype(np.float64), np.ones(len(before), dtype=bool)


def _projected(points: Numbers, chain: Numbers) -> Numbers:
    """Return positions on a chain, never going back."""
    length = np.append(0.0, np.cumsum(np.hypot(*np.diff(chain, axis=0).T)))
    located = shapely.line_locate_point(shapely.linestrings(chain), shapely.points(points))
    position = np.asarray(np.interp(located, length, np.arange(len(chain))))
    return np.maximum.accumulate(position)


def _with_nodes(position: Numbers, is_own: Flags, share: Numbers, count: int) -> Numbers:
    """Return positions for nodes too, between those of their edge's ends in proportion."""
    edge = np.cumsum(is_own) - 1
    ahead = (np.roll(position, -1) - position) % count
    return np.asarray((position[edge] + share * ahead[edge]) % count, dtype=np.float64)
