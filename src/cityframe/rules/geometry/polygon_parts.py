"""The polygons of a layer, those of many-part features each for itself."""

import numpy as np
import shapely

from cityframe.rules.context import Geometries, Positions


def polygon_parts(geometry: Geometries) -> tuple[Geometries, Positions]:
    """Return the polygons in the geometries, and the row of each; anything else is left out."""
    kind = shapely.get_type_id(geometry)
    is_polygon = kind == shapely.GeometryType.POLYGON
    if (is_polygon | (kind < 0)).all():
        # taking a million polygons apart costs more than most that is done with them
        row = np.flatnonzero(is_polygon)
        return geometry[row], row
    parts, owner = shapely.get_parts(geometry, return_index=True)
    is_polygon = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    return parts[is_polygon], owner[is_polygon].astype(np.int64)
