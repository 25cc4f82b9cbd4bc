"""Match the polygons of a large layer tile by tile, on all cores: what they are as a whole."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import shapely

from cityframe.core.agreement import Tolerance
from cityframe.core.displacement import Geometries, Positions
from cityframe.core.matching.correspondence import Correspondence
from cityframe.core.matching.evidence import NO_EVIDENCE, Evidence
from cityframe.core.matching.learned import Scorer
from cityframe.core.matching.local_shift import CELL_M
from cityframe.core.matching.polygons import match_polygons
from cityframe.core.matching.tiles import ahead, match_in_tiles

TILED_FROM = 200_000
"""Fewer polygons fit in one piece: beyond, memory would grow with the layer."""
_TILE_HALOS = 8
"""Side of a tile over what it looks at around: the views of tiles overlap little."""

_Rows = tuple[Geometries, pd.DataFrame | None]


class _StatedSide:
    """Polygons with what they state exactly."""

    def __init__(self, geometry: Geometries, exact: pd.DataFrame | None) -> None:
        self._geometry, self._exact = geometry, exact
        self.boxes = shapely.bounds(geometry).reshape(-1, 4)

    def rows(self, positions: Positions) -> _Rows:
        """Return some of the polygons."""
        exact = self._exact
        stated = None if exact is None else exact.iloc[positions].reset_index(drop=True)
        return self._geometry[positions], stated


def match_polygons_in_tiles(
    before: Geometries,
    after: Geometries,
    tolerance: Tolerance,
    *,
    evidence: Evidence,
    reach_m: float | None = None,
    scorer: Scorer | None = None,
) -> Correspondence:
    """Return the same as `match_polygons`, in bounded memory beside the two sides themselves.

    A tile looks around itself as far as the local shift does, and as the largest polygon is wide.
    """
    exact = evidence.exact or (None, None)
    sides = _StatedSide(before, exact[0]), _StatedSide(after, exact[1])
    boxes = np.concatenate([side.boxes for side in sides])
    widest = float(np.nanmax(boxes[:, 2:] - boxes[:, :2], initial=0.0))
    reach = tolerance.limit_m if reach_m is None else reach_m
    halo = 2 * CELL_M + reach + widest
    match = partial(_links, tolerance=tolerance, reach_m=reach_m, scorer=scorer)
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        links = match_in_tiles(
            match,
            *sides,
            tile_m=_TILE_HALOS * halo,
            halo_m=halo,
            run=ahead(pool.submit, workers + 1),
        )
    return Correspondence.of(links)


def _links(
    before: _Rows,
    after: _Rows,
    *,
    tolerance: Tolerance,
    reach_m: float | None,
    scorer: Scorer | None,
) -> pd.DataFrame:
    (old, old_stated), (new, new_stated) = before, after
    if old_stated is None or new_stated is None:
        evidence = NO_EVIDENCE
    else:
        evidence = Evidence(exact=(old_stated, new_stated))
    found = match_polygons(old, new, tolerance, evidence=evidence, reach_m=reach_m, scorer=scorer)
    return found.links.drop(columns="group")
