"""Pairs of polygons of one layer whose interiors meet."""

import numpy as np
import shapely

from cityframe.rules.context import Context, Positions
from cityframe.rules.geometry.crowds import require_no_crowd

_FEW = 0.5
"""Below this share of rows in focus, each is compared with its neighbours and no edge matched."""


def overlapping_pairs(context: Context) -> tuple[Positions, Positions]:
    """Return the pairs of usable polygons whose interiors meet: left < right, sorted, each once.

    Polygons with an edge that the coverage does not match are compared with the whole layer, since
    of two nested ones only the inner one has such an edge; then all that are in a pair, since a
    polygon inside another shows no such edge where the one around it has the same. Where the
    context looks at few rows, only the pairs with one of them are returned.
    """
    if context.focus is not None and len(context.focus) < _FEW * len(context.frame):
        pairs = _pairs_of(context, np.intersect1d(context.focus, context.usable))
        return pairs[:, 0], pairs[:, 1]
    asked = np.empty(0, dtype=np.int64)
    candidates = context.usable[context.breaks_coverage]
    pairs = np.empty((0, 2), dtype=np.int64)
    while len(candidates):
        pairs = np.unique(np.concatenate([pairs, _pairs_of(context, candidates)]), axis=0)
        asked = np.union1d(asked, candidates)
        candidates = np.setdiff1d(pairs, asked)
    return pairs[:, 0], pairs[:, 1]


def _pairs_of(context: Context, candidates: Positions) -> Positions:
    """Return the pairs, k × 2, with a candidate in them.

    Most of what they meet is neighbours that only touch, and to relate those is cheaper than to
    cut them.
    """
    geometry = context.geometry
    require_no_crowd(geometry[candidates])
    found, met = context.tree.query(geometry[candidates])
    one = candidates[found]
    pairs = np.stack([np.minimum(one, met), np.maximum(one, met)], axis=1)
    pairs = np.unique(pairs[one != met], axis=0)
    meet = shapely.relate_pattern(geometry[pairs[:, 0]], geometry[pairs[:, 1]], "T********")
    found_pairs: Positions = pairs[meet]
    return found_pairs
