"""Move, reshape and blur geometries; all results on whole millimetres."""

import numpy as np
import shapely
from shapely.geometry import Polygon

from cityframe.demo.arrays import Floats, Geometries

_INSET_M = 0.5


def translated(geometry: Geometries, offset: Floats) -> Geometries:
    """Return geometries moved by a row of ``offset`` (n × 2, metres) each; heights stay."""
    has_z = bool(shapely.has_z(geometry).any())
    per_vertex = np.repeat(offset, shapely.get_num_coordinates(geometry), axis=0)

    def moved(xyz: Floats) -> Floats:
        xyz[:, :2] = np.round(xyz[:, :2] + per_vertex, 3)
        return xyz

    result: Geometries = shapely.transform(geometry, moved, include_z=has_z)
    return result


def directions(random: np.random.Generator, lengths: Floats) -> Floats:
    """Return vectors of these lengths (metres) in random directions, n × 2."""
    angle = random.uniform(0, 2 * np.pi, len(lengths))
    return np.column_stack([lengths * np.cos(angle), lengths * np.sin(angle)])


def blurred(geometry: Geometries, random: np.random.Generator, amplitude_m: float) -> Geometries:
    """Return geometries with each vertex displaced a little; equal vertices stay equal.

    Vertices that several of the geometries share are displaced alike, so that a coverage stays
    one, and rings stay closed.
    """
    xy = shapely.get_coordinates(geometry)
    unique, place = np.unique(xy, axis=0, return_inverse=True)
    noise = random.uniform(-amplitude_m, amplitude_m, unique.shape)
    blurred_xy = np.round(unique + noise, 3)[place.ravel()]
    result: Geometries = shapely.set_coordinates(geometry.copy(), blurred_xy)
    return result


def without_a_corner(shape: Polygon, keep: Geometries) -> Polygon | None:
    """Return a footprint with one corner of its box cut off, or None if no corner can go.

    ``keep`` are points that must stay inside. The rest has between 55 and 92 % of the area.
    """
    corners = shapely.get_coordinates(shapely.oriented_envelope(shape))[:4]
    for place in range(4):
        corner, along, up = (corners[(place + step) % 4] for step in (0, 1, 3))
        box = Polygon(
            [
                corner - 0.1 * (along - corner) - 0.1 * (up - corner),
                corner + 0.42 * (along - corner) - 0.1 * (up - corner),
                corner + 0.42 * (along - corner) + 0.42 * (up - corner),
                corner - 0.1 * (along - corner) + 0.42 * (up - corner),
            ]
        )
        rest = _on_millimetres(shapely.difference(shape, box))
        if not isinstance(rest, Polygon) or not rest.is_valid:
            continue
        is_enough = 0.55 * shape.area <= rest.area <= 0.92 * shape.area
        if is_enough and shapely.contains(rest, keep).all():
            return rest
    return None


def with_an_annex(shape: Polygon, depth_m: float) -> Polygon | None:
    """Return a footprint with an annex on its longest wall, or None if it does not fit there."""
    ring = np.asarray(shapely.normalize(shape).exterior.coords)
    steps = np.diff(ring, axis=0)
    longest = int(np.argmax(np.hypot(*steps.T)))
    start, step = ring[longest], steps[longest]
    # a normalised outer ring runs clockwise: outside is on its left
    outward = np.array([-step[1], step[0]]) / np.hypot(*step)
    inner = -_INSET_M * outward
    annex = Polygon(
        [
            start + 0.3 * step + inner,
            start + 0.7 * step + inner,
            start + 0.7 * step + depth_m * outward,
            start + 0.3 * step + depth_m * outward,
        ]
    )
    whole = _on_millimetres(shapely.union(shape, annex))
    if isinstance(whole, Polygon) and whole.is_valid and whole.area > 1.02 * shape.area:
        return whole
    return None


def _on_millimetres(shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(shape, lambda xy: np.round(xy, 3))
