"""How far two surveys of the same features lie apart.

Geometries are arrays of the same length, neither null nor empty, in one projected CRS in metres.
The outline of a polygon is its boundary, of a line or points the geometry itself.
"""

import numpy as np
import numpy.typing as npt
import shapely

Geometries = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]

MAX_SAMPLES = 1000
"""Samples along one outline, beside its vertices; a longer one is sampled more sparsely."""

_LONG_OUTLINE = 1000
_BATCH = 1000
_NO_LENGTH_M = 1e-9


def translation(before: Geometries, after: Geometries) -> Numbers:
    """Return the translation of each feature, n × 2, in metres.

    The mean displacement of the vertices where both sides have as many, else the displacement of
    the centroid. A ring's closing vertex does not count, so its starting point does not matter.
    """
    sums = [_vertex_means(side) for side in (before, after)]
    by_vertex = sums[1][0] - sums[0][0]
    has_as_many = sums[1][1] == sums[0][1]
    result: Numbers = np.where(has_as_many[:, None], by_vertex, centroid_shift(before, after))
    return result


def outline_displacement(
    before: Geometries, after: Geometries, spacing_m: float
) -> tuple[Numbers, Numbers]:
    """Return the RMS and the Hausdorff displacement between outlines, in metres.

    Both outlines are sampled at their vertices and at most ``spacing_m`` apart (at most
    `MAX_SAMPLES` times), and each sample is measured to the other outline, both ways. The RMS
    weights a sample by the length that it stands for. The Hausdorff distance is the largest at a
    sample: exact where a vertex lies furthest out, else short by up to half the spacing.

    Returns
    -------
    tuple of ndarray, n each
        RMS and Hausdorff displacement.
    """
    rms, hausdorff = np.zeros(len(before)), np.zeros(len(before))
    for start in range(0, len(before), _BATCH):
        batch = slice(start, start + _BATCH)
        sides = _outline(before[batch]), _outline(after[batch])
        weighted, weight, furthest = np.zeros((3, len(sides[0])))
        for one, other in (sides, sides[::-1]):
            samples, share, owner = _samples(one, spacing_m)
            distance = _distances(samples, owner, other)
            weighted += np.bincount(owner, share * distance**2, minlength=len(one))
            weight += np.bincount(owner, share, minlength=len(one))
            np.maximum.at(furthest, owner, distance)
        rms[batch] = np.sqrt(weighted / weight)
        hausdorff[batch] = furthest
    return rms, hausdorff


def vertex_displacement(before: Geometries, after: Geometries) -> Numbers:
    """Return the largest displacement of a vertex, infinite where the vertices do not pair up.

    Never less than the Hausdorff distance between the outlines: along a segment the displacement
    runs linearly between those of its ends.
    """
    largest = np.full(len(before), np.inf)
    counts = [shapely.get_num_coordinates(side) for side in (before, after)]
    is_paired = counts[0] == counts[1]
    is_plain = _is_one_line(before) & _is_one_line(after)
    for paired in np.flatnonzero(is_paired & is_plain), np.flatnonzero(is_paired & ~is_plain):
        if len(paired):
            (old, old_line, owner), (new, new_line, _) = (
                _outline_vertices(side[paired]) for side in (before, after)
            )
            displacement = np.hypot(*(new - old).T)
            # the same number of vertices may still be in other parts or rings
            displacement[old_line != new_line] = np.inf
            largest[paired] = np.maximum.reduceat(displacement, _firsts(owner, len(paired)))
    return largest


