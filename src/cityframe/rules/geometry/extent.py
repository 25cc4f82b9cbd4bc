"""The place of a defect that concerns a whole layer."""

import numpy as np
import shapely

from cityframe.rules.context import Geometries


def extent(geometry: Geometries) -> shapely.Geometry | None:
    """Return the bounding box of the geometries; None if they have none.

    Coordinates that are not finite are passed over. A box without width is a line or a point.
    """
    xy = shapely.get_coordinates(geometry)
    xy = xy[np.isfinite(xy).all(axis=1)]
    if not len(xy):
        return None
    low, high = xy.min(axis=0), xy.max(axis=0)
    if (low == high).any():
        return shapely.MultiPoint([low, high]).convex_hull
    return shapely.Polygon([low, (high[0], low[1]), high, (low[0], high[1])])
