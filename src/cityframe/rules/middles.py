"""One point that stands for a feature."""

import numpy as np
import shapely

from cityframe.rules.context import Geometries


def middles(geometry: Geometries) -> Geometries:
    """Return a point of each geometry; None for null and empty ones.

    A point stands for itself, for a line the middle of its longest part, for a polygon a point on
    its surface. It always lies on the feature, as a centroid need not.
    """
    dimension = shapely.get_dimensions(geometry)
    points = np.full(len(geometry), None, dtype=object)
    for one in (0, 2):
        of = dimension == one
        points[of] = shapely.point_on_surface(geometry[of])
    line = np.flatnonzero(dimension == 1)
    parts, index = shapely.get_parts(geometry[line], return_index=True)
    order = np.lexsort([-shapely.length(parts), index])
    _, first = np.unique(index[order], return_index=True)
    points[line] = shapely.line_interpolate_point(parts[order[first]], 0.5, normalized=True)
    points[shapely.is_empty(points)] = None
    return points
