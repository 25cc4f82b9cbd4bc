"""The open ends of lines."""

import numpy as np
import shapely

from cityframe.rules.context import Context, Geometries, Positions


def line_ends(context: Context) -> tuple[Geometries, Positions]:
    """Return the ends of the usable lines as points, and the position of each one's feature.

    A closed line has no end, nor is there one where two parts of a multi-line meet.
    """
    lines = context.geometry[context.usable]
    ends, line = shapely.get_parts(shapely.boundary(shapely.force_2d(lines)), return_index=True)
    return np.asarray(ends, dtype=object), context.usable[line]