def rms_bound(before: Geometries, after: Geometries) -> Numbers:
    """Return what the RMS displacement of `outline_displacement` does not exceed.

    Along a segment the displacement runs linearly between those of its ends, so its square is
    convex, and the mean of the squares at the vertices, weighted by the length that each stands
    for, is not less than that at any closer samples; a sample lies no further from the other
    outline than it is displaced.

    Parameters
    ----------
    before, after : ndarray of geometries, n
        Whose vertices pair up: `vertex_displacement` is finite.
    """
    sides = [_outline_vertices(side) for side in (before, after)]
    owner = sides[0][2]
    squared = ((sides[1][0] - sides[0][0]) ** 2).sum(axis=1)
    share = sum(_shares(np.hypot(*_steps(*side).T)) for side in sides)
    weighted, weight = (
        np.bincount(owner, values, minlength=len(before)) for values in (share * squared, share)
    )
    bound: Numbers = np.sqrt(weighted / weight)
    return bound


def height_difference(before: Geometries, after: Geometries) -> Numbers:
    """Return the largest difference of heights, in metres; infinite where one side has none.

    Vertex by vertex where both sides have as many, else between lowest and highest heights.
    """
    largest = np.zeros(len(before))
    counts = [shapely.get_num_coordinates(side) for side in (before, after)]
    paired = np.flatnonzero(counts[0] == counts[1])
    old, owner = shapely.get_coordinates(before[paired], include_z=True, return_index=True)
    new = shapely.get_coordinates(after[paired], include_z=True)
    result = np.zeros(len(paired))
    np.maximum.at(result, owner, _gap(old[:, 2], new[:, 2]))
    largest[paired] = result
    rest = np.flatnonzero(counts[0] != counts[1])
    for extreme in (np.fmin, np.fmax):
        ends = [_extreme_height(side[rest], extreme) for side in (before, after)]
        largest[rest] = np.maximum(largest[rest], _gap(*ends))
    return largest


def centroid_shift(before: Geometries, after: Geometries) -> Numbers:
    """Return the displacement of the centroids, n × 2, in metres."""
    old, new = (shapely.centroid(side) for side in (before, after))
    return np.column_stack(
        [shapely.get_x(new) - shapely.get_x(old), shapely.get_y(new) - shapely.get_y(old)]
    )


def _outline(geometry: Geometries) -> Geometries:
    outline = geometry.copy()
    areas = shapely.get_dimensions(geometry) == 2
    outline[areas] = shapely.boundary(geometry[areas])
    return outline


def _is_one_line(geometry: Geometries) -> Flags:
    """Tell which outlines are one line or ring (or a point), as most are."""
    return np.asarray(
        (shapely.get_type_id(geometry) <= shapely.GeometryType.POLYGON)
        & (shapely.get_num_interior_rings(geometry) == 0)
    )


def _outline_vertices(geometry: Geometries) -> tuple[Numbers, Positions, Positions]:
    """Return `_vertices` of the outlines, without making these where they are one line each."""
    if not _is_one_line(geometry).all():
        return _vertices(_outline(geometry))
    xy, owner = shapely.get_coordinates(geometry, return_index=True)
    return xy, np.zeros(len(xy), dtype=np.intp), owner


def _vertices(outline: Geometries) -> tuple[Numbers, Positions, Positions]:
    """Return coordinates, number of the line within its feature, and the feature, of each."""
    lines, feature = shapely.get_parts(outline, return_index=True)
    xy, line = shapely.get_coordinates(lines, return_index=True)
    first_line = _firsts(feature, len(outline))
    owner = feature[line]
    return xy, line - first_line[owner], owner


def _vertex_means(geometry: Geometries) -> tuple[Numbers, Positions]:
    """Return the mean (n × 2) and the number of the vertices of each feature."""
    xy, line, owner = _outline_vertices(geometry)
    is_last = np.ones(len(xy), dtype=bool)
    is_last[:-1] = (owner[1:] != owner[:-1]) | (line[1:] != line[:-1])
    counts_ = ~(is_last & (shapely.get_dimensions(geometry) == 2)[owner])
    counts = np.bincount(owner[counts_], minlength=len(geometry))
    # from the first vertex on, or large coordinates would eat the decimals of the sum
    origin = xy[_firsts(owner, len(geometry))]
    offsets = (xy - origin[owner])[counts_]
    sums = [np.bincount(owner[counts_], axis, minlength=len(geometry)) for axis in offsets.T]
    return origin + np.column_stack(sums) / counts[:, None], counts


