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
    is_point = shapely.get_type_id(geometry) == shapely.GeometryType.POINT
    points = geometry.copy()
    points[~is_point] = None
    other = ~is_point & ((dimension == 0) | (dimension == 2))
    points[other] = shapely.point_on_surface(geometry[other])
    line = np.flatnonzero(dimension == 1)
    parts, index = shapely.get_parts(geometry[line], return_index=True)
    order = np.lexsort([-shapely.length(parts), index])
    _, first = np.unique(index[order], return_index=True)
    points[line] = shapely.line_interpolate_point(parts[order[first]], 0.5, normalized=True)
    points[shapely.is_empty(points)] = None
    return points
