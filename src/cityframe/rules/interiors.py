"""Pairs of polygons of one layer whose interiors meet."""

import numpy as np
import shapely

from cityframe.rules.context import Context, Positions


def overlapping_pairs(context: Context) -> tuple[Positions, Positions]:
    """Return the pairs of usable polygons whose interiors meet: left < right, sorted, each once.

    Polygons with an edge that the coverage does not match are compared with the whole layer, since
    of two nested ones only the inner one has such an edge. Most of what they meet is neighbours
    that only touch, and to relate those is cheaper than to cut them.
    """
    candidates = context.usable[context.breaks_coverage]
    found, met = context.tree.query(context.geometry[candidates])
    one = candidates[found]
    pairs = np.stack([np.minimum(one, met), np.maximum(one, met)], axis=1)
    pairs = np.unique(pairs[one != met], axis=0)
    left, right = pairs[:, 0], pairs[:, 1]
    geometry = context.geometry
    meet = shapely.relate_pattern(geometry[left], geometry[right], "T********")
    return left[meet], right[meet]