def _samples(outline: Geometries, spacing_m: float) -> tuple[Geometries, Numbers, Positions]:
    """Return the samples of outlines, the length that each stands for, and its outline."""
    spacing = np.maximum(spacing_m, shapely.length(outline) / MAX_SAMPLES)
    xy, line, owner = _vertices(outline)
    step = _steps(xy, line, owner)
    length = np.hypot(*step.T)
    pieces = np.maximum(np.ceil(length / spacing[owner]), 1).astype(np.intp)
    segment = np.repeat(np.arange(len(xy)), pieces)
    nth = np.arange(len(segment)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    xy = xy[segment] + step[segment] * (nth / pieces[segment])[:, None]
    owner, share = owner[segment], _shares((length / pieces)[segment])
    samples: Geometries = np.asarray(shapely.points(xy), dtype=object)
    return samples, share, owner


def _steps(xy: Numbers, line: Positions, owner: Positions) -> Numbers:
    """Return the way from each vertex to the next of its line; none from the last one."""
    step = np.zeros_like(xy)
    step[:-1] = np.diff(xy, axis=0)
    step[:-1][(owner[1:] != owner[:-1]) | (line[1:] != line[:-1])] = 0.0
    return step


def _shares(length: Numbers) -> Numbers:
    """Return the length that each sample stands for, from the length of the way to the next."""
    # points and lines without length have no share of their own: then each sample counts alike
    share: Numbers = (length + np.append(0.0, length[:-1])) / 2 + _NO_LENGTH_M
    return share


def _firsts(owner: Positions, count: int) -> Positions:
    """Return where the vertices of each feature begin."""
    return np.searchsorted(owner, np.arange(count)).astype(np.intp, copy=False)


def _distances(samples: Geometries, owner: Positions, outline: Geometries) -> Numbers:
    """Return the distance of each sample to the outline of its feature."""
    is_long = shapely.get_num_coordinates(outline) > _LONG_OUTLINE
    short = np.flatnonzero(~is_long[owner])
    distance = np.zeros(len(samples))
    distance[short] = shapely.distance(samples[short], outline[owner[short]])
    # against a long outline a plain distance looks at every segment for every sample
    for feature in np.flatnonzero(is_long):
        own = np.flatnonzero(owner == feature)
        distance[own] = _distance_to_long(samples[own], outline[feature])
    return distance


def _distance_to_long(samples: Geometries, outline: shapely.Geometry) -> Numbers:
    xy, line, _ = _vertices(np.array([outline], dtype=object))
    if shapely.get_dimensions(outline) == 0:
        pieces = np.asarray(shapely.points(xy), dtype=object)
    else:
        joined = line[1:] == line[:-1]
        pieces = shapely.linestrings(np.stack([xy[:-1], xy[1:]], axis=1)[joined])
    tree = shapely.STRtree(pieces)
    _, distance = tree.query_nearest(samples, return_distance=True, all_matches=False)
    return np.asarray(distance, dtype=np.float64)


def _gap(one: Numbers, other: Numbers) -> Numbers:
    """Return the absolute difference; 0 where both are NaN, infinite where one is."""
    gap = np.abs(one - other)
    gap[np.isnan(one) != np.isnan(other)] = np.inf
    return np.nan_to_num(gap, nan=0.0, posinf=np.inf)


def _extreme_height(geometry: Geometries, extreme: np.ufunc) -> Numbers:
    coordinates, owner = shapely.get_coordinates(geometry, include_z=True, return_index=True)
    heights = np.full(len(geometry), np.nan)
    extreme.at(heights, owner, coordinates[:, 2])
    return heights
